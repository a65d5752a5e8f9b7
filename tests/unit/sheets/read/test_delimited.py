"""Text files give what the csv module gives, however they are cut into pieces."""

import csv
import io
from contextlib import ExitStack
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.handmade import grid_of

from levelpool.sheets.errors import DamagedFile, SheetError, UnreadableFile
from levelpool.sheets.read import text as text_file
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
    before, text_file._BLOCK = text_file._BLOCK, block
    try:
        options = ReadOptions(encoding="utf-8", delimiter=",")
        sheet = read_workbook(path, tmp_path, options=options).sheets[0]
    finally:
        text_file._BLOCK = before

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


def put(tmp_path, data, name="orders.csv"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def test_sheet_of_a_text_file_goes_by_its_shown_name(tmp_path):
    """The name that the report shows, or the first place; any other is told, as of a workbook."""
    path = put(tmp_path, b"a,b\n1,2\n")

    for sheet in ("orders", 0, None):
        assert [each.name for each in read_workbook(path, tmp_path, options=ReadOptions(sheet=sheet)).sheets] == ["orders"]
    for sheet in ("May", 1, "orders.csv"):
        with pytest.raises(SheetError, match=f"^orders.csv has no sheet {sheet!r}: it has 'orders'"):
            read_workbook(path, tmp_path, options=ReadOptions(sheet=sheet))


@pytest.mark.parametrize("end", [b"\x1a", b"\r\n\x1a", b"\r\n\x1a\x1a\x1a\x1a", b"\r\n\x1a\r\n"])
def test_end_mark_of_dos_is_no_cell(tmp_path, end):
    """It is told in a remark, and takes no row; the records before it are whole."""
    workbook = read_workbook(put(tmp_path, b"id,name\r\n1,a\r\n2,b" + end), tmp_path)

    assert list(map(list, rows_of(workbook))) == [["id", "name"], ["1", "a"], ["2", "b"]]
    assert workbook.remarks == ("the file ends with the end mark of DOS (0x1A), which is no cell",)


def test_end_mark_of_dos_within_a_file_is_data(tmp_path):
    """What stands behind it would be lost."""
    workbook = read_workbook(put(tmp_path, b"id,name\n1,a\x1ab\n\x1a\n2,c\n"), tmp_path)

    assert list(map(list, rows_of(workbook))) == [["id", "name"], ["1", "a\x1ab"], ["\x1a"], ["2", "c"]]
    assert workbook.remarks == ()


@pytest.mark.parametrize(
    ("asked", "data", "sentence"),
    [
        (
            "utf-8",
            "id,name\n1,a\n2,Müller\n".encode("cp1252"),
            "0xFC in line 3, 15 bytes from the beginning, is no character of it; cp1252 fits",
        ),
        ("cp1252", "id,name\n1,Łódź\n2,Zürich\n3,Ý\x81\n".encode("iso-8859-2", "replace").replace(b"?", b"L"), "0x81 in line 4"),
        ("utf-16", b"id,name\n1,a\n", "0x69 0x64 in line 1, 0 bytes from the beginning, is no character of it; utf-8 fits"),
        ("gb18030", "id,name\n1,a\n2,caf\xe9,\n".encode("cp1252"), "line 3"),
        ("ascii", "id,name\r\n1,a\r\n2,Ł\r\n".encode(), "0xC5 in line 3, 16 bytes from the beginning,"),
    ],
)
def test_wrong_encoding_that_was_asked_for_is_told_with_its_byte(tmp_path, asked, data, sentence):
    """The file is not damaged: the person asked for another encoding than its own."""
    with pytest.raises(UnreadableFile) as told:
        read_workbook(put(tmp_path, data), tmp_path, options=ReadOptions(encoding=asked))

    assert f"orders.csv is not written in {asked}, which was asked for" in str(told.value)
    assert sentence in str(told.value)
    assert not isinstance(told.value, DamagedFile)


def test_encoding_asked_for_is_taken_with_a_broken_byte_where_no_other_fits_better(tmp_path):
    """The correction record of a file that was read as UTF-8 with broken bytes says utf-8, and must load the same again."""
    path = put(tmp_path, "id,name\n1,Müller\n2,Schäfer\n".encode() + b"3,Stra\xdfe\n")

    workbook = read_workbook(path, tmp_path, options=ReadOptions(encoding="UTF-8"))

    assert list(rows_of(workbook))[3] == ["3", "Stra\ufffde"]
    assert workbook.remarks == ("some bytes are no characters of UTF-8, the first of them 0xDF in line 4: they are shown as \ufffd",)


@pytest.mark.parametrize(
    ("asked", "written"), [("utf-8", "utf-8-sig"), ("utf-16", "utf-16-le"), ("utf-16", "utf-16"), ("utf-16", "utf-16-be")]
)
def test_byte_order_mark_may_be_there_or_not(tmp_path, asked, written):
    """A person knows the encoding, and not whether its mark is there."""
    workbook = read_workbook(put(tmp_path, "id,name\n1,Łódź\n".encode(written)), tmp_path, options=ReadOptions(encoding=asked))

    assert list(map(list, rows_of(workbook))) == [["id", "name"], ["1", "Łódź"]]


def rows_of(workbook):
    return [cells for batch in workbook.sheets[0].batches() for _, cells, _ in grid_of(batch)]


def read(tmp_path, text, **asked):
    """The rows, the delimiter and all remarks."""
    workbook = read_workbook(put(tmp_path, text.encode()), tmp_path, options=ReadOptions(**asked))
    rows = [list(cells) for cells in rows_of(workbook)]
    return [_trimmed(row) for row in rows], workbook.delimiter, [*workbook.remarks, *workbook.sheets[0].remarks]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^", "~", "§", "¦", "\x01", "\x1f"])
def test_delimiter_is_found(tmp_path, delimiter):
    """The usual ones, and those that programs take because no text has them."""
    rows = [["id", "name", "at"], ["1", "Smith", "2026-11-01 10:15"], ["2", "Lee-Ann", "2026-11-02 11:30"]]

    found = read(tmp_path, "\n".join(delimiter.join(row) for row in rows))

    assert found == (rows, delimiter, [])


@pytest.mark.parametrize("text", ["a^b,c~d\n1,x^y\n2,z~w\n", "a,b^\n1,2^\n3,4^\n"])
def test_rare_delimiter_comes_behind_the_usual_ones(tmp_path, text):
    """It may stand in texts, and in every line of them."""
    assert read(tmp_path, text)[1] == ","


@pytest.mark.parametrize(
    ("first", "mark"), [("sep=;", ";"), ('"sep=|"', "|"), ("SEP=^", "^"), ("sep=\t", "\t"), ("\ufeffsep=;", ";"), ("sep=;;;", ";")]
)
def test_first_line_may_name_any_delimiter(tmp_path, first, mark):
    """As spreadsheet programs take it, quoted or not."""
    rows, delimiter, remarks = read(tmp_path, f"{first}\na{mark}b\n1,5{mark}2\n")

    assert (rows, delimiter) == ([["a", "b"], ["1,5", "2"]], mark)
    assert remarks[-1] == f"the first line only names the delimiter {mark!r}"


@pytest.mark.parametrize(
    "text",
    [
        "address\nRome, Italy\nParis\nNew York, NY, USA\nBonn\nOslo\n",
        "amount\n1,50\n2,75\n1.203,00\n",
        "note\nfine\nlate; sent again\nfine\nbroken; returned; paid\nfine\nfine\n",
    ],
)
def test_one_column_stays_one_column(tmp_path, text):
    """Commas of a sentence, decimals, a mark now and then: nothing parts the lines, and the report says what was left alone."""
    rows, _, remarks = read(tmp_path, text)

    assert rows == [[line] for line in text.splitlines()]
    assert "each line is one cell" in remarks[0]
    assert len(read(tmp_path, text, delimiter=",", quote="")[0]) == len(rows)


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("id;text, more\n1;a, b\n2;c, d\n", ";"),
        ("Notes: one, two, three\nMore, and, words\nid;name;n\n1;Smith;2\n", ";"),
        ("id, name, tags\n1, Lee, a;b\n2, Cox, c;d\n", ","),
        ("Sales\nname,n\nLee,1\nCox,2\n", ","),
        ("id;amount\n1;1,234.50\n2;2,345.60\n", ";"),
    ],
)
def test_commas_of_sentences_part_nothing(tmp_path, text, delimiter):
    """Beside another delimiter; without one they are the delimiter, blanks and all."""
    assert read(tmp_path, text)[1] == delimiter


