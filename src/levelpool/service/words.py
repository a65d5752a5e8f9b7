"""Figures in words, for pages and terminals."""


def number_in_words(value: float | None) -> str:
    """1234567 is 1,234,567."""
    return "–" if value is None else f"{value:,}"


def bytes_in_words(value: float | None) -> str:
    """1536 is 1.5 KB."""
    if value is None:
        return "–"
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 or value == int(value) else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} TB"


def seconds_in_words(value: float | None) -> str:
    """0.0123 is 12 ms."""
    if value is None:
        return "–"
    if value < 1:
        return f"{value * 1000:.1f} ms" if 0 < value < 0.01 else f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.0f} min"


def percent_in_words(value: float | None) -> str:
    """80.3 is 80 %."""
    return "–" if value is None else f"{value:.0f} %"
