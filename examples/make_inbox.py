"""
Fill a folder with the kind of spreadsheets that a shop's office receives in a week: `python examples/make_inbox.py FOLDER`.

Titles above the header, totals below it, leading zeros, 18-digit order numbers, a GBK file, a web page named .xls, cells with errors,
and one file that is no spreadsheet at all. The same files come out each time, byte for byte.
"""

import csv
import io
import random
import sys
import zipfile
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from xml.sax.saxutils import escape

import xlsxwriter
import xlwt

DAY = date(2026, 11, 1)
SKUS = [f"{number:06d}" for number in range(120, 120 + 7 * 240, 7)]
PRODUCTS = [
    "Teapot, white",
    "Teapot, blue",
    "Cup 200 ml",
    "Cup 300 ml",
    'Tray 12"',
    "Matcha whisk",
    "Bamboo spoon",
    "Tea tin",
    "Strainer",
    "Kettle 1,2 l",
]
PRODUCTS_ZH = ["白瓷茶壶", "青花茶壶", "茶杯200毫升", "茶杯300毫升", "茶盘", "茶筅", "竹勺", "茶叶罐", "滤网", "烧水壶"]
CITIES = ["Rotterdam", "Lyon", "Gdańsk", "Porto", "Malmö", "Graz", "Cork", "Košice"]
CITIES_ZH = ["上海", "杭州", "广州", "成都", "武汉", "厦门"]
STATUSES = ["shipped", "shipped", "shipped", "paid", "returned"]