def test_quotation_marks_behind_a_backslash_count_alone(tmp_path):
    """As databases write them; the backslashes of a path stay."""
    rows, _, remarks = read(tmp_path, 'id,text,n\n1,"say \\"hi\\", ok",5\n2,"a \\\\\\"b\\" c",6\n')
    paths, _, none = read(tmp_path, 'id,path,n\n1,"C:\\dir\\",5\n2,"D:\\x, y\\",6\n')

    assert rows[1:] == [["1", 'say "hi", ok', "5"], ["2", 'a \\\\"b" c', "6"]]
    assert "\\" in remarks[0]
    assert (paths[1:], none) == ([["1", "C:\\dir\\", "5"], ["2", "D:\\x, y\\", "6"]], [])


def test_blanks_in_front_of_quotation_marks_do_not_count(tmp_path):
    """Else the marks would be part of the text, and the commas between them delimiters."""
    rows, _, remarks = read(tmp_path, 'id, "name", "note"\n1, "Smith, John", "x"\n2, "Lee, Ann", "say ""y"", z"\n')

    assert rows == [["id", "name", "note"], ["1", "Smith, John", "x"], ["2", "Lee, Ann", 'say "y", z']]
    assert "blanks" in remarks[0]
    assert read(tmp_path, 'a,b\n1, "x" y\n2, z\n')[0] == [["a", "b"], ["1", ' "x" y'], ["2", " z"]]


