"""Pages: what a browser shows is the cell, or the value that an office program left behind it; and pages packed as web archives."""

import base64
import quopri

import pytest

from levelpool.sheets.errors import DamagedFile, NotASpreadsheet
from levelpool.sheets.inspect import inspect_file


def look(page: str | bytes, name: str = "stock.xls") -> dict:
    """The report of a page."""
    return inspect_file(page if isinstance(page, bytes) else page.encode(), name=name).to_dict()


def page(*rows: str, head: str = "") -> str:
    """A page with one table of these rows, under a header of two names."""
    return f"<html><head>{head}</head><body><table><tr><th>Part<th>Weight</tr>{''.join(rows)}</table></body></html>"


def weights(report: dict) -> tuple[str, list[str]]:
    """Type and first values of the second column."""
    column = report["sheets"][0]["columns"][1]
    return column["type"], column["samples"]


def part(cell: str, number: int = 1, more: str = "") -> str:
    return f"<tr><td>P-{number}</td><td{more}>{cell}</td></tr>"


@pytest.mark.parametrize(
    ("head", "hidden"),
    [
        ("", '<i style="display:none">9</i>{}'),
        ("", "{}<b hidden>9</b>"),
        ("", '{}<span style="visibility: hidden">9</span>'),
        ("", "{}<span style='mso-hide:all'>9</span>"),
        ("", '{}<span style="position:absolute;left:-5000px">9</span>'),
        ("", '{}<span style="font-size:0">9</span>'),
        ("<style>.key{DISPLAY : none !important}</style>", '<em class="key other">9</em>{}'),
        ("<style>td i.k, #none { display: none; }</style>", '<i class="k">9</i>{}'),
        ("<style>table > tr, table td > i { display: none }</style>", "{}<i>9</i>"),
        ("<style>@media screen { #x7 { display: none } }</style>", '<u id="x7">9</u>{}'),
        ("<style><!-- .a{color:red} /* .b{} */ .b{display:none} --></style>", '<u class="b">9<b>9</b></u>{}'),
        ("", "<noscript>9</noscript>{}<script>9</script>"),
        ("", "{}<ruby><rt>9</rt></ruby>"),
        ("", "<select><option>9</option><option selected>{}</option><option>9</select>"),
        ("", '<input type="hidden" value="9"><input value="{}">'),
    ],
)
def test_what_no_browser_shows_is_no_part_of_a_cell(head, hidden):
    """7.25 stays 7.25, whatever hides the digit beside it."""
    report = look(page(*(part(hidden.format(f"{each}.25"), each) for each in (7, 8)), head=head))

    assert weights(report) == ("NUMERIC", ["7.25", "8.25"])


@pytest.mark.parametrize(
    ("head", "shown"),
    [
        ("<style>@media print { .k { display: none } }</style>", '<i class="k">1</i>7'),
        ("<style>.k { display: none } i.k.on { display: inline }</style>", '<i class="k on">1</i>7'),
        ("<style>.k { display: none }</style>", '<i class="k" style="display:inline">1</i>7'),
        ("<style>div .k { display: none }</style>", '<i class="k">1</i>7'),
        ("", '<i style="font-size:12px;display:block">1</i>7'),
        ("", "<i style='display:none'></i>17"),
    ],
)
def test_what_a_browser_shows_is_read(head, shown):
    """A rule for paper, or one that another rule outweighs, hides nothing."""
    report = look(page(part(shown), part("18", 2), head=head))

    assert weights(report) == ("BIGINT", ["17", "18"])


def test_hidden_text_and_rules_that_are_not_followed_are_told():
    """How many pieces, and the first; and the rule, because it might hide a part of a cell."""
    head = "<style>tr:nth-child(9) td{display:none}</style>"
    remarks = look(page(part("<i hidden>17</i>5"), part("<i hidden>18</i>6", 2), head=head))["remarks"]

    assert "2 hidden pieces of text are left off, as no browser shows them: the first is '17' (row 2)" in remarks
    assert "1 rule of the page that hides something is not followed: 'tr:nth-child(9) td'" in remarks


