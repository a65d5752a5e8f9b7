"""Texts that other programs write and that are no delimited text: a table of their syntax would help nobody, so they are refused by name."""

import json
import re

_BEGINNINGS = (
    (re.compile(r"ID;P[^\n]*\n(?:[A-Z]{1,3};|E\b)"), "a SYLK file (.slk)"),
    (re.compile(r"TABLE *\n0,\d+\n\""), "a DIF file"),
    (re.compile(r"BEGIN:VCARD\b", re.IGNORECASE), "a vCard"),
    (re.compile(r"BEGIN:VCALENDAR\b", re.IGNORECASE), "an iCalendar file"),
    (re.compile(r"!(?:Type|Account|Option)\b", re.IGNORECASE), "a QIF file"),
    (re.compile(r"OFXHEADER:|<OFX>"), "an OFX file"),
    (re.compile(r":20:[^\n]*\n:\d\d[A-Z]?:"), "an MT940 statement"),
    (re.compile(r"%YAML\b"), "a YAML file"),
)
_JSON_BEGINS = re.compile(r"""[\[{]\s*(?:"(?:[^"\\\n]|\\.)*"\s*:|[\[{]|[\]}]\s*\Z|\n)""")
_LINES = 20
_LONGEST_LINE = 1 << 16


def other_text(sample: str) -> str | None:
    """What the text is that begins with *sample*, when it is none that has fields and delimiters."""
    text = sample.lstrip("\ufeff \t\r\n").replace("\r\n", "\n").replace("\r", "\n")
    known = next((kind for begins, kind in _BEGINNINGS if begins.match(text)), None)
    if known is not None or text[:1] not in {"{", "["}:
        return known
    lines = [line for line in text.split("\n")[:_LINES] if line.strip()]
    if len(lines) > 1 and _are_json(lines[:-1]) and lines[0].rstrip()[-1] in "]}":
        return "JSON lines"
    return "JSON" if _JSON_BEGINS.match(text) or (len(lines) == 1 and _are_json(lines)) else None


def _are_json(lines: list[str]) -> bool:
    """Whether each line is an object or a list of its own."""
    try:
        return all(len(line) <= _LONGEST_LINE and isinstance(json.loads(line), dict | list) for line in lines)
    except (ValueError, RecursionError):
        return False
