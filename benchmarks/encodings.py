"""
Short exports in many languages and the encodings they come in: how often the text comes out exactly right, ours beside others.

    python -m benchmarks encodings
    python -m benchmarks.encodings    # the tables of the documentation, from the last run

A file is a list of orders as a shop exports it: English around some words of one language (persons, cities, products, remarks),
from one word to some hundred. Persons and cities come from Faker, headers and products from here; our own model of languages was
made from neither (see `benchmarks/languages.py`). What counts is the text, not the encoding's name. Rare encodings count as much as
common ones within their table, so the tables are apart.
"""

import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import RESULTS, keep
from levelpool.sheets.read.encoding import Encoding, detect_encoding

SEED = 20261127
FILES = 6
"""Of each language, encoding and number of words."""

WORDS = (1, 2, 4, 12, 40, 200)
BINS = ((1, "1"), (3, "2-3"), (9, "4-9"), (29, "10-29"), (99, "30-99"), (10**9, "100+"))


@dataclass(frozen=True, slots=True)
class Language:
    """Words of one language, and the encodings its users have had, the usual ones first."""

    locale: str  # of Faker
    usual: tuple[str, ...]
    rare: tuple[str, ...]
    words: str  # headers, products, remarks of a shop


_WEST = ("iso-8859-15", "mac_roman", "cp850")
_CENTRAL = ("iso-8859-2", "cp852", "mac_latin2")
_CYRILLIC = ("koi8_r", "cp866", "iso-8859-5", "mac_cyrillic")

