"""What shops, banks and instruments write as text, from the bytes to the table that a person sees."""

import pytest

from levelpool.sheets import TableOptions, inspect_file


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
