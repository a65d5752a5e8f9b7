"""The marks of currencies that may stand beside a number."""

import re

_CURRENCIES = """
    $ € £ ¥ ￥ ₹ ₩ ₽ ₺ ₫ ₴ ₪ ฿ ₦ ₱ ₿ US$ HK$ NT$ A$ C$ S$ R$ RMB CN¥ 元 円 원 kr zł Kč Ft lei Rs USD EUR GBP CNY JPY CHF AUD CAD HKD
    TWD SGD KRW INR SEK NOK DKK PLN CZK HUF RON RUB TRY BRL MXN ZAR THB VND IDR MYR đ VNĐ Rp CLP ISK
"""
# The longest mark first, so that "US$" is not read as "U" and "S$".
MARK = "|".join(map(re.escape, sorted(_CURRENCIES.split(), key=len, reverse=True)))
"""A pattern for one of them."""


OF_POINTS_BETWEEN_THOUSANDS = frozenset(
    [
        "₫",
        "đ",
        "VNĐ",
        "VND",
        "₩",
        "KRW",
        "원",
        "JPY",
        "円",
        "Rp",
        "IDR",
        "CLP",
        "ISK",
        "Ft",
        "HUF",
        "R$",
        "BRL",
        "kr",
        "SEK",
        "NOK",
        "DKK",
        "zł",
        "PLN",
        "Kč",
        "CZK",
        "lei",
        "RON",
        "₺",
        "TRY",
    ]
)
"""Currencies whose amounts have no decimals, or a comma before them where people write a point between thousands."""
