"""The workbooks that benchmarks read: made once, kept in `.cache/bench`, the same on every machine."""

import random
from datetime import date, datetime, timedelta
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".cache" / "bench"
COLUMNS = 20


def mixed_workbook(rows: int) -> Path:
    """A workbook of *rows* x 20: ids with leading zeros, 18-digit order numbers, text, integers, money, dates, booleans, some blanks."""
    import xlsxwriter

    path = CACHE / f"orders_mixed_{rows}.xlsx"
    if path.exists():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    book = xlsxwriter.Workbook(str(unfinished))
    sheet = book.add_worksheet("Orders")
    day, moment = book.add_format({"num_format": "yyyy-mm-dd"}), book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    sheet.write_row(0, 0, [f"Column {number}" for number in range(1, COLUMNS + 1)])
    chance = random.Random(20)
    for row in range(1, rows + 1):
        for column, value in enumerate(_values(row, chance)):
            if isinstance(value, datetime):
                sheet.write_datetime(row, column, value, moment)
            elif isinstance(value, date):
                sheet.write_datetime(row, column, value, day)
            elif isinstance(value, str):
                sheet.write_string(row, column, value)
            elif value is not None:
                sheet.write(row, column, value)
    book.close()
    unfinished.replace(path)
    return path


def _values(row: int, chance: random.Random) -> list[object]:
    first = datetime(2024, 1, 1)
    return [
        row,
        f"{row:08d}",
        f"{100000000000000000 + row * 7919}",
        f"customer {chance.randrange(5000)}",
        chance.choice(["north", "south", "east", "west"]),
        chance.randrange(1, 100),
        round(chance.random() * 1000, 2),
        round(chance.random() * 10, 3),
        chance.random(),
        (first + timedelta(days=chance.randrange(900))).date(),
        first + timedelta(seconds=chance.randrange(70_000_000)),
        chance.random() < 0.5,
        f"note {row}" if row % 3 else None,
        chance.randrange(10**12),
        chance.choice(["EUR", "USD", "CNY"]),
        round(chance.gauss(0, 100), 2),
        f"{chance.randrange(10**6):06d}",
        chance.randrange(2),
        "订单" + str(row % 97),
        round(chance.random() * 100, 1) if row % 10 else None,
    ]
