"""What shops, banks and instruments write as text, from the bytes to the table that a person sees."""

import pytest

from levelpool.sheets import ColumnOptions, TableOptions, inspect_file
from levelpool.sheets.errors import NotASpreadsheet, OptionsRefused


def look(content, name="export.csv", **said):
    """The report of a file with this content."""
    data = content if isinstance(content, bytes) else content.encode()
    return inspect_file(data, name=name, options=TableOptions(**said)).to_dict()


def first(report):
    return report["sheets"][0]


def types(report):
    return {column["name"]: column["type"] for column in first(report)["columns"]}


def told(report):
    """All that is said in words."""
    sheet = first(report)
    return " ".join([*report["remarks"], *sheet["remarks"], *sheet["reasons"], *(column["why"] for column in sheet["columns"])])


# ---------------------------------------------------------------- NULs

STOCK = "sku;menge;ort\nA-1;12;Köln\nA-2;7;Lünen\nA-3;19;Mölln\nA-4;30;Fürth\n"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
@pytest.mark.parametrize("place", range(14, 20))
def test_one_nul_makes_no_file_utf16(encoding, place):
    """Wherever it stands, the other rows are read, and its own row is loaded without a NUL at the end of a field, or set aside with the reason."""
    data = STOCK.encode(encoding)

    report = look(data[:place] + b"\0" + data[place:])

    sheet = first(report)
    assert types(report) == {"sku": "TEXT", "menge": "BIGINT", "ort": "TEXT"}
    assert sheet["rows"] + len(sheet["quarantine"]) == 4
    assert [each["reason"] for each in sheet["quarantine"]] == [] or "no database" in sheet["quarantine"][0]["reason"]
    assert sheet["quarantine"] or "1 NUL character fills up" in told(report)


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (STOCK.encode() + b"\0" * 3000, 3000),
        (STOCK.replace("\n", "\0\0\n").encode(), 10),
        (STOCK.replace(";", "\0\0\0;").encode("cp1252"), 30),
        (STOCK.replace("Köln", '"Köln\0\0"').encode(), 2),
        (STOCK.encode() + b"\x1a" + b"\0" * 100_000, 100_000),
    ],
)
def test_nuls_that_fill_up_are_no_text(data, count):
    """Fields, lines and files of a fixed length are filled up with them; they are counted."""
    report = look(data)

    assert types(report) == {"sku": "TEXT", "menge": "BIGINT", "ort": "TEXT"}
    assert (first(report)["rows"], first(report)["quarantine"]) == (4, [])
    assert f"{count:,} NUL characters fill up" in told(report)


def test_utf16_without_a_mark_is_still_found():
    """Also where most characters are none of ASCII."""
    for words in ("订单编号,买家会员名,实付金额", "Заказ,Клиент,Город", "주문번호,고객,도시"):
        report = look((f"{words}\n" * 2 + "一,二,三\n" * 9).encode("utf-16-le"))
        assert report["encoding"] == "utf-16-le"


# ---------------------------------------------------------------- what the rest of the file says about marks and days


def why(report, name):
    return next(column["why"] for column in first(report)["columns"] if column["name"] == name)


@pytest.mark.parametrize(
    ("content", "speaks"),
    [
        ("konto;saldo\n4400;1.500\n4401;-2.750\n", "semicolons"),
        ("konto,saldo,am\n4400,1.500,31.12.2025\n4401,-2.750,30.11.2025\n", "'am'"),
        ("sku,harga\nA,Rp 45.000\nB,Rp 7.500\n", "Rp"),
        ("sku,preço\nA,R$ 1.450\nB,R$ 2.300\n", "R$"),
        ('sku,gewicht,preis\nA,1.500,"3,75"\nB,2.250,"12,5"\n', "'preis'"),
    ],
)
def test_points_that_may_part_thousands_are_asked_where_the_file_speaks_for_it(content, speaks):
    """A thousandth of an amount is the worst that a file can become; what speaks for thousands is named."""
    report = look(content)

    name = first(report)["columns"][1]["name"]
    assert types(report)[name] == "TEXT"
    assert "can be two numbers" in why(report, name)
    assert speaks in why(report, name)
    assert types(look(content, decimal=","))[name] == "BIGINT"
    assert types(look(content, decimal="."))[name] == "NUMERIC"


