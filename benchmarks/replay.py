"""
Every plan of the gallery and of generated sheets, written down, so that two builds can be compared byte by byte.

    python -m benchmarks.replay write FILE [--sheets 300]
    python -m benchmarks.replay compare ONE OTHER

One line for each trap of the gallery and for each generated workbook: the tables found, their headers, columns, types, notations, reasons and
remarks, what is outside or in quarantine, and every value. Sheets are drawn from seeds, so another build makes the same ones: run the same
file with the other checkout's `src` in PYTHONPATH. `compare` names the first workbooks that differ, and ends with status 1 then.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from itertools import cycle, islice
from pathlib import Path
from random import Random

from levelpool.sheets.clean.options import ColumnOptions, TableOptions
from levelpool.sheets.clean.plans import plan_tables
from levelpool.sheets.clean.rows import clean_rows
from levelpool.sheets.inspect import inspect_file
from levelpool.sheets.table import BOOLEAN, DATE, ERROR, NO_VALUE, NUMBER, TEXT, Batch, Box, Sheet

GALLERY = Path(__file__).parents[1] / "tests" / "gallery"
SHEETS = 300
_NOT_COMPARED = {"trace"}  # tells how a plan came about; it may be told in other words

Cell = tuple[str, str] | None
Rows = list[list[Cell]]


# ---------------------------------------------------------------- the canonical form


def canonical(value: object) -> object:
    """Records as objects, sets in order, and values with their type: what is equal here is equal."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: canonical(getattr(value, each.name)) for each in fields(value) if each.name not in _NOT_COMPARED}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): canonical(each) for key, each in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(map(str, value))
    if isinstance(value, list | tuple):
        return [canonical(each) for each in value]
    return value if value is None or type(value) in {str, bool, int} else f"{type(value).__name__} {value!r}"


def records(sheets: int) -> Iterator[dict[str, object]]:
    """The whole gallery, then so many generated workbooks; each with its name."""
    for expected in sorted(GALLERY.glob("*.json")):
        path = expected.with_suffix("")
        for name, options in {"": TableOptions(), " cell": TableOptions(policy="cell"), " one table": TableOptions(one_table=True)}.items():
            yield {"name": f"{path.name}{name}", "found": _attempt(lambda path=path, options=options: inspect_file(path, options=options))}
    for number, (family, make) in enumerate(islice(cycle(FAMILIES.items()), sheets)):
        random = Random(f"{family} {number}")
        yield {"name": f"{family} {number}", "found": _attempt(lambda random=random, make=make: _planned(random, make))}


def _attempt(find: Callable[[], object]) -> object:
    """What was found, or the error: two builds must fail alike, too."""
    try:
        return canonical(find())
    except Exception as error:  # noqa: BLE001  # whatever it is, it is written down and compared
        return f"{type(error).__name__}: {error}"


def _planned(random: Random, make: Callable[[Random], Rows]) -> object:
    """The plans and all values of a workbook of one to three sheets that *make* gives."""
    options = _options(random)
    count = random.choice([1, 1, 1, 2, 3])
    sheets = [_sheet(random, make(random), position) for position in range(count)]
    found = []
    for each in plan_tables(sheets, "replayed", options):
        batches = list(clean_rows(each.sheet, each.plan, each.plan.columns, policy=options.policy or "row", blanks=options.blanks))
        found.append({"dataset": each.dataset, "plan": each.plan, "batches": batches})
    return {"sizes": [[sheet.row_count, sheet.cell_count] for sheet in sheets], "options": options.to_dict(), "tables": found}


def _options(random: Random) -> TableOptions:
    """Mostly nothing is said; else one thing."""
    said: list[dict[str, object]] = [
        {"header": random.randrange(4)},
        {"header": 2, "header_from": 1},
        {"no_header": True},
        {"one_table": True},
        {"side_by_side": False},
        {"keep_totals": True},
        {"blanks": frozenset({"NA", "-", "n/a"})},
        {"policy": "cell"},
        {"policy": "error"},
        {"decimal": ","},
        {"decimal": "."},
        {"day_first": True},
        {"day_first": False},
        {"box": random.choice(["B2:D9", "A3:", "B:C"])},
        {"hidden_rows": False},
        {"columns": (ColumnOptions(header="Amount", type="TEXT"), ColumnOptions(header="B", name="second"))},  # type: ignore[arg-type]
    ]
    return TableOptions(**random.choice(said)) if random.random() < 0.3 else TableOptions()  # type: ignore[arg-type]