@pytest.mark.parametrize("how", ["style='display:none'", "hidden", 'class="tpl"'])
def test_a_hidden_row_is_a_record_and_a_template_is_none(how):
    """A filter hides records; a row that fits no column is there to be copied."""
    rows = [part(f"{each}.5", each) for each in range(2, 6)]
    hidden = f"<tr {how}><td>P-1</td><td>1.5</td></tr>"
    template = f"<tbody {how}><tr><td>(new)</td><td>weight here</td></tr></tbody>"
    (sheet,) = look(page(hidden, *rows, template, head="<style>.tpl{display:none}</style>"))["sheets"]

    assert (sheet["rows"], sheet["columns"][1]["type"]) == (5, "NUMERIC")
    assert [(each["row"], each["reason"]) for each in sheet["outside"]] == [(1, "header"), (7, "hidden")]


def test_a_row_that_nobody_closed_hides_no_other():
    """A browser ends a cell where the next one begins, and with it what was hidden within."""
    report = look(page("<tr><td>P-1<td>1.5<span style='display:none'>9<tr><td>P-2<td>2.5"))

    assert (report["sheets"][0]["rows"], weights(report)) == (2, ("NUMERIC", ["1.5", "2.5"]))
    assert not any("hidden row" in reason for reason in report["sheets"][0]["reasons"])


@pytest.mark.parametrize(
    ("header", "rows", "names"),
    [
        # a hidden column stays a column
        ("<tr><th hidden>Key<th>Part<th>Weight", "<tr><td hidden>{0}<td>P-{0}<td>{0}.5", ["key", "part", "weight"]),
        # of a header alone: the rows have nothing there
        ("<tr><th hidden>Key<th>Part<th>Weight", "<tr><td>P-{0}<td>{0}.5", ["key", "part", "weight"]),
        # of the rows alone: no browser leaves room for it
        ("<tr><th>Part<th>Weight", "<tr><td hidden>{0}<td>P-{0}<td>{0}.5", ["part", "weight"]),
        ("<colgroup><col><col style='display:none'></colgroup><tr><th>Part<th>Weight", "<tr><td>P-{0}<td>{0}.5", ["part", "weight"]),
    ],
)
def test_hidden_cells_stand_where_they_stand_under_the_others(header, rows, names):
    """No value moves under another name."""
    body = "".join(rows.format(each) for each in (1, 2, 3))
    (sheet,) = look(f"<html><table>{header}{body}</table></html>")["sheets"]

    columns = {column["name"]: column["samples"] for column in sheet["columns"]}
    assert list(columns) == names
    assert (columns["part"], columns["weight"]) == (["P-1", "P-2", "P-3"], ["1.5", "2.5", "3.5"])


X = '<html xmlns:x="urn:schemas-microsoft-com:office:excel">'


@pytest.mark.parametrize(
    ("attributes", "shown", "type_", "value"),
    [
        ('x:num="0.123456789"', "0.12", "NUMERIC", "0.123456789"),
        ('x:num="0.125" style=\'mso-number-format:"0\\.0%"\'', "12.5%", "NUMERIC", "0.125"),
        ("x:num", "512", "BIGINT", "512"),
        ('x:num="1234.5678"', "USD 1,234.57", "NUMERIC", "1234.5678"),
        ('class=d x:num="46329"', "Tuesday", "DATE", "2026-11-03"),
        ('style="mso-number-format:\'Short Time\'" x:num="0.354166667"', "8:30", "TIME", "08:30:00"),
        ('x:num="46329"', "03.11.2026", "TEXT", "03.11.2026"),  # nobody says that it is a date
        ('x:str="  0042"', "0042", "TEXT", "  0042"),
        ('x:bool="TRUE"', "WAHR", "BOOLEAN", "true"),
        ('sdval="1234.56789" sdnum="1031;0;#.##0,00"', "1.234,57", "NUMERIC", "1234.56789"),
        ('sdval="46329" sdnum="1033;1033;MM/DD/YY"', "11/03/26", "DATE", "2026-11-03"),
        ('sdval="1" sdnum="1033;0;BOOLEAN"', "TRUE", "BOOLEAN", "true"),
        ('data-sheets-value=\'{"1":3,"3":0.3333333}\'', "33%", "NUMERIC", "0.3333333"),
        ('data-sheets-value=\'{"1":3,"3":46329}\' data-sheets-numberformat=\'{"1":5,"2":"d mmm","3":1}\'', "3 Nov", "DATE", "2026-11-03"),
        ('data-sheets-value=\'{"1":2,"2":"0042"}\'', "0042", "TEXT", "0042"),
    ],
)
def test_value_behind_a_cell_counts(attributes, shown, type_, value):
    """Excel, LibreOffice and Google Sheets leave it there, with the format that says what it is."""
    head = '<style>.d {mso-number-format:"\\[$-F800\\]dddd\\;\\@";}</style>'
    report = look(X + page(part(shown, more=f" {attributes}"), part(shown, 2, f" {attributes}"), head=head))

    assert weights(report) == (type_, [value])