def test_points_are_decimal_where_nothing_speaks_against_it():
    """The report says that no value decided, or which column did."""
    alone = look("sku,kg\nA,1.250\nB,0.375\nC,2.500\n")
    open_ = look("sku,kg\nA,1.250\nB,2.500\n")
    beside = look("sku;kg;preis\nA;1.250;9.90\nB;2.500;12.50\n")

    assert [types(each)["kg"] for each in (alone, open_, beside)] == ["NUMERIC"] * 3
    assert "thousands" not in why(alone, "kg")
    assert "is not proved" in why(open_, "kg")
    assert "as 'preis' shows" in why(beside, "kg")


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        ('n,qty,price\n1,"1,234",12.50\n2,"5,678",3.75\n', "qty", "BIGINT"),
        ("n;qty;price\n1;1,234;12,50\n2;5,678;3,75\n", "qty", "NUMERIC"),
        ("n,sent,paid\n1,03/04/2026,27/04/2026\n2,05/06/2026,30/06/2026\n", "sent", "DATE"),
        ("n,sent,paid\n1,03/04/2026,04/27/2026\n2,05/06/2026,06/30/2026\n", "sent", "DATE"),
    ],
)
def test_one_column_that_proves_a_mark_or_the_day_decides_for_the_others(content, name, kind):
    """With the reason."""
    report = look(content)

    assert types(report)[name] == kind
    assert "as '" in why(report, name)


def test_columns_that_contradict_each_other_decide_nothing():
    """Commas and points before decimals, and the day first and the month first, in one file."""
    marks = look("n;qty;a;b\n1;1,234;12,50;12.50\n2;5,678;3,75;3.75\n")
    days = look("n,sent,a,b\n1,03/04/2026,27/04/2026,04/27/2026\n2,05/06/2026,30/06/2026,06/30/2026\n")

    assert (types(marks)["qty"], types(days)["sent"]) == ("TEXT", "TEXT")


# ---------------------------------------------------------------- headers that are too short


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ('"mpg","cyl"\n"Duster",14.3,8\n"Fiat",32.4,4\n"Merc",24.4,4\n', ["column_1", "mpg", "cyl"]),
        ("t1\tt2\nBRCA1\t0.5\t2\nTP53\t1.5\t4\n", ["column_1", "t1", "t2"]),
        ("city;sales\n1;Graz;7\n2;Cork;9\n3;Bonn;2\n", ["column_1", "city", "sales"]),
        ("id,city\n1,Graz,x\n2,Cork,y\n3,Bonn,z\n", ["id", "city", "column_3"]),
        ("city,price\nGraz,2,50\nCork,3,75\nBonn,4,00\n", ["city", "price", "column_3"]),
        ("city,price\nGraz,2.5,ok\nCork,3.5\nBonn,4.5\n", ["city", "price", "column_3"]),
        ("a;b\n1;2;3;4\n5;6;7;8\n", ["a", "b", "column_3", "column_4"]),
    ],
)
def test_a_header_shorter_than_its_rows_is_told(content, names):
    """Names of rows, as R writes them, have no name; where that is not certain nothing is moved."""
    report = look(content)

    assert list(types(report)) == names
    assert (
        f"the header has {sum(not name.startswith('column_') for name in names)} names and the rows have up to {len(names)} cells"
        in told(report)
    )


def test_a_delimiter_at_the_end_of_each_row_is_no_column():
    """Nothing stands behind it."""
    assert "the header has" not in told(look("city,price\nGraz,2.5,\nCork,3.5,\n"))