def _sheet(random: Random, rows: Rows, position: int) -> Sheet:
    """The rows as a sheet; now and then with merged areas, SUM formulas, hidden rows, the other calendar, or rows out of order."""
    numbered = [(number, row) for number, row in enumerate(rows, 1) if any(row)]
    if random.random() < 0.03:
        random.shuffle(numbered)
    sums = {
        number: frozenset(place for place, cell in enumerate(row) if cell and cell[1].startswith(NUMBER))
        for number, row in numbered
        if random.random() < 0.1 or (row[0] is not None and row[0][0] == "Total" and random.random() < 0.3)
    }
    size = random.choice([1, 3, 7, 40, 70, 500])
    batches = []
    for start in range(0, len(numbered), size):
        some = numbered[start : start + size]
        texts = [[cell[0] if cell else None for cell in row] for _, row in some]
        kinds = [[cell[1] if cell else None for cell in row] for _, row in some]
        batches.append(Batch.of_rows([number for number, _ in some], texts, kinds, sums))
    return Sheet(
        name=f"Sheet{position + 1}",
        position=position,
        batches=lambda: iter(batches),
        hidden=random.random() < 0.1,
        date1904=random.random() < 0.1,
        row_count=len(numbered),
        cell_count=sum(1 for _, row in numbered for cell in row if cell),
        merges=tuple(_merges(random, rows)),
        hidden_rows=frozenset(number for number, _ in numbered if random.random() < 0.02),
    )


def _merges(random: Random, rows: Rows) -> Iterator[Box]:
    """Areas over a text and the blank cells to its right or below it, among the first rows."""
    if random.random() < 0.5:
        return
    for number, row in enumerate(rows[:8], 1):
        for place, cell in enumerate(row):
            width = len(list(_while_blank(row[place + 1 :])))
            if cell and cell[1] == TEXT and width and random.random() < 0.7:
                yield Box(number, place, number, place + width)
            elif cell and number < len(rows) and _at(rows[number], place) is None and random.random() < 0.3:
                yield Box(number, place, number + 1, place)


def _while_blank(cells: Sequence[Cell]) -> Iterator[Cell]:
    for cell in cells:
        if cell is not None:
            return
        yield cell


def _at(row: Sequence[Cell], place: int) -> Cell:
    return row[place] if place < len(row) else None


# ---------------------------------------------------------------- cells and columns


def text(value: object) -> Cell:
    """A text cell."""
    return str(value), TEXT


def number(value: object, shown: str = "") -> Cell:
    """A number cell with this number format."""
    return str(value), NUMBER + shown


_DAY = date(2026, 11, 2)
_WORDS = ["Anna", "Bob", "Graz", "Cork", "Tea", "Cup", "blue", "red", "north", "south", "Linz am See", "杭州", "x"]


def _day(random: Random) -> date:
    return _DAY + timedelta(days=random.randrange(-900, 900))


def _money(random: Random, thousands: str, decimal: str) -> str:
    return f"{random.randrange(-9_000_000, 90_000_000) / 100:,.2f}".replace(",", "_").replace(".", decimal).replace("_", thousands)