def test_single_quotation_marks_enclose_fields_where_all_pair_up(tmp_path):
    """An apostrophe encloses nothing."""
    rows, _, remarks = read(tmp_path, "id,name,n\n1,'Smith, John',2\n2,'O''Neil, Ann',3\n")

    assert rows == [["id", "name", "n"], ["1", "Smith, John", "2"], ["2", "O'Neil, Ann", "3"]]
    assert "single quotation marks" in remarks[0]
    assert read(tmp_path, "id,name\n1,O'Neil\n2,'t Hooft\n")[0] == [["id", "name"], ["1", "O'Neil"], ["2", "'t Hooft"]]


def test_byte_order_marks_between_files_that_were_put_together_are_no_text(tmp_path):
    """The header below would have another name, and its quotation marks would be text."""
    rows, _, remarks = read(tmp_path, '\ufeff"id","name"\n"1","a, b"\n\ufeff"id","name"\n"2","c\ufeff"\n')

    assert rows == [["id", "name"], ["1", "a, b"], ["id", "name"], ["2", "c\ufeff"]]
    assert remarks == [
        "1 byte order mark stands within the file, as where several were put together: they are no part of the cells",
    ]


def test_text_behind_a_closing_quotation_mark_is_told(tmp_path):
    """A mark that nothing closes swallows the next record up to its first mark: nobody would see it."""
    rows, _, remarks = read(tmp_path, 'id,name,n\n1,"Smith, A",2\n2,"Lee,3\n3,"Cox, B",4\n4,"Day, C",5\n')

    assert len(rows) == 4
    assert "in row 3 text follows a quotation mark that closes a field" in remarks[0]


FIXED = [
    ["ID", "NAME", "CITY", "AMOUNT"],
    ["1", "Smith, John", "Rome", "1,50"],
    ["2", "Brown", "New York", "1.212,00"],
    ["3", "Lee", "", "3,00"],
]


@pytest.mark.parametrize("rule", ["", "----- -------------- --------- ---------\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_columns_of_a_fixed_width_are_cut(tmp_path, rule, end):
    """The blanks that stand in every line part them; commas of numbers do not, nor single blanks."""
    lines = [f"{number:<6}{name:<15}{city:<10}{amount:>9}\n" for number, name, city, amount in FIXED]

    rows, delimiter, remarks = read(tmp_path, "".join([lines[0], rule, *lines[1:]]).replace("\n", end))

    assert [row for row in rows if not row[0].startswith("-")] == [[cell or None for cell in row] for row in FIXED]
    assert delimiter is None
    assert "4 columns of a fixed width, beginning at the characters 1, 7, 22, 3" in remarks[0]


@pytest.mark.parametrize(
    "text",
    [
        "Anna Smith\nBert Brown\nCarl Green\n",  # one blank at one place
        "a,  b\n1,  2\n3,  4\n",  # a delimiter in every line
        "ID    NAME\n1     Lee\n2     Cox\nsee the note below\n",  # one line that is no row
        "A     B\n1     2\n",  # too few lines
    ],
)
def test_what_only_looks_like_columns_is_not_cut(tmp_path, text):
    """Each line must have the blanks, and there must be some lines."""
    assert not any("fixed width" in remark for remark in read(tmp_path, text)[2])
