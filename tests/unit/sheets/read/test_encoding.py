"""The encoding of a text file: found over the whole file, and right for files of every usual size."""

import random

import pytest

from levelpool.sheets import TableOptions, inspect_file
from levelpool.sheets.read.encoding import detect_encoding

WORDS = {
    "utf-8": "Größe, naïve, 茶壶, заказ",
    "utf-8-sig": "Größe, naïve, 茶壶, заказ",
    "utf-16": "Größe, naïve, 茶壶, заказ",
    "gb18030": "订单编号, 买家会员名, 实付金额, 快递, 茶壶, 运送方式, 备注说明",
    "big5hkscs": "訂單號, 商品名稱, 白瓷茶壺與茶杯, 這是一個測試, 臺北市",
    "cp932": "商品名, 数量, ティーポット, 表示, 予約, 支払い, 東京都",
    "euc_jp": "商品名, 数量, ティーポット, 表示, 予約, 支払い, 東京都, 赤い",
    "cp949": "주문번호, 고객, 도시, 서울, 상품, 셔츠, 빨강, 결제",
    "cp1250": "zamówienie, Łódź, Gdańsk, część, śruba, żółty, większy, źródło",
    "cp1251": "заказ, клиент, город, Москва, товар, рубашка, оплачено, доставка",
    "koi8_r": "заказ, клиент, город, Москва, товар, рубашка, оплачено, доставка",
    "cp1252": "commande reçue, Orléans, été, déjà payé, à, où, naïf, élève",
    "cp1253": "παραγγελία, πελάτης, πόλη, Αθήνα, Θεσσαλονίκη, προϊόν, κόκκινο",
    "cp1254": "Sipariş numarası, müşteri adı, şehir, açıklaması, gömlek, İstanbul, Çağrı, Işık",
    "cp1255": "מספר, הזמנה, שם לקוח, כתובת, תל אביב, ירושלים, מוצר, חולצה",
    "cp1256": "رقم, الطلب, اسم العميل, المدينة, القاهرة, منتج, مدفوع, شحن",
    "cp1257": "užsakymas, Šiauliai, prekė, žalia, didelė, apmokėta, grąžinimas, įmonė",
}


@pytest.mark.parametrize("rows", [6, 40, 400])
@pytest.mark.parametrize("encoding", WORDS)
def test_encoding_is_found(tmp_path, encoding, rows):
    """Lists of words as exports hold them, from a handful of rows on."""
    dice = random.Random(rows)
    words = WORDS[encoding].split(", ")
    lines = [f"{number};{dice.choice(words)} {dice.choice(words)};{dice.choice(words)}" for number in range(rows)]
    path = tmp_path / "a.csv"
    path.write_bytes("\n".join(["id;a;b", ";".join(words[:3]), *lines]).encode(encoding))

    assert detect_encoding(path).name == encoding


@pytest.mark.parametrize(
    "words", ["Müller, Straße, Köln, Größe", "año, señor, número, Córdoba", "não, São Paulo, ação", "Malmö, Åse, blå, kött"]
)
def test_western_europe_is_one_encoding(tmp_path, words):
    """German, Spanish, Portuguese and Swedish."""
    path = tmp_path / "a.csv"
    path.write_bytes(("id;name\n" + "".join(f"{number};{word}\n" for number, word in enumerate(words.split(", ")))).encode("cp1252"))

    assert detect_encoding(path).name == "cp1252"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Größe;Menge\n9,5;3\n", "cp1252"),
        ("Größenübersicht\n", "cp1252"),
        ("Τιμή;kg\n", "cp1253"),
        ("Цена;KG\n", "cp1251"),
        ("מחיר;x\n", "cp1255"),
    ],
)
def test_one_word_is_enough(tmp_path, text, encoding):
    """Letters beyond ASCII may meet in a Latin word, too, among ASCII letters; in other scripts they are among their like."""
    path = tmp_path / "words.csv"
    path.write_text(text, encoding=encoding)

    assert detect_encoding(path).name == encoding


