"""The words that shape goes by: labels of totals, units of measurement, and words that stand in headers."""

import re

TOTAL_LABELS = (
    *("total", "totals", "grand total", "sub total", "sub-total", "subtotal", "sum", "overall"),
    *("*", "**", "***"),  # lists of SAP
    *("合计", "总计", "小计", "共计", "总和", "汇总", "累计", "本页小计", "本页合计"),
    *("合計", "總計", "小計", "共計", "總和", "総計", "計"),
    *("summe", "gesamt", "gesamtsumme", "zwischensumme", "insgesamt", "ergebnis", "teilergebnis", "gesamtergebnis"),
    *(
        "somme",
        "total général",
        "sous-total",
        "suma",
        "total general",
        "totale",
        "totale generale",
        "subtotale",
        "soma",
        "totaal",
        "subtotaal",
    ),
    *("итого", "всего", "합계", "총계", "소계"),
)
"""Labels of totals, in lower case; blanks around them and a colon behind do not count."""

_TOTALS = frozenset(TOTAL_LABELS)
_LONGEST_LABEL = max(map(len, TOTAL_LABELS)) + 4

_UNITS = """
    % ‰ g kg hpa kpa mpa bar mbar mg t lb lbs oz mm cm m km in ft m2 m² m3 m³ l ml cl dl hl h hr hrs min mins s sec ms d day
    days week weeks month months year years pcs pc pieces piece ea each units unit qty box boxes bag bags pack packs set sets
    pair pairs ctn $ € £ ¥ ￥ usd eur gbp cny rmb jpy chf aud cad hkd twd krw inr sek nok dkk pln czk °c °f c f k v mv kv a ma w
    kw mw kwh mwh j kj pa hz khz mhz ghz kb mb gb tb b 个 件 箱 包 袋 盒 套 只 支 瓶 台 张 本 双 对 条 米 厘米 毫米 千米 公里 千克 公斤 克 吨 升 毫升 元 万元 千元 亿元
    美元 欧元 天 日 小时 分钟 秒 stück stk std tage
"""
UNITS = frozenset(_UNITS.split())
"""Units of measurement, in lower case; brackets around them do not count."""

_WORDS = """
    id no nr num number code sku ean upc gtin isbn asin key uuid ref reference index order orders item items line product
    products name names first last title description desc type kind category categories class group status state active flag
    date day month year time timestamp datetime created updated modified start end from to at due qty quantity count amount
    amounts price prices cost costs value values total sum net gross tax vat discount rate percent share currency unit units
    weight height width length size color colour brand model version city country region zip postcode postal address street
    phone tel mobile fax email mail e-mail url link website customer customers client supplier vendor company firm user users
    username login account owner author manager contact person employee department team store shop warehouse location place site
    channel source target note notes comment comments remark remarks reason message text word label tag tags score rank position
    stock inventory available reserved sales revenue profit margin balance budget payment invoice bill receipt shipping delivery
    tracking carrier gender sex age birthday language level priority severity result field column row header datum uhrzeit menge
    preis betrag artikel kunde kundennummer bezeichnung straße plz ort land stadt bestellung bestellnummer rechnung lieferant
    einheit gewicht bemerkung vorname nachname nom prénom ville pays prix quantité montant référence fecha nombre ciudad precio
    cantidad importe 编号 序号 单号 订单 订单号 订单编号 编码 货号 条码 款号 名称 姓名 商品 商品名称 产品 品名 规格 型号 类型 类别 分类 状态 日期 时间 年 月 数量 件数 单价 价格 金额 总价 小计 成本 税率
    税额 折扣 单位 重量 颜色 尺寸 尺码 品牌 城市 地区 省份 国家 地址 邮编 电话 手机 手机号 邮箱 客户 客户名称 供应商 公司 部门 员工 仓库 库存 店铺 平台 渠道 备注 说明 原因 性别 年龄 收货人 收件人 快递 物流 运费
    付款 支付 发票 合同
"""
_HEADER_WORDS = frozenset(_WORDS.split())
_WORD = re.compile(r"[^\W\d_]+")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_HAN_HEADER = re.compile(
    r"(?:号|编码|编号|名|名称|日期|时间|数|数量|额|金额|价|单价|率|类型|状态|地址|电话|单位|备注|说明|城市|仓库|款|费|人|方式|代码|条码|规格|型号)(?:[（(].*[)）])?$"
)
_IDENTIFIER = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+|[a-z]+(?:[A-Z][a-z0-9]+)+")


