"""Encrypted workbooks: opened with the password, and with nothing else."""

import io
import logging
import sys

import pytest
import xlsxwriter
from msoffcrypto.format.ooxml import OOXMLFile

from levelpool.sheets import ExcelParser, TableOptions, inspect_file
from levelpool.sheets.errors import EncryptedFile
from levelpool.sheets.inspect import Inspection

SECRET = "open sesame ü"


@pytest.fixture
def encrypted(tmp_path):
    """A function that writes an encrypted workbook with one small table."""

    def write(password):
        plain = io.BytesIO()
        with xlsxwriter.Workbook(plain, {"in_memory": True}) as book:
            sheet = book.add_worksheet("Orders")
            sheet.write_row(0, 0, ["Order No", "Amount"])
            sheet.write_row(1, 0, ["000123", 12.5])
        path = tmp_path / "Orders.xlsx"
        with path.open("wb") as file:
            OOXMLFile(plain).encrypt(password, file)
        return path

    return write


def test_the_password_opens_it(encrypted):
    """As if there were none; the report says that it was needed."""
    found = inspect_file(encrypted(SECRET), options=TableOptions(password=SECRET))

    assert found.sheets[0].tables[0].first_rows[0][0] == "000123"
    assert found.remarks[0] == "the workbook is encrypted and was opened with the given password"
    assert found.format == "xlsx"


def test_without_a_password_it_says_what_is_needed(encrypted):
    """One sentence; and another one for a wrong password."""
    path = encrypted(SECRET)

    with pytest.raises(EncryptedFile, match="give the password with it"):
        ExcelParser.read_excel(path)
    with pytest.raises(EncryptedFile, match="another password"):
        ExcelParser.read_excel(path, options=TableOptions(password="sesame"))


def test_a_workbook_that_nobody_protected_from_reading_opens_by_itself(encrypted):
    """Programs encrypt one that is only protected against changes with a password that all of them know."""
    assert len(ExcelParser.read_excel(encrypted("VelvetSweatshop"))) == 1


def test_the_password_is_in_no_report_and_no_log(encrypted, caplog, monkeypatch):
    """Neither when it opens the file nor when it does not."""
    caplog.set_level(logging.DEBUG)
    path = encrypted(SECRET)
    found: Inspection = inspect_file(path, options=TableOptions(password=SECRET))
    with pytest.raises(EncryptedFile) as refused:
        inspect_file(path, options=TableOptions(password=f"not {SECRET}"))

    shown = f"{found!r} {found.to_dict()} {found.preview()} {refused.value!r} {caplog.text}"
    assert "sesame" not in shown


def test_without_the_package_it_says_what_to_install(encrypted, monkeypatch):
    """The package is optional, and only who has a password needs it."""
    path = encrypted(SECRET)
    monkeypatch.setitem(sys.modules, "msoffcrypto", None)

    with pytest.raises(EncryptedFile, match="give the password with it"):
        ExcelParser.read_excel(path)
    with pytest.raises(EncryptedFile, match=r"levelpool\[encrypted\]"):
        ExcelParser.read_excel(path, options=TableOptions(password=SECRET))