# ---------------------------------------------------------------- texts that are no tables of fields

ORDERS = "\n".join(f'{{"order": "A-{n}", "sum": {n}.5, "lines": [{{"sku": "x"}}]}}' for n in range(3))


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a", "a.slk"])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('ID;PCALCOOO32\r\nC;Y1;X1;K"city"\r\nC;X2;K"sum"\r\nC;Y2;X1;K"Graz"\r\nC;X2;K7\r\nE\r\n', "a SYLK file"),
        ('TABLE\n0,1\n"EXCEL"\nVECTORS\n0,2\n""\nTUPLES\n0,2\n""\nDATA\n0,0\n""\n', "a DIF file"),
        (ORDERS, "JSON lines"),
        ("\ufeff" + '["A-1", 2.5]\r\n["A-2", 3.5]\r\n["A-3", 1]\r\n', "JSON lines"),
        ('[{"order": "A-1", "sum": 2.5}, {"order": "A-2", "sum": 3.5}]', "JSON"),
        ('{\n  "orders": [\n    {"order": "A-1"}\n  ]\n}\n', "JSON"),
        ("BEGIN:VCARD\nVERSION:3.0\nN:Lee;Ann;;;\nEND:VCARD\n", "a vCard"),
        ("!Type:Bank\nD01/02/2026\nT-12.50\nPGrocer\n^\n", "a QIF file"),
    ],
)
def test_texts_of_other_kinds_are_refused_by_name(content, what, name):
    """They would become tables of their syntax."""
    with pytest.raises(NotASpreadsheet, match=f"{what}[^:;]*; export it as .csv or .xlsx"):
        look(content, name)


@pytest.mark.parametrize(
    "content", ["[id],[city]\n1,Graz\n2,Cork\n", "{id},{city}\n1,Graz\n2,Cork\n", "ID;Pos\n1;Graz\n2;Cork\n", "TABLE,n\nGraz,1\nCork,2\n"]
)
def test_tables_that_begin_like_them_are_read(content):
    """A bracket, or a word, makes no other kind."""
    assert first(look(content))["rows"] == 2


# ---------------------------------------------------------------- comments, messages and titles


@pytest.mark.parametrize(
    ("content", "rows", "aside"),
    [
        ("t,mv\n1,0.5\n# lamp changed\n2,0.7\n", 2, ["comment"]),
        ("t;mv\n2026-11-02;0.5\n// pause; 10 min\n2026-11-03;0.7\n// end\n", 2, ["comment", "comment"]),
        ("t\tmv\n1\t0.5\n% gain 2\n%\n2\t0.7\n!stop\t\n", 2, ["comment"] * 3),
        ("# run 7\n# gain, 2, high\nname,mv\nAnn,0.5\n#recalibrated\nBob,0.7\n", 2, ["title", "title", "comment"]),
        ("tag,n\n#red,1\n#blue,2\n", 2, []),
        ("tag,n\nred,1\n#blue,2\n", 2, []),
        ("tag,text\nred,warm\n#blue,cold\ngreen,cool\n", 3, []),
        ("tag,n\n# a note\n#red,1\n#blue,2\n", 3, []),
        ("tag\n#red\n#blue\n", 2, []),
    ],
)
def test_comments_among_records_stand_outside(content, rows, aside):
    """Where no record begins so; names such as #red stay records."""
    report = look(content)

    assert first(report)["rows"] == rows
    assert [each["reason"] for each in first(report)["outside"] if each["reason"] != "header"] == aside


NOTICES = [
    "<br />\n<b>Warning</b>:  Undefined array key 3, in <b>/srv/x.php</b> on line <b>9</b><br />\n",
    "PHP Notice: Trying to access array offset, on value, of type null in /srv/x.php on line 9\n",
    "\nDeprecated: strlen(): Passing null to parameter #1 ($string) is deprecated in /srv/x.php on line 9\n",
]