LANGUAGES = {
    "German": Language("de_DE", ("cp1252",), (*_WEST, "cp437"), "Größe|Menge|Stück|Straße|Schlüsselanhänger|Kopfhörer|Gerät defekt|Rückgabe|für Küche|Bürostuhl|Käsereibe|Prüfgerät|Lieferung verzögert"),
    "French": Language("fr_FR", ("cp1252",), (*_WEST, "cp437"), "Référence|Libellé|Quantité|Prix unitaire|Théière|Crème brûlée|Étagère en chêne|Prêt-à-porter|cœur|Reçu|Expédié|Château|très fragile|août"),
    "Spanish": Language("es_ES", ("cp1252",), (*_WEST, "cp437"), "Número|Descripción|Tamaño|Niño|Año|Camión|Pantalón|Cafetera eléctrica|Envío rápido|Dirección|Español|Muñeca|Piñata|café"),
    "Portuguese": Language("pt_BR", ("cp1252",), (*_WEST, "cp437"), "Descrição|Preço|Endereço|Observações|Pão de queijo|Calção|Maçã|Relógio|Não entregue|São Paulo|Coração|Avião|Três peças"),
    "Italian": Language("it_IT", ("cp1252",), _WEST, "Quantità|Città|Caffè|Unità|Tè verde|Più venduto|Qualità|Libertà|perché|Papà|Lunedì|Virtù"),
    "Dutch": Language("nl_NL", ("cp1252",), _WEST, "Privé|Crème|Eén stuk|Categorieën|Geïsoleerd|Coöperatie|Beëindigd|Reünie|Financiële|Café|Industriële|Zeeën"),
    "Swedish": Language("sv_SE", ("cp1252",), _WEST, "Färg|Antal på lager|Köp|Löpskor|Förpackning|Grädde|Blå tröja|Skärbräda|Överkast|Åtgärd|Mängd|Tillgänglig"),
    "Danish": Language("da_DK", ("cp1252",), _WEST, "Beløb|Størrelse|Mængde|Rødvin|Blå skjorte|Køkken|Smørkniv|Æblekage|Ånd|Før rabat|Læder|Århus"),
    "Norwegian": Language("no_NO", ("cp1252",), _WEST, "Beløp|Størrelse|Mengde på lager|Rød genser|Kjøkken|Tørkestativ|Ærlig|Åpen|Blåbær|Før avslag|Tromsø|Lærbelte"),
    "Finnish": Language("fi_FI", ("cp1252",), _WEST, "Määrä|Väri|Hyväksytty|Lähetetty|Pöytä|Kynttilänjalka|Villasukat läpi|Jyväskylä|Hämeenlinna|Tähti|Syötävä|Käsipyyhe"),
    "Icelandic": Language("is_IS", ("cp1252",), _WEST, "Verð|Stærð|Þyngd|Lýsing|Íþróttaskór|Hálsmen úr silfri|Öryggi|Fæði|Ávöxtur|Múrsteinn|Þvottavél|Reykjavík"),
    "Polish": Language("pl_PL", ("cp1250",), _CENTRAL, "Ilość|Zamówienie|Łódź|Śruba|Źródło|Żółty|Gdańsk|Książka|Wysłane|Część zamienna|Kołdra|Mężczyzna|Rękawiczki|Płatność"),
    "Czech": Language("cs_CZ", ("cp1250",), _CENTRAL, "Množství|Číslo|Příjmení|Šroub|Žlutý|Hračka|Kávovar|Dětské kolo|Lžíce|Zboží|Plzeň|Ručník|Objednávka přijata|Kůže"),
    "Slovak": Language("sk_SK", ("cp1250",), _CENTRAL, "Množstvo|Číslo|Košeľa|Ľanový obrus|Žltá|Stôl|Hračka|Kávovar|Objednávka|Vŕtačka|Lyžica|Doručené|Štvrtok|Kôň"),
    "Hungarian": Language("hu_HU", ("cp1250",), _CENTRAL, "Mennyiség|Név|Cím|Összeg|Kávéfőző|Törölköző|Gyűrű|Sütőtök|Ajtó|Függöny|Szükséges|Győr|Könyv|Hűtő"),
    "Romanian": Language("ro_RO", ("cp1250",), _CENTRAL, "Cantitate|Preţ|Adresă|Cămaşă|Maşină|Încălţăminte|Bucureşti|Iaşi|Scaun înalt|Lumânare|Perniţă|Livrată|Ţesătură|Pâine"),
    "Croatian": Language("hr_HR", ("cp1250",), _CENTRAL, "Količina|Šifra|Narudžba|Čaša|Žlica|Ćup|Kišobran|Đubrivo|Košulja|Plaćeno|Kuća|Vreća|Igračka|Naočale"),
    "Slovene": Language("sl_SI", ("cp1250",), _CENTRAL, "Količina|Številka|Naročilo|Žlica|Čevlji|Šal|Plačano|Igrača|Očala|Košara|Odpreme ni še|Stolček|Čas|Vrečka"),
    "Lithuanian": Language("lt_LT", ("cp1257",), ("iso-8859-13", "iso-8859-4"), "Kiekis vienetų|Užsakymas|Šiauliai|Žalia|Drabužių spinta|Įmonė|Ąžuolas|Ėriukas|Kėdė|Puodelių|Šviestuvas|Grąžinta|Pirkėjas"),
    "Latvian": Language("lv_LV", ("cp1257",), ("iso-8859-13", "iso-8859-4"), "Skaits|Pasūtījums|Rīga|Šķīvis|Žāvētājs|Ķirsis|Ģimene|Krēsls|Lūgums|Bērnu apģērbs|Saņemts|Ņem līdzi|Kļava"),
    "Estonian": Language("et_EE", ("cp1257",), ("iso-8859-15", "iso-8859-13"), "Kogus|Värv|Hõbe|Jõulud|Müük|Küünal|Täht|Šokolaad|Öökapp|Õlu|Lõuna|Pärnu|Žanr|Võti"),
    "Turkish": Language("tr_TR", ("cp1254",), ("cp857", "mac_turkish"), "Sipariş|Müşteri|Ürün adı|Gömlek|Işık|Çanta|İstanbul|Ayakkabı|Kırmızı|Yeşil|Ağaç|Şişe|Kargo gönderildi|Büyük"),
    "Greek": Language("el_GR", ("cp1253",), ("iso-8859-7", "cp737", "mac_greek"), "Ποσότητα|Τιμή|Πελάτης|Πουκάμισο|Αθήνα|Καφετιέρα|Πληρωμή|Διεύθυνση|Κόκκινο|Παραγγελία|Ώρα|Ήλιος|Είδος"),
    "Russian": Language("ru_RU", ("cp1251",), _CYRILLIC, "Количество|Цена|Клиент|Рубашка|Москва|Чайник|Оплачено|Адрес|Красный|Заказ|Примечание|Ёлка|Номер|Город"),
    "Bulgarian": Language("bg_BG", ("cp1251",), ("cp866", "iso-8859-5", "mac_cyrillic"), "Количество|Цена|Клиент|Риза|София|Чайник|Платено|Адрес|Червен|Поръчка|Бележка|Ябълка|Номер|Град"),
    "Ukrainian": Language("uk_UA", ("cp1251",), ("koi8_u", "cp1125", "iso-8859-5"), "Кількість|Ціна|Клієнт|Сорочка|Київ|Чайник|Сплачено|Адреса|Червоний|Замовлення|Примітка|Їжак|Номер|Місто"),
    "Hebrew": Language("he_IL", ("cp1255",), ("iso-8859-8", "cp862"), "כמות|מחיר|לקוח|חולצה|ירושלים|קומקום|שולם|כתובת|אדום|הזמנה|הערה|מספר|עיר|תל אביב"),
    "Arabic": Language("ar_SA", ("cp1256",), ("iso-8859-6", "cp720"), "الكمية|السعر|العميل|قميص|القاهرة|إبريق|مدفوع|العنوان|أحمر|الطلب|ملاحظة|رقم|المدينة|هاتف"),
    "Persian": Language("fa_IR", ("cp1256",), (), "تعداد|قيمت|مشتري|پيراهن|تهران|چاي|پرداخت شد|نشاني|قرمز|سفارش|توضيح|شماره|شهر|گلدان"),
    "Thai": Language("th_TH", ("cp874",), (), "จำนวน|ราคา|ลูกค้า|เสื้อ|กรุงเทพ|กาน้ำชา|ชำระแล้ว|ที่อยู่|สีแดง|คำสั่งซื้อ|หมายเหตุ|เลขที่|เมือง|เชียงใหม่"),
    "Vietnamese": Language("vi_VN", ("cp1258",), (), "Số lượng|Giá|Khách hàng|Áo sơ mi|Hà Nội|Ấm trà|Đã thanh toán|Địa chỉ|Màu đỏ|Đơn hàng|Ghi chú|Số|Thành phố|Đà Nẵng"),
    "Japanese": Language("ja_JP", ("cp932",), ("euc_jp", "iso2022_jp"), "数量|単価|顧客|シャツ|東京都|ティーポット|支払済|住所|赤い|注文番号|備考|予約|ｶﾀｶﾅ|１２３４|サイズ|テーブル|ﾔﾏﾀﾞ ﾀﾛｳ|２０２６年"),
    "Chinese": Language("zh_CN", ("gb18030",), (), "数量|单价|买家会员名|衬衫|北京市|茶壶|已付款|地址|红色|订单编号|备注|快递|尺码|桌子|一|中"),
    "Taiwanese": Language("zh_TW", ("big5hkscs",), (), "數量|單價|買家|襯衫|臺北市|茶壺|已付款|地址|紅色|訂單編號|備註|快遞|尺寸|桌子|一|中"),
    "Korean": Language("ko_KR", ("cp949",), (), "수량|단가|고객|셔츠|서울|찻주전자|결제완료|주소|빨강|주문번호|비고|택배|크기|책상"),
}  # fmt: skip

