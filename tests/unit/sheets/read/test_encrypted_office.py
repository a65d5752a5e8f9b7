"""Encrypted Office workbooks: opened with the password, and with nothing else."""

import io
import logging
import re
import sys
from pathlib import Path

import pytest
import xlsxwriter
from msoffcrypto.format.ooxml import OOXMLFile
from msoffcrypto.method import ecma376_agile

from levelpool.sheets import ExcelParser, TableOptions, inspect_file
from levelpool.sheets.errors import DamagedFile, EncryptedFile, LimitExceeded
from levelpool.sheets.inspect import Inspection

SECRET = "open sesame ü"
GALLERY = Path(__file__).parents[3] / "gallery" / "encrypted"


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


@pytest.fixture
def described(encrypted, monkeypatch):
    """A function that writes one whose description says something else."""
    described = ecma376_agile.ECMA376AgileEncryptionInfo.toEncryptionDescriptor

    def write(name, value):
        monkeypatch.setattr(
            ecma376_agile.ECMA376AgileEncryptionInfo,
            "toEncryptionDescriptor",
            lambda info: re.sub(f'{name}="[^"]*"', f'{name}="{value}"', described(info)),
        )
        return encrypted(SECRET)

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

    with pytest.raises(EncryptedFile, match="LEVELPOOL_FILE_PASSWORD"):
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

    with pytest.raises(EncryptedFile, match="LEVELPOOL_FILE_PASSWORD"):
        ExcelParser.read_excel(path)
    with pytest.raises(EncryptedFile, match=r"levelpool\[encrypted\]"):
        ExcelParser.read_excel(path, options=TableOptions(password=SECRET))


@pytest.mark.parametrize("name", ["libreoffice_standard.xlsx", "libreoffice_rc4.xls"])
def test_workbook_that_libreoffice_encrypted_opens(name):
    """With the standard encryption of 2007, and RC4 in an .xls."""
    found = inspect_file(GALLERY / name, options=TableOptions(password=SECRET)).sheets[0]

    assert [str(value) for value in found.tables[0].first_rows[0]] == ["000123", "12.5", "2026-11-02"]
    with pytest.raises(EncryptedFile, match="another password"):
        inspect_file(GALLERY / name, options=TableOptions(password="sesame"))


def test_key_of_192_bits_opens(encrypted, monkeypatch):
    """The library that opens it would keep the padding of such a key."""
    seal = ecma376_agile._encrypt_aes_cbc
    monkeypatch.setattr(ecma376_agile.ECMA376AgileCipherParams, "__init__", _with_192_bits(ecma376_agile.ECMA376AgileCipherParams.__init__))
    monkeypatch.setattr(ecma376_agile, "_encrypt_aes_cbc", lambda data, key, iv: seal(data + bytes(-len(data) % 16), key, iv))
    path = encrypted(SECRET)
    monkeypatch.undo()

    assert len(ExcelParser.read_excel(path, options=TableOptions(password=SECRET))) == 1


def _with_192_bits(make):
    def make_smaller(self):
        make(self)
        self.keyBits = 192

    return make_smaller


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("cipherAlgorithm", "RC2", "the cipher RC2"),
        ("cipherAlgorithm", "3DES", "the cipher 3DES"),
        ("cipherChaining", "ChainingModeCFB", "AES .CFB."),
        ("hashAlgorithm", "MD5", "the hash MD5"),
    ],
)
def test_cipher_that_is_not_opened_is_named(described, name, value, told):
    """It is not taken for a wrong password."""
    with pytest.raises(EncryptedFile, match=told):
        ExcelParser.read_excel(described(name, value), options=TableOptions(password=SECRET))


def test_key_that_takes_too_long_is_refused_before_it_is_made(described):
    """The file says how many rounds there are: nine million are one more trap."""
    with pytest.raises(LimitExceeded, match=r"9,000,000 rounds .* LEVELPOOL_MAX_KEY_ROUNDS"):
        ExcelParser.read_excel(described("spinCount", 9_000_000), options=TableOptions(password=SECRET))


def test_damaged_data_is_told_from_a_wrong_password(encrypted):
    """The password is proved by itself, so what does not come out is the fault of the data."""
    path = encrypted(SECRET)
    data = bytearray(path.read_bytes())
    # The stream of the data is the last of the container: its middle lies well behind the description.
    data[-4000:-2000] = bytes(2000)
    path.write_bytes(data)

    with pytest.raises(DamagedFile, match=r"Orders\.xlsx is damaged"):
        ExcelParser.read_excel(path, options=TableOptions(password=SECRET))