COLUMNS: dict[str, Callable[[Random], Cell]] = {
    "Order No": lambda random: text(f"A-{random.randrange(10**6):06d}"),
    "Code": lambda random: text(f"{random.randrange(10**6):06d}"),
    "Quantity": lambda random: number(random.randrange(500)),
    "Price": lambda random: text(f"{random.randrange(1, 99_999) / 100:.2f}"),
    "Amount": lambda random: number(random.randrange(1, 99_999) / 100),
    "Exact": lambda random: number(repr(random.random())),
    "Tiny": lambda random: number(repr(random.random() * random.choice([1, 1e-6]))),
    "Paid": lambda random: text(_money(random, random.choice([",", ",", ",", "."]) if random.random() < 0.01 else ",", ".")),
    "Betrag": lambda random: text(_money(random, ".", ",")),
    "Montant": lambda random: text(_money(random, "\u202f", ",") + " €"),
    "Points": lambda random: text(f"{random.randrange(1, 900)}.{random.randrange(1000):03d}"),
    "Lakh": lambda random: text(f"{random.randrange(1, 90)},{random.randrange(10, 99)},{random.randrange(1000):03d}"),
    "Share": lambda random: text(f"{random.randrange(1000) / 10}%"),
    "Negative": lambda random: text(random.choice(["({0})", "{0}"]).format(f"{random.randrange(10, 10_000) / 10:.2f}")),
    "Behind": lambda random: text(f"{random.randrange(10, 10_000)}{random.choice(['-', ' '])}"),
    "Dollar": lambda random: text(f"{random.choice(['-', ''])}${random.randrange(1, 10_000):,}"),
    "Wide": lambda random: text("１２３４５"[random.randrange(5) :]),
    "Large": lambda random: text(f"{random.random() * 10 ** random.randrange(-5, 5):e}"),
    "Id": lambda random: text(random.randrange(10**16, 10**19)),
    "Date": lambda random: text(_day(random)),
    "Datum": lambda random: text(_day(random).strftime("%d.%m.%Y")),
    "American": lambda random: text(_day(random).strftime("%m/%d/%Y")),
    "Open": lambda random: text(_day(random).replace(day=random.randrange(1, 13)).strftime("%d/%m/%Y")),
    "日期": lambda random: text(f"{_day(random):%Y}年{_day(random).month}月{random.randrange(1, 28)}日"),
    "Stamp": lambda random: text(datetime.combine(_day(random), time(random.randrange(24), random.randrange(60)))),
    "Clock": lambda random: text(f"{random.randrange(24):02d}:{random.randrange(60):02d}"),
    "Short year": lambda random: text(_day(random).strftime("%d/%m/%y")),
    "Serial": lambda random: number(random.randrange(20_000, 60_000), "yyyy-mm-dd"),
    "Instant": lambda random: number(random.randrange(20_000, 60_000) + random.randrange(24) / 24, "m/d/yy h:mm"),
    "Time": lambda random: number(random.random(), "h:mm"),
    "Span": lambda random: number(random.random() * 3, "[h]:mm"),
    "Padded": lambda random: number(random.randrange(1000), "00000"),
    "Iso": lambda random: (str(_day(random)), DATE),
    "Active": lambda random: (random.choice(["true", "false"]), BOOLEAN),
    "Said": lambda random: text(random.choice(["TRUE", "FALSE"])),
    "Case": lambda random: text(random.choice(["TRUE", "false"])),
    "Impossible": lambda random: number(random.choice(["9e9", "-4", "40000", "x"]), "yyyy-mm-dd"),
    "Exponent": lambda random: text(random.choice(["1e5", "2.5e-3", "1e999", "1e-400"]) if random.random() < 0.05 else "1e5"),
    "City": lambda random: text(random.choice(_WORDS)),
    "Note": lambda random: text(f"{random.choice(_WORDS)} and {random.choice(_WORDS)}{random.choice(['', '.', ': 5', chr(10) + 'more'])}"),
    "Place": lambda random: text(f"{random.choice('ABCD')}{random.randrange(100)}"),
}

_ODD: list[Cell] = [
    *(text(each) for each in ("NA", "n/a", "-", "", " ", "null", "7", "0", "-0", "-0.00", "007", "1,5", "1e5", "4.0E+12", "true", "a\nb")),
    *(text(each) for each in ("2026-02-30", "31.12.2026", "12/25/2026", "24:01", " 5", "１", "x" * 150, "9" * 120, "٣", "1,234", "1.234")),
    *(number(each) for each in ("1E+400", "NaN", "1.1000000000000001", "12345678901234567", "0.1", "-5", "2024.0", "")),
    *(number(each, "yyyy-mm-dd") for each in ("60", "0", "2958465", "-3", "46000.5", "1e28")),
    *((each, ERROR) for each in ("#N/A", "#DIV/0!")),
    ("=A1", NO_VALUE),
    ("true", BOOLEAN),
    ("2026-11-02T08:30:00", DATE),
    ("08:30:00", DATE),
    ("2026-13-41", DATE),
]