def is_identifier(text: str) -> bool:
    """Whether a cell is a name such as programs give to columns: a word in lower case without a digit, or several joined by _ or capitals."""
    text = text.strip()
    return bool(_IDENTIFIER.fullmatch(text)) or (text.isidentifier() and text.islower() and not any(map(str.isdigit, text)))


def is_total_label(text: str) -> bool:
    """Whether a cell says that its row is a total."""
    return len(text) < _LONGEST_LABEL and text.strip().rstrip(":：").rstrip().lower() in _TOTALS


_OF_GROUPS = tuple(sorted((label for label in TOTAL_LABELS if label[0].isalpha() and " " not in label), key=len, reverse=True))
_ENDS = frozenset(letter for label in _OF_GROUPS for letter in (label[-1], label[-1].upper()))
_BEGINS = frozenset(letter for label in _OF_GROUPS for letter in (label[0], label[0].upper()))
_PARTED = " \t\u3000:：_-"
_FIRST_OF_HAN = "\u4e00"
"""From here on words need nothing between them."""
_OF = ("for ", "of ", "de ", "di ", "von ", "für ")
_LONGEST_GROUP = 200


def group_of_total(text: str) -> str | None:
    """The group that a text says to be the total of: "East" of "East Total", "Total East" or "East 小计"; None when it says nothing of that kind."""
    if len(text) > _LONGEST_GROUP:
        return None
    text = text.strip().rstrip(":：").rstrip()
    if not text:
        return None
    # Asked of the first text of each row: most are told by one letter.
    return (text[-1] in _ENDS and _before_label(text)) or (text[0] in _BEGINS and _after_label(text)) or None


def _before_label(text: str) -> str:
    """The text in front of a label that it ends with; "" when it ends with none."""
    lower = text.lower()
    for label in _OF_GROUPS if lower.endswith(_OF_GROUPS) else ():
        group = text[: -len(label)]
        if lower.endswith(label) and group and (group[-1] in _PARTED or label[0] >= _FIRST_OF_HAN):
            return group.rstrip(_PARTED)
    return ""


def _after_label(text: str) -> str:
    """The text behind a label that it begins with; "" when it begins with none."""
    lower = text.lower()
    for label in _OF_GROUPS if lower.startswith(_OF_GROUPS) else ():
        group = text[len(label) :]
        if lower.startswith(label) and group and (group[0] in _PARTED or label[0] >= _FIRST_OF_HAN):
            group = group.lstrip(_PARTED)
            return next((group.removeprefix(each) for each in _OF if group.startswith(each)), group)
    return ""


_COMMENTS = ("#", "//", "%", "!", ";")
_NOTICE = re.compile(
    r"<br */?>|(?:<b>)?(?:PHP )?(?:Warning|Notice|Deprecated|(?:Recoverable |Catchable )?[Ff]atal error|Parse error|Strict Standards)(?:</b>)?: "
)


def is_notice(text: str) -> bool:
    """Whether a cell begins a message that a program printed into its own export, as PHP does."""
    return text[:1] in "<PWNDFRCS" and bool(_NOTICE.match(text))


def is_comment(text: str) -> bool:
    """Whether a cell begins as comments do, or is such a message."""
    return text.startswith(_COMMENTS) or is_notice(text)


def is_unit(text: str) -> bool:
    """Whether a cell holds a unit of measurement and nothing else."""
    return len(text) < 16 and text.strip().strip("()[]（）【】").strip().lower() in UNITS


def is_header_word(text: str) -> bool:
    """Whether a cell reads like the name of a column: a word that often is one, or an identifier such as order_no."""
    if len(text) > 40:
        return False
    if _HAN.search(text):
        return text.strip() in _HEADER_WORDS or bool(_HAN_HEADER.search(text.strip()))
    if _IDENTIFIER.fullmatch(text.strip()):
        return True
    words = [word.lower() for word in _WORD.findall(text)]
    return 0 < len(words) <= 4 and any(word in _HEADER_WORDS for word in words)