EXPORT = "id,customer,city,amount\r\n1,Peter Smith,{},9.50\r\n2,Anna Brown,London,12.00\r\n"
FEW = [
    ("Niño", "cp1252"), ("João Conceição", "cp1252"), ("Café", "cp1252"), ("Ålesund", "cp1252"), ("Città di Castello", "cp1252"),
    ("Łódź", "cp1250"), ("Wrocław", "cp1250"), ("Příbram", "cp1250"), ("Győr", "cp1250"), ("Žilina", "cp1250"),
    ("Эльбрус", "cp1251"), ("Москва", "cp1251"), ("Запоріжжя", "cp1251"), ("Αθήνα", "cp1253"), ("Şanlıurfa", "cp1254"), ("תל אביב", "cp1255"),
    ("القاهرة", "cp1256"), ("Šiauliai, Panevėžys", "cp1257"), ("Câ\u0300n Thơ", "cp1258"), ("เชียงใหม่", "cp874"),
    ("Öl für Köln", "cp850"), ("Łódź", "cp852"), ("Москва", "cp866"), ("Москва", "koi8_r"), ("Москва", "iso-8859-5"),
    ("Größe Straße", "mac_roman"), ("Gdańsk Łódź", "iso-8859-2"), ("5 €, cœur", "iso-8859-15"), ("20 °C", "cp1252"), ("£20 – ½ price", "cp1252"),
    ("１２３４", "cp932"), ("カタカナ", "cp932"), ("ｱｲｳｴｵ", "cp932"), ("テレビ", "cp932"), ("東京都", "cp932"), ("京都市", "euc_jp"),
    ("東京都", "iso2022_jp"), ("北京", "gb18030"), ("一", "gb18030"), ("中", "gb18030"), ("臺北市", "big5hkscs"), ("서울", "cp949"),
    ("é", "utf-8"), ("Ů", "utf-8"), ("ё", "utf-8"), ("中", "utf-16-le"), ("Łódź", "utf-16-be"), ("東京都", "utf-32-le"), ("é", "utf-16"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "encoding"), FEW, ids=lambda value: value)
def test_few_words_among_english_are_read_right(tmp_path, words, encoding):
    """An export in which one customer's city is all there is to tell by; what counts is the text."""
    text = EXPORT.format(words)
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode(encoding))

    assert path.read_bytes().decode(detect_encoding(path).name) == text


def test_what_few_letters_leave_open_is_asked(tmp_path):
    """One letter that Romanian and Turkish have at the same byte: either may be right, and the report shows both."""
    path = tmp_path / "a.csv"
    path.write_bytes(EXPORT.format("Preţ").encode("cp1250"))

    (remark,) = inspect_file(path).remarks

    assert "fits its text best, and" in remark
    assert "'Preţ'" in remark
    assert "'Preş'" in remark
    assert inspect_file(path, options=TableOptions(encoding="cp1250")).remarks == ()


@pytest.mark.parametrize("encoding", ["cp1250", "cp1252", "cp932", "utf-8"])
def test_much_to_tell_by_leaves_no_question(tmp_path, encoding):
    """The report says that the encoding was found out, and asks nothing."""
    path = tmp_path / "a.csv"
    path.write_bytes("".join(f"{number};{WORDS[encoding]}\n" for number in range(20)).encode(encoding))

    assert detect_encoding(path).rival is None
    assert not any("?" in remark for remark in inspect_file(path).remarks)


def test_what_stands_far_below_counts(tmp_path):
    """The first megabyte is plain, and then comes a name."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,name\n" + b"1,plain\n" * 200_000 + "2,中文名称测试\n".encode("gb18030"))

    assert detect_encoding(path).name == "gb18030"


def test_utf8_with_a_broken_byte_stays_utf8(tmp_path):
    """One line of another encoding must not turn the others into nonsense; the report says that bytes are broken."""
    path = tmp_path / "a.csv"
    path.write_bytes("id,name\n1,Müller\n2,Schäfer\n".encode() + b"3,Stra\xdfe\n")

    found = inspect_file(path)

    assert found.encoding == "utf-8"
    assert [row[1] for row in found.sheets[0].tables[0].first_rows] == ["Müller", "Schäfer", "Stra\ufffde"]
    assert "some bytes are no characters of utf-8" in found.remarks[1]


def test_encoding_is_corrected(tmp_path):
    """A person knows better, and a wrong word is told."""
    path = tmp_path / "a.csv"
    path.write_bytes("id,name\n1,Ł\n".encode("cp1250"))

    assert inspect_file(path, options=TableOptions(encoding="cp1250")).sheets[0].tables[0].first_rows[0][1] == "Ł"