def _headers(random: Random, least: int = 2, most: int = 7) -> list[str]:
    return random.sample(sorted(COLUMNS), random.randint(least, most))


def _table(random: Random, headers: Sequence[str], count: int, *, odd: float = 0.0, blank: float = 0.0) -> Rows:
    """A header and its records; now and then a cell is odd or blank."""
    rows: Rows = [[text(header) for header in headers]]
    for _ in range(count):
        row = [COLUMNS[header](random) for header in headers]
        rows.append([_odd(random, cell, odd, blank) for cell in row])
    return rows


def _odd(random: Random, cell: Cell, odd: float, blank: float) -> Cell:
    drawn = random.random()
    return random.choice(_ODD) if drawn < odd else None if drawn < odd + blank else cell


def _total(random: Random, rows: Rows) -> list[Cell]:
    """A row of sums under a header and records, right or nearly so."""
    sums: list[Cell] = [text(random.choice(["Total", "合计", "Sum:", "Grand total", "*", "Totally"]))]
    for place in range(1, len(rows[0])):
        cells = [cell for row in rows[1:] if (cell := _at(row, place)) and cell[1] == NUMBER]
        try:
            total = sum((Decimal(cell[0]) for cell in cells), Decimal(0)) + random.choice([0, 0, 0, 0, 1])
        except ArithmeticError:
            total = Decimal(7)
        sums.append(number(total) if cells else None)
    return sums


# ---------------------------------------------------------------- families of sheets


def decorated(random: Random) -> Rows:
    """A table among titles, blank rows, an indent, a total and notes."""
    table = _table(random, _headers(random), random.randint(1, 25), odd=random.choice([0, 0, 0.02]), blank=random.choice([0, 0.1]))
    if random.random() < 0.5:
        table.append(_total(random, table))
    titles = [
        [text(each)]
        for each in random.sample(["Orders of the week", "Shop: all", "made by hand", "2026", "Stand 2.11.2026"], random.randrange(4))
    ]
    notes = [
        [text(each)]
        for each in random.sample(["Printed by the office", "*** end ***", "Note: all prices net", "Graz"], random.randrange(3))
    ]
    gap: Rows = [[] for _ in range(random.randrange(3))]
    indent: list[Cell] = [None] * random.choice([0, 0, 1, 3])
    rows = [*titles, *gap, *table, *([[]] if random.random() < 0.6 else []), *notes]
    return [[*indent, *row] if row else [] for row in rows]


def stacked(random: Random) -> Rows:
    """Tables below each other, with the same headers or with others, and one or more blank rows between."""
    headers = _headers(random)
    rows: Rows = []
    for _ in range(random.randint(2, 5)):
        headers = headers if random.random() < 0.4 else _headers(random)
        part = _table(random, headers, random.randint(1, 15))
        rows += part[1:] if rows and random.random() < 0.3 else part
        rows += [[] for _ in range(random.randint(0, 2))]
    return rows


def beside(random: Random) -> Rows:
    """Tables side by side, begun at different rows or ended at different ones."""
    grid: dict[tuple[int, int], Cell] = {}
    left = 0
    for _ in range(random.randint(2, 4)):
        top = random.choice([1, 1, 2, 4])
        table = _table(random, _headers(random, 1, 4), random.randint(2, 12), blank=random.choice([0, 0.05]))
        grid |= {(top + down, left + right): cell for down, row in enumerate(table) for right, cell in enumerate(row)}
        left += len(table[0]) + random.randint(1, 2)
    last = max(row for row, _ in grid)
    return [[grid.get((row, column)) for column in range(left)] for row in range(1, last + 1)]


