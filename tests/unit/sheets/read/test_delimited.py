"""Text files give what the csv module gives, however they are cut into pieces."""

import csv
import io
from contextlib import ExitStack
from dataclasses import replace

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.handmade import grid_of

from levelpool.sheets.read import delimited
from levelpool.sheets.read.delimited import read_delimited
from levelpool.sheets.read.encoding import Encoding
from levelpool.sheets.read.formats import Format, detect_format
from levelpool.sheets.read.limits import Limits, Meter
from levelpool.sheets.read.source import ReadOptions, Source
from levelpool.sheets.read.workbook import read_workbook
from levelpool.sheets.table import TEXT

pieces = st.sampled_from(["a", "12", "ü", ",", ",", ",", "\n", "\n", "\r\n", "\r", " ", '"', '""', '","', '"\n"', ";", "\u2028", "\x0b"])
texts = st.lists(pieces, min_size=1, max_size=60).map("".join)
tables = st.lists(
    st.lists(st.sampled_from(["", "a", "12", "x y", "a,b", "a\nb", 'say "hi"']), min_size=3, max_size=3), min_size=1, max_size=20
)


def written(rows: list[list[str]]) -> str:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue()


def records(text: str, quoting: int) -> list[list[str]] | None:
    """The records by the csv module alone; None when a quoted field does not end."""
    lines = io.StringIO(text, newline="").readlines()
    fed = [0]

    def watched():
        for line in lines:
            fed[0] += 1
            yield line
        fed.append(fed[0])

    reader, found = csv.reader(watched(), quoting=quoting), []
    while True:
        fed[0] = 0
        record = next(reader, None)
        if quoting == csv.QUOTE_MINIMAL and len(fed) > 1 and fed[1]:
            return None
        if record is None:
            return found
        found.append(record)


@settings(max_examples=150, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    text=st.one_of(texts, tables.map(written), st.tuples(tables.map(written), texts).map("".join)),
    block=st.sampled_from([1, 7, 40, 1 << 18]),
)
@example(text="a,b\r\n1,2\r", block=4)
@example(text='a,b\n1,"2\n3"\n4,5\n', block=8)
def test_text_is_read_as_the_csv_module_reads_it(tmp_path, text, block):
    """Pieces without a quotation mark are cut by hand: nothing may come of that."""
    path = tmp_path / "a.csv"
    text = f"x\n{text}"  # a file without a cell is refused
    path.write_bytes(text.encode())
    before, delimited._BLOCK = delimited._BLOCK, block
    try:
        options = ReadOptions(encoding="utf-8", delimiter=",")
        sheet = read_workbook(path, tmp_path, options=options).sheets[0]
    finally:
        delimited._BLOCK = before

    expected = records(text, csv.QUOTE_MINIMAL)
    if expected is None:
        expected = records(text, csv.QUOTE_NONE)
    found = {row: cells for batch in sheet.batches() for row, cells, _ in grid_of(batch)}
    kinds = {kind for batch in sheet.batches() for _, _, row in grid_of(batch) for kind in row}

    assert found == {row: _trimmed(record) for row, record in enumerate(expected, 1) if any(record)}
    assert kinds <= {TEXT, None}
    assert sheet.cell_count == sum(1 for record in expected for field in record if field)


def _trimmed(record: list[str]) -> list[str | None]:
    cells = [field or None for field in record]
    while cells[-1] is None:
        cells.pop()
    return cells


def test_what_the_look_for_the_format_has_shown_is_not_looked_for_again(tmp_path):
    """The encoding that came out with the format is taken as it is: a large file is decoded once less."""
    path = tmp_path / "a.csv"
    path.write_text("größe,farbe\n1,rot\n", encoding="utf-8")
    meter = Meter("a.csv", Limits())

    found = detect_format(path, meter)
    with ExitStack() as opened:
        source = Source(path, "a.csv", tmp_path, meter, ReadOptions(), lambda _fraction: None, opened)
        told = read_delimited(replace(source, encoding=Encoding("cp1252", certain=True)))

    assert (found.format, found.encoding) == (Format.CSV, Encoding("utf-8", certain=True))
    assert told.encoding == "cp1252"
