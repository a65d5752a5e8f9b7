"""What number formats say about the numbers under them."""

import pytest

from levelpool.sheets.number_codes import family, is_elapsed, unit, width_of_zeros, with_zeros


@pytest.mark.parametrize(
    ("code", "shows"),
    [
        ("yyyy-mm-dd", "date"),
        ("d.m.yy h:mm", "timestamp"),
        ("h:mm:ss AM/PM", "time"),
        ("mm:ss.0", "time"),
        ("[hh]:mm", ""),
        ("#,##0.00", ""),
        ("[$-409]d-mmm-yy;@", "date"),
        ("yyyy-mm-ddThh:mm:ssZ", "timestamp"),
        ('d. mmmm yyyy "um" h "Uhr"', "timestamp"),
        ("yyyy年m月d日", "date"),
        ("[$-411]ge.m.d", "date"),
        # the section that is for the numbers of days
        ('[=0]"never";d.m.yyyy', "date"),
        ('[<1]"soon";[>=1]d mmm yy;@', "date"),
        ('[<0]0;[=0]"-";yyyy/mm/dd hh:mm', "timestamp"),
        ("[>=100000]#,##0;yyyy-mm-dd", "date"),
        ('[>99]0;[<=99]"few"', ""),
        ('0;"d m y"', ""),
        # days of the week
        ("[$-411]aaa;@", "date"),
        ("NNN", "date"),
        ("ddd", "date"),
        # General in other languages, and words of any
        ("Standard", ""),
        ("Standard;[Red]-Standard", ""),
        ("Основной", ""),
        ("Geral", ""),
        ("Normál", ""),
        ("Всегда", ""),
        # letters of other languages
        ("ДД.ММ.ГГГГ", "date"),
        ("дд.мм.гггг чч:мм:сс", "timestamp"),
        ("чч:мм", "time"),
        ("TT.MM.JJJJ", "date"),
        ("jj/mm/aaaa hh:mm", "timestamp"),
        ("rrrr-mm-dd", "date"),
        ("uu:mm", "time"),
        ('yyyy" г."', "date"),
    ],
)
def test_family_of_a_code(code, shows):
    """A number is a day or a time only where its format would show it as one."""
    assert family(code) == shows


def test_elapsed_hours_are_told_by_the_section_that_shows_them():
    """A bracket within quotation marks counts nothing."""
    assert is_elapsed('[<0]"-";[h]:mm')
    assert not is_elapsed('"[h]"0')


@pytest.mark.parametrize("code", ["[" * 5000, '"' * 5001, "\\" * 5001, ";" * 5000, "y" * 5000 + "k", "a" * 5001, "T" * 5000 + "." * 50])
def test_a_code_of_nonsense_is_a_number(code):
    """And it is read in time that grows with its length."""
    assert family(code) == "" and unit(code) == "" and width_of_zeros(code) == 0


@pytest.mark.parametrize(
    ("code", "width", "shown"),
    [
        ("00000", 5, "00042"),
        ("[$-407]00000", 5, "00042"),
        ("000\\-00\\-0000", 9, "000-00-0042"),
        ('"D-"00000', 5, "D-00042"),
        ("(000) 000-0000;General", 10, "(000) 000-0042"),
        ("#,##0", 0, ""),
        ("0", 0, ""),
        ("yyyy.mm.00", 0, ""),
        ("000/000", 0, ""),
    ],
)
def test_zeros_of_a_code(code, width, shown):
    """A code makes zeros where it has more than one of its own before the point."""
    assert width_of_zeros(code) == width
    assert not width or with_zeros("42", code) == shown


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("[$€-407] #,##0.00", "€"),
        ('#,##0.00\\ "zł"', "zł"),
        ('_("$"* #,##0_);_("$"* (#,##0)', "$"),
        ("[$CHF]\\ 0.00", "CHF"),
        ('General" pcs"', "pcs"),
        ("£#,##0", "£"),
        ("0\\ \\k\\g", "kg"),
        ('0.0" °C"', "°C"),
        ("[$-409]#,##0.00", ""),
        ("#,##0.00_-", ""),
        ('0.0,"k"', ""),
        ('0.0,,"M"', ""),
        ('"Yes";"No"', ""),
        ('yyyy" г."', ""),
        ("0.00E+00", ""),
        ("0%", ""),
    ],
)
def test_unit_of_a_code(code, says):
    """A mark that only shows a number in thousands is no unit."""
    assert unit(code) == says