UNICODE = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le")


@dataclass(frozen=True, slots=True)
class Case:
    """One file, and what it says."""

    language: str
    encoding: str
    group: str  # "usual", "rare", "unicode"
    evidence: int  # characters beyond ASCII
    data: bytes
    text: str


def cases(files: int = FILES, words: tuple[int, ...] = WORDS, seed: int = SEED) -> Iterator[Case]:
    """The files of all languages, the same each time for one version of Faker."""
    for name, language in LANGUAGES.items():
        vocabulary = _vocabulary(language, seed)
        of_group = (("usual", language.usual), ("rare", language.rare), ("unicode", UNICODE))
        for group, encodings in of_group:
            for encoding in encodings:
                dice = random.Random(f"{seed} {name} {encoding}")
                for count in words:
                    for _ in range(1 if group == "unicode" else files):
                        yield from _case(dice, name, encoding, group=group, count=count, vocabulary=vocabulary)


def _case(dice: random.Random, name: str, encoding: str, *, group: str, count: int, vocabulary: dict[str, list[str]]) -> Iterator[Case]:
    fits = {column: [word for word in words if _encodes(word, encoding)] for column, words in vocabulary.items()}
    fits = {column: words for column, words in fits.items() if words}
    if not fits:
        return
    text = _export(dice, fits, count)
    data = text.encode(encoding)
    text = data.decode(encoding)
    foreign = sum(character > "\x7f" for character in text)
    yield Case(name, encoding, group, foreign, data, text.removeprefix("\ufeff"))