def test_remark_says_how_many_cells_have_a_value_behind_them():
    """The others are text, and that is not hidden."""
    remarks = look(X + page(part("1.2", more=' x:num="1.23"'), part("2.2", 2, ' x:num="2.23"')))["remarks"]

    assert remarks == [
        "2 cells hold their values behind the text that is shown, and that value counts; all other cells of the page are text"
    ]


# ---------------------------------------------------------------- web archives


def archive(*parts: tuple[str, str, str], charset: str = "utf-8") -> bytes:
    """A web archive of these pages: place, transfer encoding, and page."""
    packed = [
        b'From: "saved"\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related;\r\n\ttype="text/html";\r\n\tboundary="=_next"\r\n\r\n'
    ]
    for place, how, html in parts:
        content = html.encode(charset)
        body = {"base64": base64.encodebytes, "quoted-printable": quopri.encodestring}.get(how, bytes)(content)
        head = f'Content-Type: text/html; charset="{charset}"\r\nContent-Transfer-Encoding: {how}\r\nContent-Location: file:///C:/{place}\r\n\r\n'
        packed.append(b"--=_next\r\n" + head.encode() + body + b"\r\n")
    return b"".join([*packed, b"--=_next--\r\n"])


LONG = "".join(part(f"{each}04857600000001{' ' * 60}", each) for each in range(2, 5))


@pytest.mark.parametrize("how", ["quoted-printable", "base64", "8bit"])
@pytest.mark.parametrize("charset", ["utf-8", "gb18030", "utf-16"])
def test_page_of_a_web_archive_is_read_as_it_was(how, charset):
    """Whole digits, whatever cuts the lines, and the letters of its encoding."""
    if (how, charset) == ("8bit", "utf-16"):
        charset = "cp1251"
    report = look(archive(("book.htm", how, page(LONG).replace("Part", "Часть")), charset=charset), "list.mht")

    assert report["format"] == "mht"
    assert weights(report) == ("BIGINT", ["204857600000001", "304857600000001", "404857600000001"])
    assert report["sheets"][0]["columns"][0]["header"] == "Часть"


def test_each_page_of_a_web_archive_is_a_sheet():
    """By the names that Excel gave them; its list of the sheets is none."""
    frame = (
        '<html><!--[if gte mso 9]><xml><x:ExcelWorksheet><x:Name>Q&amp;A</x:Name><x:WorksheetSource HRef="b/s1.htm"/></x:ExcelWorksheet>'
        '<x:ExcelWorksheet><x:Name>May</x:Name><x:WorksheetSource HRef="b/s2.htm"/></x:ExcelWorksheet></xml><![endif]--></html>'
    )
    tabs = "<html><table><tr><td>Q&amp;A<td>May</table></html>"
    parts = [("b.htm", frame), ("b/tabstrip.htm", tabs), ("b/s1.htm", page(part("1"))), ("b/s2.htm", page(part("2.5")))]
    report = look(archive(*((place, "quoted-printable", html) for place, html in parts)))

    assert [(sheet["name"], sheet["rows"]) for sheet in report["sheets"]] == [("Q&A", 1), ("May", 1)]


def test_mail_without_a_table_is_refused_by_its_name():
    """And says what the page says."""
    with pytest.raises(NotASpreadsheet, match=r"a web archive \(\.mht\) or a mail without a table, which says 'Please sign in'"):
        look(archive(("a.htm", "base64", "<html><body>Please sign in</body></html>")))


def test_web_archive_of_endless_parts_is_refused():
    """Parts within parts cost a look at each boundary for every line."""
    nested = "".join(f'Content-Type: multipart/mixed; boundary="{each}"\r\n\r\n--{each}\r\n' for each in range(50))
    with pytest.raises(DamagedFile, match="more than 20 deep"):
        look(b"MIME-Version: 1.0\r\n" + nested.encode())