@pytest.mark.parametrize("notice", NOTICES)
@pytest.mark.parametrize("place", [0, 1, 3, 99])
def test_messages_of_the_program_are_no_records(notice, place):
    """Above the header, among the records, and behind them."""
    lines = ["id,city,sum\n", *(f"{n},Graz,{n}.5\n" for n in range(60))]
    report = look("".join([*lines[:place], notice, *lines[place:]]))

    assert types(report) == {"id": "BIGINT", "city": "TEXT", "sum": "NUMERIC"}
    assert first(report)["rows"] == 60


@pytest.mark.parametrize(
    "title", ["All sales  of the whole group in the last month\n", "Statement\nAccount holder:   ACME Ltd. of Graz in Austria\n"]
)
def test_a_title_with_blanks_makes_no_columns_of_a_fixed_width(title):
    """The records below it end before the blanks."""
    report = look(title + "id,city,sum\n" + "".join(f"{n},Graz,{n}.5\n" for n in range(9)))

    assert types(report) == {"id": "BIGINT", "city": "TEXT", "sum": "NUMERIC"}
    assert first(report)["rows"] == 9


# ---------------------------------------------------------------- forms of dates that a person gives


def with_form(content, form, header="tag"):
    return look(content, columns=[ColumnOptions(header=header, date_form=form)])


@pytest.mark.parametrize(
    ("form", "values", "kind", "loaded"),
    [
        ("%d.%m.%y", ["23.04.26", "31.12.68"], "DATE", ["2026-04-23", "2068-12-31"]),
        ("%y-%m-%d", ["69-04-23", "99-12-31"], "DATE", ["1969-04-23", "1999-12-31"]),
        ("%-m/%-d/%y %-I:%M %p", ["4/3/26 8:05 PM", "12/31/26 12:00 AM"], "TIMESTAMP", ["2026-04-03T20:05:00", "2026-12-31T00:00:00"]),
        ("%d%m%Y", ["23042026", "01122026"], "DATE", ["2026-04-23", "2026-12-01"]),
    ],
)
def test_a_form_that_was_given_makes_dates(form, values, kind, loaded):
    """Also such as are never found out: years of two digits have a stated century, and digits alone are a number otherwise."""
    content = "id;tag\n" + "".join(f"{n};{value}\n" for n, value in enumerate(values))
    report = with_form(content, form)

    assert types(report)["tag"] == kind
    assert "as was said" in why(report, "tag")
    options = TableOptions(columns=[ColumnOptions(header="tag", date_form=form)])
    assert [row["tag"] for row in inspect_file(content.encode(), name="a.csv", options=options).preview()["sheets"][0]["rows"]] == loaded


def test_values_that_are_not_in_the_form_that_was_given_are_set_aside():
    """And counted in the reason."""
    report = with_form("id;tag\n1;23.04.26\n2;offen\n3;24.04.26\n", "%d.%m.%y")

    assert [(each["row"], each["value"]) for each in first(report)["quarantine"]] == [(3, "offen")]
    assert "1 of them are not, the first of them 'offen' (row 3)" in why(report, "tag")


@pytest.mark.parametrize("form", ["nonsense", "%q", "%d.%m", "%d.%m.%Y %Y", "%H", "", "%I:%M", "%d/%m/%Y %"])
def test_what_is_no_form_is_refused(form):
    """With what a form looks like."""
    with pytest.raises(OptionsRefused, match=r"date_form cannot be .*give a form such as"):
        ColumnOptions(header="tag", date_form=form)


def test_a_form_that_no_value_has_is_refused_with_the_first_value():
    """It was passed over."""
    with pytest.raises(
        OptionsRefused,
        match=r"no value of the column 'tag' is in the form MM/DD/YYYY \(%m/%d/%Y\) that was given: the first is '23.04.2026' \(row 2\)",
    ):
        with_form("id;tag\n1;23.04.2026\n2;24.04.2026\n", "%m/%d/%Y")