def grouped(random: Random) -> Rows:
    """Two or three rows of headers: groups above, names below, or years and months over numbers."""
    groups = random.randint(2, 4)
    each = random.randint(1, 3)
    names = random.sample(["Quantity", "Amount", "Share", "City"], each)
    above: list[Cell] = [None]
    for group in range(groups):
        head = text(random.choice(["Plan", "Actual", f"Q{group + 1}", "Kunde: Anna"])) if random.random() < 0.6 else number(2024 + group)
        above += [head, *([None] * (each - 1))]
    below: list[Cell] = [text("Region"), *([text(name) for name in names] * groups)]
    if random.random() < 0.3:
        below = [text("Region"), *(number(f"{2020 + place}{random.choice(['', '.0'])}") for place in range(groups * each))]
    records = [[text(random.choice(_WORDS)), *(COLUMNS[name](random) for name in names * groups)] for _ in range(random.randint(1, 15))]
    title: Rows = [[text("Report of all regions")]] if random.random() < 0.5 else []
    top: Rows = [[None, text("Whole year")]] if random.random() < 0.3 else []
    return [*title, *top, above, below, *records]


def key_value(random: Random) -> Rows:
    """What is said about a sheet, in pairs, and the table under it."""
    pairs: Rows = [
        [
            text(random.choice(["Customer:", "Printed on", "Unit: EUR", "Period", "客户：", "Total"])),
            random.choice([text("Anna"), number(5), text("2026-11-02"), None]),
        ]
        for _ in range(random.randint(1, 12))
    ]
    return [*pairs, *([[]] * random.randrange(3)), *_table(random, _headers(random), random.randint(1, 12))]


def of_texts(random: Random) -> Rows:
    """All is text: words, names, codes, sentences; with or without a header."""
    kinds = random.sample(["City", "Place", "Note", "Order No", "Code"], random.randint(1, 4))
    headers: list[Cell] = [
        text(random.choice([kind, "Name", "was war", "Q1", "order_no", "数量", "a longer sentence that is no name of any column"]))
        for kind in kinds
    ]
    records = [[COLUMNS[kind](random) for kind in kinds] for _ in range(random.randint(1, 14))]
    return [headers, *records] if random.random() < 0.8 else records


def notations(random: Random) -> Rows:
    """Columns of one notation each, some of them spoilt, over enough rows for several batches."""
    headers = _headers(random, 3, 9)
    odd = random.choice([0, 0, 0.005, 0.05])
    return _table(random, headers, random.choice([5, 30, 90, 300]), odd=odd, blank=random.choice([0, 0, 0.2]))


def mixed(random: Random) -> Rows:
    """Columns in which several kinds of cells meet."""
    pairs = [random.sample(sorted(COLUMNS), 2) for _ in range(random.randint(2, 6))]
    rows: Rows = [[text(f"h{place}") for place in range(len(pairs))]]
    share = random.choice([0.5, 0.05, 0.9])
    rows += [[COLUMNS[pair[random.random() < share]](random) for pair in pairs] for _ in range(random.choice([3, 12, 80]))]
    return rows


def any_grid(random: Random) -> Rows:
    """Whatever stands where."""
    make = [*COLUMNS.values(), *[lambda random: random.choice(_ODD)] * 20, *[lambda _: None] * 30]
    wide = random.randint(1, 7)
    return [[random.choice(make)(random) for _ in range(random.randint(0, wide))] for _ in range(random.randint(1, 30))]


def totals(random: Random) -> Rows:
    """Blocks with subtotals, a grand total, rulers, and records that begin with the label of a total."""
    headers = ["City", *_headers(random, 1, 3), "Quantity", "Amount"]
    rows = [[text(header) for header in headers]]
    every = list(rows)
    for _ in range(random.randint(1, 4)):
        block = _table(random, headers, random.randint(1, 8))
        rows += block[1:]
        every += block[1:]
        if random.random() < 0.7:
            rows.append(_total(random, block))
        rows += random.choice([[], [[]], [[text("-----")] * len(headers)]])
    return [*rows, _total(random, every)]