def main(folder: Path) -> list[Path]:
    """Write all files into *folder*, which is made if it is not there; returns their paths. A file that is there already is left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, make in FILES.items():
        path = folder / name
        if not path.exists():
            # Whole at once, under its name only when it is complete: somebody may be watching the folder.
            part = path.with_name(f".{name}.part")
            part.write_bytes(make())
            part.rename(path)
            written.append(path)
    return written


def _order_number(day: date, number: int) -> str:
    return f"{day:%Y%m%d}{4_000_000_000 + number * 7919:010d}"


def _cents(dice: random.Random) -> int:
    """A price that XlsxWriter, which keeps 16 digits, writes as people would: 83.43 would become 83.43000000000001."""
    while True:
        cents = dice.randint(350, 8900)
        if f"{cents / 100:.16G}" == repr(cents / 100).removesuffix(".0"):
            return cents


# ---------------------------------------------------------------- orders: titles above, a total below, errors inside


def _orders(day: date, seed: int, *, count: int, spoil: Callable[[int], str | None]) -> bytes:
    dice = random.Random(seed)
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True})
    book.set_properties({"created": datetime(2026, 11, 1)})  # noqa: DTZ001  (workbooks know no time zones)
    title = book.add_format({"bold": True, "font_size": 14})
    bold = book.add_format({"bold": True, "bottom": 1})
    dated = book.add_format({"num_format": "yyyy-mm-dd"})
    money = book.add_format({"num_format": "#,##0.00"})
    sheet = book.add_worksheet("Orders")
    sheet.merge_range(0, 0, 0, 7, "Web shop: orders of the day", title)
    sheet.write(1, 0, f"Exported {day:%d %B %Y} by the back office")
    sheet.write_row(3, 0, ["Order No", "Date", "SKU", "Product", "Qty", "Unit price", "Amount", "Status"], bold)
    total = Decimal(0)
    for number in range(count):
        row = 4 + number
        quantity, cents = dice.randint(1, 12), _cents(dice)
        amount = Decimal(quantity * cents) / 100
        sheet.write_string(row, 0, _order_number(day, number))
        sheet.write_datetime(row, 1, datetime(day.year, day.month, day.day), dated)  # noqa: DTZ001
        sheet.write_string(row, 2, dice.choice(SKUS))
        sheet.write_string(row, 3, dice.choice(PRODUCTS))
        spoilt = spoil(number)
        if spoilt is None:
            sheet.write_number(row, 4, quantity)
        else:
            sheet.write_string(row, 4, spoilt)
        sheet.write_number(row, 5, cents / 100, money)
        if number == 57:
            sheet.write_formula(row, 6, f"=E{row + 1}*VLOOKUP(C{row + 1},Prices!A:B,2,0)", money, "#N/A")
        else:
            sheet.write_formula(row, 6, f"=E{row + 1}*F{row + 1}", money, float(amount))
            total += amount
        sheet.write_string(row, 7, dice.choice(STATUSES))
    last = 4 + count
    sheet.write_string(last, 0, "Total", bold)
    sheet.write_formula(last, 6, f"=SUM(G5:G{last})", money, float(total))
    book.close()
    return target.getvalue()


def _orders_first() -> bytes:
    return _orders(DAY, 1, count=420, spoil=lambda _number: None)


def _orders_second() -> bytes:
    return _orders(DAY + timedelta(days=1), 2, count=380, spoil={12: "12 pcs", 200: "three", 201: "?"}.get)


# ---------------------------------------------------------------- text files


def _csv(rows: list[list[str]], encoding: str, delimiter: str = ",") -> bytes:
    target = io.StringIO()
    csv.writer(target, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    return target.getvalue().encode(encoding)


def _sku_list() -> bytes:
    dice = random.Random(3)
    rows = [["sku", "ean", "product", "weight_g", "active", "last_order_no"]]
    for number, sku in enumerate(SKUS):
        ean = f"{dice.randint(0, 9_999_999_999_999):013d}"
        weight = str(dice.randint(40, 2400))
        rows.append([sku, ean, dice.choice(PRODUCTS), weight, dice.choice(["true", "true", "false"]), _order_number(DAY, number)])
    return _csv(rows, "utf-8-sig")


def _orders_gbk() -> bytes:
    dice = random.Random(4)
    rows = [["订单编号", "下单时间", "商品名称", "数量", "单价", "实付金额", "收货城市"]]
    for number in range(260):
        quantity, cents = dice.randint(1, 6), dice.randint(900, 25_900)
        at = datetime(2026, 11, 1, 8) + timedelta(seconds=137 * number)  # noqa: DTZ001
        amount = Decimal(quantity * cents) / 100
        rows.append(
            [
                _order_number(DAY, number),
                f"{at:%Y-%m-%d %H:%M:%S}",
                dice.choice(PRODUCTS_ZH),
                str(quantity),
                f"{Decimal(cents) / 100:.2f}",
                f"{amount:.2f}",
                dice.choice(CITIES_ZH),
            ]
        )
    return _csv(rows, "gbk")


def _returns() -> bytes:
    dice = random.Random(5)
    rows = [["Retoure", "Datum", "Artikel", "Betrag", "Grund"]]
    reasons = ["gefällt nicht", "beschädigt", "zu spät", "falsche Größe"]
    for number in range(90):
        day = DAY - timedelta(days=dice.randint(0, 40))
        rows.append(
            [
                f"R-{number:04d}",
                f"{day:%d.%m.%Y}",
                dice.choice(SKUS),
                f"{dice.randint(4, 80)},{dice.randint(0, 99):02d}",
                dice.choice(reasons),
            ]
        )
    return _csv(rows, "cp1252", ";")


# ---------------------------------------------------------------- an inventory in several sheets


def _inventory() -> bytes:
    dice = random.Random(6)
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True})
    book.set_properties({"created": datetime(2026, 11, 1)})  # noqa: DTZ001
    for name in ("Rotterdam", "Lyon", "Gdańsk"):
        sheet = book.add_worksheet(name)
        # The table does not begin at A1: it seldom does.
        sheet.write_row(4, 2, ["SKU", "Product", "On hand", "Reserved", "Shelf", "Counted"])
        for number, sku in enumerate(sorted(dice.sample(SKUS, 150))):
            row = 5 + number
            sheet.write_string(row, 2, sku)
            sheet.write_string(row, 3, dice.choice(PRODUCTS))
            sheet.write_number(row, 4, dice.randint(0, 900))
            sheet.write_number(row, 5, dice.randint(0, 40))
            sheet.write_string(row, 6, f"{dice.choice('ABCDEF')}-{dice.randint(1, 40):02d}")
            sheet.write_boolean(row, 7, dice.random() < 0.8)
    prices = book.add_worksheet("Prices")
    prices.write_row(0, 0, ["SKU", "List price", "Margin"])
    for number, sku in enumerate(SKUS, start=1):
        prices.write_string(number, 0, sku)
        prices.write_number(number, 1, _cents(dice) / 100)
        if number % 61 == 0:
            prices.write_formula(number, 2, f"=B{number + 1}/0", None, "#DIV/0!")
        else:
            prices.write_number(number, 2, dice.randint(5, 60) / 100, book.add_format({"num_format": "0%"}))
    prices.hide()
    book.close()
    return target.getvalue()


# ---------------------------------------------------------------- what calls itself .xls


def _web_page() -> bytes:
    dice = random.Random(7)
    lines = [
        "<html><head><meta http-equiv='Content-Type' content='text/html; charset=utf-8'></head><body>",
        "<h3>Marketplace settlement, week 44</h3><table border=1>",
        "<tr><th rowspan=2>Order</th><th rowspan=2>City</th><th colspan=2>Amount</th></tr><tr><th>Gross</th><th>Fee</th></tr>",
    ]
    for number in range(140):
        cents = dice.randint(500, 90_000)
        cells = [_order_number(DAY, number), dice.choice(CITIES), f"{cents / 100:,.2f}", f"{cents * 0.12 / 100:.2f}"]
        lines.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    return "\n".join([*lines, "</table></body></html>"]).encode()


def _old_workbook() -> bytes:
    dice = random.Random(8)
    book = xlwt.Workbook(encoding="utf-8")
    sheet = book.add_sheet("Customers")
    dated = xlwt.easyxf(num_format_str="DD.MM.YYYY")
    for column, header in enumerate(["Customer", "City", "Postcode", "Since", "Credit limit", "Blocked"]):
        sheet.write(0, column, header)
    for number in range(1, 200):
        sheet.write(number, 0, f"Customer {number:03d}")
        sheet.write(number, 1, dice.choice(CITIES))
        sheet.write(number, 2, f"{dice.randint(100, 99_999):05d}")
        sheet.write(number, 3, DAY - timedelta(days=dice.randint(10, 4000)), dated)
        sheet.write(number, 4, dice.randint(1, 40) * 250)
        sheet.write(number, 5, dice.random() < 0.1)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


# ---------------------------------------------------------------- OpenDocument

_ODS_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?><office:document-content office:version="1.3"'
    ' xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
    ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet><table:table table:name="Expenses">'
)
_ODS_TAIL = "</table:table></office:spreadsheet></office:body></office:document-content>"


def _expenses() -> bytes:
    dice = random.Random(9)
    rows = ["".join(_ods_text(header) for header in ("Date", "Who", "What", "Amount", "Note"))]
    for number in range(75):
        day = DAY - timedelta(days=75 - number)
        amount = Decimal(dice.randint(200, 48_000)) / 100
        rows.append(
            f'<table:table-cell office:value-type="date" office:date-value="{day}"><text:p>{day:%d/%m/%y}</text:p></table:table-cell>'
            + _ods_text(dice.choice(["Ana", "Jörg", "Łukasz", "Mei"]))
            + _ods_text(dice.choice(["train", "hotel", "postage", "lunch with a supplier"]))
            + f'<table:table-cell office:value-type="float" office:value="{amount}"><text:p>{amount}</text:p></table:table-cell>'
            + _ods_text(dice.choice(["", "", "no receipt"]))
        )
    body = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    mimetype = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        '<?xml version="1.0" encoding="UTF-8"?><manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{mimetype}"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
    )
    return _zip({"mimetype": mimetype, "content.xml": _ODS_HEAD + body + _ODS_TAIL, "META-INF/manifest.xml": manifest})


def _ods_text(text: str) -> str:
    return (
        f'<table:table-cell office:value-type="string"><text:p>{escape(text)}</text:p></table:table-cell>'
        if text
        else "<table:table-cell/>"
    )


def _zip(parts: dict[str, str]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as package:
        for name, text in parts.items():
            # A fixed time, so that the same file comes out each time.
            entry = zipfile.ZipInfo(name, (2026, 11, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            package.writestr(entry, text)
    return target.getvalue()


def _no_spreadsheet() -> bytes:
    return b"%PDF-1.4\n% somebody gave a scan the wrong name\n1 0 obj <</Type /Catalog>> endobj\ntrailer <</Root 1 0 R>>\n%%EOF\n"


FILES: dict[str, Callable[[], bytes]] = {
    "Orders_2026-11-01.xlsx": _orders_first,
    "Orders_2026-11-02.xlsx": _orders_second,
    "SKU list.csv": _sku_list,
    "Copy of SKU list.csv": _sku_list,
    "Inventory_2026-11.xlsx": _inventory,
    "订单_20261101.csv": _orders_gbk,
    "Retouren 2026-11.csv": _returns,
    "Marketplace_settlement_W44.xls": _web_page,
    "Customers.xls": _old_workbook,
    "Expenses Q4.ods": _expenses,
    "scan_0042.xlsx": _no_spreadsheet,
}

if __name__ == "__main__":
    for made in main(Path(sys.argv[1] if len(sys.argv) > 1 else "var/inbox")):
        print(made)