def test_what_was_said_about_a_column_that_is_not_there_is_told():
    """Its name may be spelt wrongly."""
    assert "no column has the header or the letter 'Tag', for which something was said" in told(
        with_form("id;tag\n1;23.04.2026\n", "%d.%m.%Y", "Tag")
    )


def test_years_of_two_digits_are_a_question():
    """Nobody guesses the century; the reason says how to answer."""
    report = look("id;tag\n1;23.04.26\n2;24.04.26\n")

    assert types(report)["tag"] == "TEXT"
    assert "with %y for the year" in why(report, "tag")


# ---------------------------------------------------------------- what stands around lines and fields


def rows_of(content, name="export.csv"):
    """The rows as they would be loaded."""
    return [list(row.values()) for row in inspect_file(content.encode(), name=name).preview()["sheets"][0]["rows"]]


@pytest.mark.parametrize(
    "content",
    [
        '"sku;city;n"\n"A-1;Graz;2"\n"A-2;""Cork; West"";3"\n',
        'sku;city;n\n"A-1;Graz;2"\n"A-2;""Cork; West"";3"\n',
        'sku;city;n\nA-1;Graz;2\n"A-2;""Cork; West"";3"\n',
        '"sku,city,n"\r\n"A-1,Graz,2"\r\n"A-2,Cork; West,3"\r\n',
        '"sku\tcity\tn"\n"A-1\tGraz\t2"\n"A-2\tCork; West\t3"\n',
    ],
)
def test_lines_in_quotation_marks_are_opened(content):
    """As a delimited text is saved from one column of a spreadsheet; the remark says so."""
    report = look(content)

    assert types(report) == {"sku": "TEXT", "city": "TEXT", "n": "BIGINT"}
    assert rows_of(content) == [["A-1", "Graz", 2], ["A-2", "Cork; West", 3]]
    assert "whole lines stand in quotation marks" in told(report)


@pytest.mark.parametrize(
    "content",
    [
        '"address"\n"Rome, Italy"\n"Paris, France"\n',
        '"name, city"\n"Ann, Rome"\n"Bob, Paris"\n',
        '"sku","city"\n"A,1","Graz"\n"A,2","Cork"\n',
        'sku,city\n"A,1",Graz\n"A,2",Cork\n',
    ],
)
def test_quoted_fields_stay_fields(content):
    """A sentence in quotation marks is one field, and so is a field with a delimiter in it."""
    assert "whole lines" not in told(look(content))


@pytest.mark.parametrize(("mark", "delimiter"), [("`", ","), ("`", "\t"), ("'", ";"), ("`", "|")])
def test_a_mark_before_every_field_is_no_part_of_it(mark, delimiter):
    """Payment services keep digits from becoming numbers so; the header has none."""
    records = [
        ["2026-11-02 08:30:00", "4200001234202611021234567810", "12.50"],
        ["2026-11-03 09:10:00", "4200001234202611031234567811", "7.00"],
    ]
    lines = [["paid_at", "order_no", "sum"], *([f"{mark}{field}" for field in record] for record in records)]
    report = look("\r\n".join(map(delimiter.join, lines)) + "\r\n")

    assert types(report) == {"paid_at": "TIMESTAMP", "order_no": "TEXT", "sum": "NUMERIC"}
    assert "it is no part of the cells" in told(report)


def test_single_quotation_marks_and_a_mark_in_some_fields_stay():
    """They are something else."""
    assert rows_of("name,n\n'Ann, Bob',1\n'Cid, Dan',2\n") == [["Ann, Bob", 1], ["Cid, Dan", 2]]
    assert rows_of("name,n\n`Ann,1\n`Bob,2\n") == [["`Ann", 1], ["`Bob", 2]]


