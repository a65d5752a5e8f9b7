"""The fast reader gives what the parser gives, or leaves the rows to it."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from xml.parsers.expat import ExpatError

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.handmade import grid_of

from levelpool.sheets.errors import SheetError
from levelpool.sheets.read.limits import Limits, Meter
from levelpool.sheets.read.row_pattern import RowPattern
from levelpool.sheets.read.shared_texts import SharedTexts, read_shared_texts
from levelpool.sheets.read.source import ReadOptions, SheetBuilder, Source
from levelpool.sheets.read.xlsx_fast import PlainRows, read_rows
from levelpool.sheets.table import Sheet
from slow_readers import read_rows_slowly, read_shared_texts_slowly

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
STYLES = ["n", "nyyyy-mm-dd", "n0.00%"]
TEXTS = SharedTexts(["zero", "one", "ü & <two>"], {"0": "zero", "1": "one", "2": "ü & <two>"})
MANY = SharedTexts(TEXTS.by_number, are_plain=True)


def read(part: str | bytes, tmp_path: Path, reader: Callable, texts: SharedTexts = TEXTS, block: int = 97) -> object:
    """Everything that a reading gives, as one value that compares; of an error its kind."""
    data = part.encode() if isinstance(part, str) else part
    meter = Meter("a.xlsx", Limits())
    with ExitStack() as opened:
        source = Source(tmp_path / "a.xlsx", "a.xlsx", tmp_path, meter, ReadOptions(), lambda _fraction: None, opened)
        builder = SheetBuilder(source, "S", 0)
        try:
            reader((data[at : at + block] for at in range(0, len(data), block)), builder, texts, STYLES, meter)
        except (SheetError, ExpatError) as error:
            return type(error).__name__
        return content(builder.finish())


def content(sheet: Sheet) -> dict[str, object]:
    rows = [row for batch in sheet.batches() for row in grid_of(batch)]
    sums = {row: columns for batch in sheet.batches() for row, columns in batch.sums.items()}
    return {
        "rows": rows,
        "sums": sums,
        "merges": sheet.merges,
        "hidden": (sheet.hidden_rows, sheet.hidden_columns),
        "cells": sheet.cell_count,
        "remarks": sheet.remarks,
    }


def worksheet(rows: str, *, head: str = "", tail: str = "") -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><worksheet {MAIN}>{head}<sheetData>{rows}</sheetData>{tail}</worksheet>'


@pytest.fixture
def taken(monkeypatch) -> list[bool]:
    """What became of each run: True when the fast way took it."""
    seen: list[bool] = []
    real = PlainRows.take

    def watch(self, run: bytes, prefix: bytes) -> bool:
        seen.append(real(self, run, prefix))
        return seen[-1]

    monkeypatch.setattr(PlainRows, "take", watch)
    return seen


PLAIN = {
    "numbers, texts, booleans, errors": '<row r="1"><c r="A1"><v>1.50</v></c><c r="B1" t="s"><v>2</v></c><c r="C1" t="b"><v>1</v></c>'
    '<c r="D1" t="e"><v>#N/A</v></c></row><row r="2"><c r="A2" s="1"><v>46328</v></c></row>',
    "gaps, styled blanks, empty rows": '<row r="3" spans="1:9"><c r="C3" t="s"><v>0</v></c><c r="D3" s="1"/><c r="F3"><v>1</v></c></row>'
    '<row r="4"/><row r="5"></row><row r="9" hidden="1"><c r="A9"><v>2</v></c></row><row r="10" ht="15"/>',
    "formulas and sums": '<row r="1"><c r="A1"><f>B1+1</f><v>3</v></c><c r="B1"><f t="shared" ref="B1:B3" si="0">SUM(C1:C9)</f><v>4</v></c></row>'
    '<row r="2"><c r="B2"><f t="shared" si="0"/><v>5</v></c><c r="C2" t="str"><f>A1&amp;"x"</f><v>a &lt; b _x000D_</v></c></row>',
    "texts in place": '<row r="1"><c r="A1" t="inlineStr"><is><t xml:space="preserve"> a </t></is></c><c r="B1" t="str"><v>&#20013;&#x6587;</v></c></row>',
    "prefixed numbers of styles that do not exist": '<row r="1"><c r="A1" s="99"><v>1</v></c></row>',
}

UNUSUAL = {
    "no references": "<row><c><v>1</v></c><c><v>2</v></c></row><row><c><v>3</v></c></row>",
    "out of order": '<row r="1"><c r="B1"><v>2</v></c><c r="A1"><v>1</v></c></row>',
    "twice": '<row r="1"><c r="A1"><v>2</v></c><c r="A1"><v>1</v></c></row><row r="1"><c r="A1"><v>2</v></c></row>',
    "rich text": '<row r="1"><c r="A1" t="inlineStr"><is><r><t>a</t></r><r><t>b</t></r><rPh sb="0" eb="1"><t>no</t></rPh></is></c></row>',
    "value before inline text": '<row r="1"><c r="A1" t="inlineStr"><v>7</v><is><t>text</t></is></c><c r="B1"><is><t>8</t></is><v>9</v></c></row>',
    "no value": '<row r="1"><c r="A1"><f>SUM(B1:B3)</f><v></v></c><c r="B1"><f>NOW()</f></c><c r="C1" t="str"><f>""</f><v></v></c></row>',
    "a comment with rows in it": '<row r="1"><c r="A1"><v>1</v></c></row><!-- <row r="2"><c r="A2"><v>2</v></c></row>'
    '<row r="3"><c r="A3"><v>2</v></c></row> --><row r="4"><c r="A4"><v>4</v></c></row>',
    "character data": '<row r="1"><c r="A1" t="str"><v><![CDATA[a < b]]></v></c></row>',
    "an extension": '<row r="1"><c r="A1"><v>1</v><extLst><ext><v>no</v><f>no</f></ext></extLst></c></row>',
    "carriage returns": '<row r="1"><c r="A1" t="str"><v>a\r\nb\rc</v></c></row>',
    "a boolean that is none": '<row r="1"><c r="A1" t="b"><v>2</v></c></row>',
    "an entity nobody declared": '<row r="1"><c r="A1" t="str"><v>&nbsp;</v></c></row>',
    "a shared text that is missing": '<row r="1"><c r="A1" t="s"><v>3</v></c></row>',
    "a shared text below zero": '<row r="1"><c r="A1" t="s"><v>-1</v></c></row>',
    "cut off": '<row r="1"><c r="A1"><v>1</v></c>',
    "white space": '<row r="1">\n  <c r="A1">\n    <v>1</v>\n  </c>\n</row>\n',
    "references without a column": '<row r="1"><c r="1"><v>1</v></c><c r="7"><v>2</v></c></row>',
    "lower case": '<row r="1"><c r="b1"><v>1</v></c></row>',
    "an attribute twice": '<row r="1"><c r="A1" s="1" s="2"><v>1</v></c></row>',
}


@pytest.mark.parametrize("texts", [TEXTS, MANY], ids=["few texts", "many texts"])
@pytest.mark.parametrize("rows", PLAIN.values(), ids=PLAIN.keys())
def test_plain_rows_are_taken_the_fast_way(tmp_path, taken, rows, texts):
    """What programs usually write goes the fast way, and nothing of it is lost."""
    part = worksheet(rows, head='<cols><col min="2" max="3" hidden="1"/></cols>', tail='<mergeCells><mergeCell ref="A1:B2"/></mergeCells>')

    found = read(part, tmp_path, read_rows, texts, block=1 << 18)

    assert taken == [True]
    assert found == read(part, tmp_path, read_rows_slowly, texts)


@pytest.mark.parametrize("block", [13, 97, 1 << 18])
@pytest.mark.parametrize("rows", [*PLAIN.values(), *UNUSUAL.values()], ids=[*PLAIN, *UNUSUAL])
def test_both_readers_agree(tmp_path, rows, block):
    """However the part is cut into blocks, the fast reader's result is the parser's."""
    part = worksheet(rows)

    assert read(part, tmp_path, read_rows, block=block) == read(part, tmp_path, read_rows_slowly)


def test_prefixed_tags_go_the_fast_way_too(tmp_path, taken):
    """Some programs write <x:row>; a pattern that did not know it would see an empty sheet."""
    rows = PLAIN["numbers, texts, booleans, errors"]
    prefixed = worksheet(rows).replace("</", "</x:").replace("<row", "<x:row").replace("<c ", "<x:c ").replace("<v>", "<x:v>")
    prefixed = prefixed.replace("<sheetData", "<x:sheetData").replace("<worksheet xmlns=", "<x:worksheet xmlns:x=")

    found = read(prefixed, tmp_path, read_rows, block=1 << 18)

    assert taken == [True]
    assert found == read(worksheet(rows), tmp_path, read_rows_slowly)


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1"])
def test_other_encodings_are_read_by_the_parser(tmp_path, encoding):
    """A part says its encoding, and is believed."""
    part = worksheet('<row r="1"><c r="A1" t="str"><v>ü</v></c></row>').replace("UTF-8", encoding)

    assert read(part.encode(encoding), tmp_path, read_rows)["rows"] == [(1, ["ü"], ["s"])]


cell_texts = st.sampled_from(
    ["1", "1.10", "-5", "1E+400", "007", "", " ", "a", "&amp;", "&lt;b&gt;", "_x0041_", "ü", "2", "0", "true", "a]]b"]
)
cells = st.builds(
    lambda attributes, body: (attributes, body),
    st.sampled_from(
        ["", ' s="1"', ' t="s"', ' s="2" t="n"', ' t="b"', ' t="str"', ' t="e"', ' t="d"', ' t="inlineStr"', ' s="9"', ' t="s" s="1"']
    ),
    st.one_of(
        st.just(None),
        cell_texts.map("<v>{}</v>".format),
        cell_texts.map("<is><t>{}</t></is>".format),
        cell_texts.map("<f>SUM(A1:A2)</f><v>{}</v>".format),
        cell_texts.map('<f t="shared" si="1"/><v>{}</v>'.format),
        st.just("<f>A1</f>"),
        st.just("<v/>"),
        st.just("<is><r><t>x</t></r></is>"),
    ),
)
sheet_rows = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["", ' hidden="1"', ' spans="1:3"', ' ht="12"']),
        st.lists(st.tuples(st.sampled_from([0, 0, 0, 1, 2, -1]), cells), max_size=5),
    ),
    max_size=8,
)


def write_rows(rows: list) -> str:
    written, number = "", 0
    for step, attributes, row in rows:
        number += step
        written += f'<row r="{number}"{attributes}>'
        column = -1
        for gap, (cell, body) in row:
            column = max(column + 1 + gap, 0)
            written += f'<c r="{chr(65 + column)}{number}"{cell}' + ("/>" if body is None else f">{body}</c>")
        written += "</row>"
    return written


@settings(max_examples=300, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rows=sheet_rows, block=st.sampled_from([31, 200, 1 << 18]), texts=st.sampled_from([TEXTS, MANY]))
def test_both_readers_agree_on_any_sheet(tmp_path, rows, block, texts):
    """Whatever cells stand beside each other, usual or not."""
    part = worksheet(write_rows(rows))

    assert read(part, tmp_path, read_rows, texts, block) == read(part, tmp_path, read_rows_slowly, texts)


usual_cells = st.one_of(
    st.sampled_from(
        [
            ("", "<v>1</v>"),
            ("", "<v>0.30000000000000004</v>"),
            (' s="1"', "<v>46328</v>"),
            (' s="2"', "<v>0.5</v>"),
            (' t="s"', "<v>0</v>"),
            (' t="s"', "<v>2</v>"),
            (' s="1" t="s"', "<v>1</v>"),
            (' t="b"', "<v>1</v>"),
            (' t="str"', "<f>A1</f><v>a_x0041_ &amp;</v>"),
            ("", "<f>SUM(A1:A2)</f><v>3</v>"),
            ("", '<f t="shared" ref="A1:A9" si="1">SUM(B1)</f><v>3</v>'),
            ("", '<f t="shared" si="1"/><v>5</v>'),
            (' t="inlineStr"', '<is><t xml:space="preserve"> b\n</t></is>'),
            (' t="e"', "<v>#N/A</v>"),
            (' s="1"', None),
        ]
    ),
    st.tuples(st.just(' t="s"'), st.sampled_from(["<v>0</v>", "<v>1</v>"])),
)
usual_rows = st.lists(
    st.tuples(
        st.just(1),
        st.sampled_from(["", "", ' hidden="1"', ' spans="1:3"']),
        st.lists(st.tuples(st.sampled_from([0, 0, 0, 1]), usual_cells), max_size=5),
    ),
    min_size=1,
    max_size=4,
)


def repeat(rows: list, order: list[tuple[int, int]]) -> str:
    """The rows of *rows* again and again, so that they have a pattern; *order* says which, and how far it stands from the one before."""
    return write_rows([(step, *rows[which % len(rows)][1:]) for which, step in order])


@settings(max_examples=100, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    rows=usual_rows,
    odd=sheet_rows,
    order=st.lists(st.tuples(st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3]), st.sampled_from([1, 1, 1, 1, 2, 0])), min_size=40, max_size=80),
    block=st.sampled_from([700, 3000, 1 << 18]),
)
def test_both_readers_agree_on_rows_that_look_alike(tmp_path, rows, odd, order, block):
    """What the pattern of the first rows makes of the later ones, whatever stands between them, is what the parser makes of them."""
    part = worksheet(repeat(rows, order) + write_rows(odd) + repeat(rows, order[:20]))

    for texts in (TEXTS, MANY):
        assert read(part, tmp_path, read_rows, texts, block) == read(part, tmp_path, read_rows_slowly, texts)


EXPORT = (
    '<row r="{0}" spans="1:9"><c r="A{0}"><v>{0}</v></c><c r="B{0}" t="s"><v>{1}</v></c>{2}<c r="D{0}" s="{3}"><v>4632{1}.5</v></c>'
    '<c r="E{0}" t="b"><v>1</v></c><c r="F{0}" s="1"/><c r="G{0}" t="str"><f>SUM(A1:A{0})</f><v>a &amp; _x0041_</v></c>'
    '<c r="I{0}" t="inlineStr"><is><t xml:space="preserve"> x </t></is></c></row>'
)


@pytest.mark.parametrize("texts", [TEXTS, MANY], ids=["few texts", "many texts"])
def test_rows_of_an_export_are_taken_by_their_pattern(tmp_path, monkeypatch, texts):
    """Once some rows were read, those like them are read as a whole: missing cells, several styles, formulas and hidden rows included."""
    matched = []
    real = RowPattern.split
    monkeypatch.setattr(RowPattern, "split", lambda self, run: matched.append(real(self, run)) or matched[-1])
    rows = [EXPORT.format(n, n % 3, f'<c r="C{n}" t="e"><v>#N/A</v></c>' if n % 4 else "", n % 2) for n in range(1, 400)]
    rows[300] = rows[300].replace('spans="1:9"', 'hidden="1"')
    rows[310] = '<row r="311"/>'
    rows[320] = '<row r="321"><c r="Z321"><v>1</v></c></row>'
    part = worksheet("".join(rows))

    found = read(part, tmp_path, read_rows, texts, block=20_000)

    assert found == read(part, tmp_path, read_rows_slowly, texts)
    assert found["hidden"][0] == {301}
    assert found["sums"][399] == {6}
    assert sum(each.count for each in matched) > 330


items = st.sampled_from(
    [
        "<si><t>a</t></si>",
        '<si><t xml:space="preserve"> b </t></si>',
        "<si><t/></si>",
        "<si/>",
        "<si><t></t></si>",
        "<si><r><t>c</t></r><r><t>d</t></r></si>",
        "<si><t>漢</t><rPh sb='0' eb='1'><t>かん</t></rPh></si>",
        "<si><t>&amp;_x0041_&#65;</t></si>",
        "<si><t>a\r\nb</t></si>",
        "\n",
        "<!-- <si><t>no</t></si> -->",
    ]
)


@settings(max_examples=200, derandomize=True)
@given(items=st.lists(items, max_size=12), block=st.sampled_from([17, 60, 1 << 18]), prefix=st.sampled_from(["", "x:"]))
def test_both_readers_agree_on_shared_texts(items, block, prefix):
    """Shared texts come in the same number and order, or every cell would show another one's text."""
    part = f"<sst {MAIN}>{''.join(items)}</sst>"
    if prefix:
        part = (
            part.replace("<!-- <si><t>no</t></si> -->", "")
            .replace("</", "</x:")
            .replace("<", "<x:")
            .replace("<x:/x:", "</x:")
            .replace("xmlns=", "xmlns:x=")
        )
    data = part.encode()

    def blocks():
        return (data[at : at + block] for at in range(0, len(data), block))

    assert list(read_shared_texts(blocks(), Meter("a", Limits())).by_number) == list(
        read_shared_texts_slowly(blocks(), Meter("a", Limits())).by_number
    )