def _encodes(word: str, encoding: str) -> bool:
    try:
        word.encode(encoding)
    except UnicodeError:
        return False
    return not word.isascii()


_PLAIN = {
    "person": ["Peter Smith", "Anna Brown", "John Miller", "Maria Lopez", "Tom Baker", "Eva Green"],
    "city": ["London", "Boston", "Rome", "Madrid", "Berlin", "Sydney"],
    "product": ["Teapot", "T-Shirt red", "USB cable 2m", "Chair", "Lamp LED 40W", "Notebook A5"],
}


def _export(dice: random.Random, vocabulary: dict[str, list[str]], count: int) -> str:
    """Orders in which *count* fields hold words of the language."""
    delimiter = dice.choice(",;\t")
    columns = list(_PLAIN)
    rows = max(6, count)
    fields = {(row, column): dice.choice(_PLAIN[column]) for row in range(rows) for column in columns}
    for place in dice.sample(sorted(fields), count):
        column = place[1] if place[1] in vocabulary else dice.choice(sorted(vocabulary))
        fields[place] = dice.choice(vocabulary[column])
    head = ["id", "customer", "city", "product", "amount", "day"]
    if count >= 4 and "product" in vocabulary:
        head[3] = dice.choice(vocabulary["product"])
    lines = [delimiter.join(head)]
    for row in range(rows):
        cells = [
            str(1000 + row),
            *(fields[row, column] for column in columns),
            f"{dice.randrange(100, 9999) / 100:.2f}",
            f"2026-11-{row % 28 + 1:02d}",
        ]
        lines.append(delimiter.join(cell.replace(delimiter, " ") for cell in cells))
    return "\r\n".join(lines) + "\r\n"


def _vocabulary(language: Language, seed: int) -> dict[str, list[str]]:
    """Words beyond ASCII for each column."""
    from faker import Faker

    faker = Faker(language.locale)
    faker.seed_instance(seed)
    words = {
        "person": [faker.name() for _ in range(400)],
        "city": [faker.city() for _ in range(200)],
        "product": language.words.split("|"),
    }
    if language.locale == "vi_VN":
        from benchmarks.languages import vietnamese

        words = {column: [vietnamese(word) for word in of] for column, of in words.items()}
    foreign = {column: sorted({word for word in of if not word.isascii()}) for column, of in words.items()}
    return {column: of for column, of in foreign.items() if of}


# ---------------------------------------------------------------- who tells


def _ours(data: bytes) -> str | None:
    found = _found(data)
    return found.name if found else None


def _found(data: bytes) -> Encoding | None:
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        Path(file.name).write_bytes(data)
        return detect_encoding(Path(file.name))


def _charset_normalizer(data: bytes) -> str | None:
    from charset_normalizer import from_bytes

    best = from_bytes(data).best()
    return best.encoding if best else None


def _chardet(data: bytes) -> str | None:
    import chardet

    return chardet.detect(data)["encoding"]


def _chardetng(data: bytes) -> str | None:
    from chardetng_py import EncodingDetector

    detector = EncodingDetector()
    detector.feed(data, last=True)
    return detector.guess(tld=None, allow_utf8=True)


def _cchardet(data: bytes) -> str | None:
    import cchardet

    return cchardet.detect(data)["encoding"]


