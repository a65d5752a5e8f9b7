"""The names of months in thirteen languages and their abbreviations, as they stand in dates whose form a person gave."""

import unicodedata

_NAMES = (
    "january february march april may june july august september october november december",
    "januar februar märz april mai juni juli august september oktober november dezember",
    "jänner feber maerz april mai juni juli august september oktober november dezember",
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "januari februari maart april mei juni juli augustus september oktober november december",
    "januari februari mars april maj juni juli augusti september oktober november december",
    "styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik listopad grudzień",
    "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    "январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь",
    "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık",
)
_SHORT = {"mrz": 3, "mrt": 3, "setiembre": 9, "sept": 9, "set": 9}
_FEWEST_LETTERS = 3


def month_of(word: str) -> int:
    """1 to 12; of an abbreviation by the letters that it begins with, in any case, with or without its point. Raises `ValueError`."""
    month = _MONTH_OF.get(word.removesuffix(".").casefold())
    if month is None:
        raise ValueError(word)
    return month


def _plain(word: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFD", word) if not unicodedata.combining(letter))


def _all_words() -> dict[str, int]:
    """Each name and each beginning of one that leads to one month only."""
    months: dict[str, set[int]] = {word: {month} for word, month in _SHORT.items()}
    for names in _NAMES:
        for month, name in enumerate(names.split(), start=1):
            for spelled in {name, _plain(name)}:
                for end in range(_FEWEST_LETTERS, len(spelled) + 1):
                    months.setdefault(spelled[:end], set()).add(month)
    # "jui" begins June and July; a whole name is what it is.
    return {word: found.pop() for word, found in months.items() if len(found) == 1}


_MONTH_OF = _all_words()