def lists(random: Random) -> Rows:
    """What programs print: units under the header, rulers, the header again on each page, page numbers."""
    headers = _headers(random, 3, 6)
    head: Rows = [[text(header) for header in headers]]
    if random.random() < 0.5:
        head.append([text("-" * random.randint(2, 9)) for _ in headers])
    if random.random() < 0.5:
        head.append([text(random.choice(["kg", "EUR", "-", "(pcs)", "days"])) if random.random() < 0.8 else None for _ in headers])
    rows: Rows = [[text("List of stock")], [text(f"Page {1}")]] if random.random() < 0.5 else []
    for page in range(random.randint(1, 4)):
        rows += head + _table(random, headers, random.randint(2, 30))[1:]
        rows += random.choice([[], [[]], [[], [text("List of stock")], [text(f"Page {page + 2}")]]])
    return [*rows, *random.choice([[], [[text("=====")]], [[text("printed"), text("2026-11-02")]]])]


def printed(random: Random) -> Rows:
    """One column: lines of text, a series, or names."""
    lines = [
        random.choice(
            [text(f"Table {place}"), text(f"{place}.{place}a"), text("Name"), COLUMNS["Note"](random), COLUMNS["Place"](random), None]
        )
        for place in range(random.randint(2, 60))
    ]
    return [[line] for line in lines]


def wide(random: Random) -> Rows:
    """More columns than a batch is looked at for, few rows, many of them blank."""
    columns = random.choice([200, 1_100])
    names = [random.choice(sorted(COLUMNS)) for _ in range(columns)]
    rows: Rows = [[text(f"{name} {place}") for place, name in enumerate(names)]]
    return rows + [[COLUMNS[name](random) if random.random() < 0.3 else None for name in names] for _ in range(random.randint(1, 12))]


def long(random: Random) -> Rows:
    """Thousands of rows, with something else late in some column, blank rows as a habit, or notes at the end."""
    headers = _headers(random, 3, 6)
    rows = _table(random, headers, random.choice([600, 1500]))
    for _ in range(random.randrange(4)):
        rows[random.randrange(len(rows) // 2, len(rows))][random.randrange(len(headers))] = random.choice(_ODD)
    if random.random() < 0.3:
        rows = [row for each in rows for row in (each, *([[]] if random.random() < 0.3 else []))]
    return [*rows, *([[text("Printed by the office")]] if random.random() < 0.3 else [])]


FAMILIES: dict[str, Callable[[Random], Rows]] = {
    each.__name__: each
    for each in (decorated, stacked, beside, grouped, key_value, of_texts, notations, mixed, any_grid, totals, lists, printed, wide, long)
}


# ---------------------------------------------------------------- the command


def write(path: Path, sheets: int) -> str:
    """Write one line for each workbook; returns the digest of the whole."""
    lines = [json.dumps(record, ensure_ascii=True, sort_keys=True) for record in records(sheets)]
    whole = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(whole)
    return f"{len(lines)} workbooks, {len(whole):,} bytes, sha256 {sha256(whole).hexdigest()}"


def differences(one: Path, other: Path) -> list[str]:
    """What each workbook that differs is called, with the first place at which it does."""
    lines = [path.read_text(encoding="ascii").splitlines() for path in (one, other)]
    named = [{json.loads(line)["name"]: line for line in each} for each in lines]
    found = []
    for name in dict.fromkeys([*named[0], *named[1]]):
        here, there = named[0].get(name, ""), named[1].get(name, "")
        if here != there:
            place = next((at for at, (a, b) in enumerate(zip(here, there, strict=False)) if a != b), min(len(here), len(there)))
            found.append(f"{name}:\n  {here[max(0, place - 150) : place + 150]}\n  {there[max(0, place - 150) : place + 150]}")
    return found


def run(arguments: Sequence[str]) -> int:
    """The command; 0 when the two are equal, or the file was written."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=(__doc__ or "").strip().splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write")
    writing.add_argument("file", type=Path)
    writing.add_argument("--sheets", type=int, default=SHEETS)
    comparing = commands.add_parser("compare")
    comparing.add_argument("one", type=Path)
    comparing.add_argument("other", type=Path)
    asked = parser.parse_args(arguments)
    if asked.command == "write":
        print(write(asked.file, asked.sheets))
        return 0
    found = differences(asked.one, asked.other)
    print("\n".join([*found[:20], f"{len(found)} workbooks differ" if found else "equal, byte for byte"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