def test_tabs_around_digits_are_no_part_of_them():
    """Before or behind, quoted or not."""
    content = 'order,sku,n\n\t4200001,A\t,1\n"\t4200002\t",B,2\n'

    assert rows_of(content) == [[4200001, "A", 1], [4200002, "B", 2]]
    assert "3 cells begin or end in a tab" in told(look(content))


# ---------------------------------------------------------------- several tables without a blank row between them


def tables(report):
    """The columns, the number of rows and what is outside of each table."""
    return [
        (
            [column["name"] for column in sheet["columns"]],
            sheet["rows"],
            [each["reason"] for each in sheet["outside"] if each["reason"] != "header"],
        )
        for sheet in report["sheets"]
    ]


REPORT = """Account,HDR,Key,Value
Account,DAT,Owner,"Ann, Graz"
Account,DAT,Currency,EUR
Orders,HDR,Day,Symbol,Pieces,Price
Orders,DAT,2026-03-02,XX,4,10.5
Orders,DAT,2026-03-03,YY,2,7.25
Orders,Total,,,6,
Fees,HDR,Day,Kind,Amount
Fees,DAT,2026-03-31,custody,1.5
Fees,DAT,Total,,1.5
"""


def test_sections_that_records_name_are_tables_of_their_own():
    """The second field says which record names the columns, and which are totals."""
    report = look(REPORT, "report.csv")

    assert [columns[2:] for columns, _, _ in tables(report) if columns] == [
        ["key", "value"],
        ["day", "symbol", "pieces", "price"],
        ["day", "kind", "amount"],
    ]
    assert [rows for columns, rows, _ in tables(report) if columns] == [2, 2, 1]
    assert [aside for columns, _, aside in tables(report) if not columns] == [["total"], ["total"]]
    assert [sheet["dataset"] for sheet in report["sheets"] if sheet["columns"]] == ["report", "report__orders", "report__fees"]
    assert sum(sheet["cells"]["read"] for sheet in report["sheets"]) == 3 * 4 + 3 * 6 + 3 + 2 * 5 + 4


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "day;sum\n2026-03-02;1,50\n2026-03-03;2,50\norders;turnover\n2;4,00\n",
            [(["day", "sum"], 2, []), ([], 0, ["footer", "footer"])],
        ),
        (
            "id,sum\n1,1.5\n2,2.5\n3,0.5\nperson,town,born\nAnn,Graz,1990-01-02\nBob,Cork,1991-02-03\n",
            [(["id", "sum"], 3, []), (["person", "town", "born"], 2, [])],
        ),
        ("id,sum\n1,1.5\n2,2.5\nunknown,missing\n3,4.5\n", [(["id", "sum"], 2, []), ([], 0, ["footer", "footer"])]),
        ("id,sum\n1,1.5\n2,n/a\nx,2.5\n3,4.5\n", [(["id", "sum"], 4, [])]),
    ],
)
def test_another_header_ends_a_table(content, expected):
    """Where columns of numbers and dates end in texts in one row, and the rows below fit it; a lone text is a value."""
    assert tables(look(content)) == expected


# ---------------------------------------------------------------- a header alone


@pytest.mark.parametrize("content", ["sku,ok,hue\n", "sku;ok\n", "orderNo\tok\n", "größe,farbe\n", "# made today\nsku,ok,hue\n"])
def test_a_header_alone_is_a_table_without_rows(content):
    """Names such as programs write: tomorrow the same columns come with rows."""
    report = look(content)

    assert first(report)["rows"] == 0
    assert len(types(report)) > 1


@pytest.mark.parametrize("content", ["Ann,Bob\n", "a1,b2\n", "Graz,Cork,Bonn\n"])
def test_one_row_of_other_texts_is_data(content):
    """It is told how to make it the header, where it may be one."""
    report = look(content)

    assert first(report)["rows"] == 1
    assert "say that row 1 is the header" in told(report)