DETECTORS: dict[str, Callable[[bytes], str | None]] = {
    "levelpool": _ours,
    "chardet": _chardet,
    "chardetng": _chardetng,
    "faust-cchardet": _cchardet,
    "charset-normalizer": _charset_normalizer,
}


def is_right(case: Case, name: str | None) -> bool:
    """Whether the bytes, read as *name*, say exactly what was written."""
    if not name:
        return False
    try:
        return case.data.decode(name).removeprefix("\ufeff") == case.text
    except (UnicodeError, LookupError):
        return False


GROUPS = {
    "usual": "Windows and East Asia",
    "rare": "ISO, DOS, Mac, KOI8, EUC-JP and ISO-2022-JP",
    "unicode": "UTF-8, UTF-16 and UTF-32, with and without a mark",
}


def main() -> None:
    """Print the share of files that each detector reads right, and keep it."""
    found = list(cases())
    figures: dict[str, object] = {"files": len(found), "seed": SEED}
    for group in GROUPS:
        of_group = [case for case in found if case.group == group]
        print(f"\n{group} encodings, {len(of_group)} files; right in percent, by the number of characters beyond ASCII")
        print(f"  {'':20}" + "".join(f"{label:>8}" for _, label in BINS) + "     all  CPU s")
        figures[group] = {name: _measured(name, detect, of_group) for name, detect in DETECTORS.items()}
    figures["questions"] = _questions(found)
    keep("encodings", figures, packages=["Faker", *(name for name in DETECTORS if name != "levelpool"), "chardetng-py"])


def _measured(name: str, detect: Callable[[bytes], str | None], found: list[Case]) -> dict[str, float]:
    begin = time.process_time()
    right = {id(case): is_right(case, detect(case.data)) for case in found}
    seconds = time.process_time() - begin
    shares = {label: _percent([right[id(case)] for case in found if _bin(case.evidence) == label]) for _, label in BINS}
    shares["all"] = _percent(list(right.values()))
    print(f"  {name:20}" + "".join(f"{share:8.1f}" for share in shares.values()) + f"{seconds:7.1f}", flush=True)
    return {**shares, "cpu_seconds": round(seconds, 2)}


def _questions(found: list[Case]) -> dict[str, int]:
    """Whether ours knows what it does not know: wrong files whose report asks, and right ones whose report asks, too."""
    counts = dict.fromkeys(("right", "right, and asked", "wrong, and asked", "wrong, and silent"), 0)
    for case in found:
        answer = _found(case.data)
        is_asked = answer is not None and answer.rival is not None
        if is_right(case, answer.name if answer else None):
            counts["right, and asked" if is_asked else "right"] += 1
        else:
            counts["wrong, and asked" if is_asked else "wrong, and silent"] += 1
    print("\nlevelpool: " + "; ".join(f"{count} {name}" for name, count in counts.items()))
    return counts


def _bin(evidence: int) -> str:
    return next(label for most, label in BINS if evidence <= most)


def _percent(right: list[bool]) -> float:
    return round(100 * sum(right) / max(1, len(right)), 1)


def tables() -> str:
    """What results/encodings.json says, as the documentation shows it."""
    figures = json.loads((RESULTS / "encodings.json").read_text(encoding="utf-8"))["figures"]
    labels = [label for _, label in BINS]
    lines = []
    for group, title in GROUPS.items():
        lines += [f"| {title}: characters beyond ASCII | {' | '.join(labels)} | all |", "|---|" + "---|" * (len(labels) + 1)]
        lines += [
            f"| {name} | {' | '.join(str(shares[label]) for label in [*labels, 'all'])} |"
            for name, shares in sorted(figures[group].items(), key=lambda each: -each[1]["all"])
        ]
        lines.append("")
    asked = figures["questions"]
    wrong = asked["wrong, and asked"] + asked["wrong, and silent"]
    lines.append(
        f"Percent of {figures['files']:,} files that are read with exactly the right text. Of the {wrong} that levelpool reads wrong, "
        f"the report of {asked['wrong, and asked']} asks; of the right ones, {asked['right, and asked']} ask, too."
    )
    return "\n".join(lines)


if __name__ == "__main__":
    print(tables())
