"""Encrypted OpenDocument workbooks: opened with the password, and with nothing else, in bounded time."""

import re
import runpy
import sys
import zipfile
from pathlib import Path

import pytest

from levelpool.sheets import TableOptions, inspect_file
from levelpool.sheets.errors import DamagedFile, EncryptedFile, LimitExceeded
from levelpool.sheets.read.limits import Limits

SECRET = "open sesame ü"
GALLERY = Path(__file__).parents[3] / "gallery" / "encrypted"
WAYS = ["libreoffice_aes.ods", "libreoffice_blowfish.ods", "whole_package.ods"]
"""PBKDF2 and AES-CBC; PBKDF2 and Blowfish, as before 2012; Argon2id and AES-GCM, since LibreOffice 24.8."""


@pytest.fixture
def forged(tmp_path):
    """A function that writes one of them with other attributes in its manifest, or with another part."""

    def write(name, parts=None, **attributes):
        path = tmp_path / "forged.ods"
        with zipfile.ZipFile(GALLERY / name) as real, zipfile.ZipFile(path, "w") as package:
            for part in real.namelist():
                data = (parts or {}).get(part) or real.read(part)
                if part == "META-INF/manifest.xml":
                    text = data.decode()
                    for attribute, value in attributes.items():
                        text = re.sub(rf'{attribute.replace("_", "-")}="[^"]*"', f'{attribute.replace("_", "-")}="{value}"', text)
                    data = text.encode()
                package.writestr(part, data)
        return path

    return write


def look(path, password=SECRET, **limits):
    return inspect_file(path, options=TableOptions(password=password), limits=Limits(**limits))


@pytest.mark.parametrize("name", WAYS)
def test_the_password_opens_it(name):
    """As if there were none; the report says that it was needed."""
    found = look(GALLERY / name)

    assert [str(value) for value in found.sheets[0].tables[0].first_rows[0]] == ["000123", "12.5", "2026-11-02"]
    assert found.remarks[0] == "the workbook is encrypted and was opened with the given password"
    assert found.format == "ods"


@pytest.mark.parametrize("name", WAYS)
def test_without_the_password_it_stays_closed(name):
    """One sentence that says how to give it, and another one for a wrong password."""
    with pytest.raises(EncryptedFile, match="LEVELPOOL_FILE_PASSWORD"):
        look(GALLERY / name, password=None)
    with pytest.raises(EncryptedFile, match="another"):
        look(GALLERY / name, password="sesame")


@pytest.mark.parametrize("name", WAYS)
def test_data_that_was_spoilt_is_told(forged, name):
    """Whether it is the password or the data is told where the format tells it."""
    part = "encrypted-package" if name.startswith("whole") else "content.xml"
    with zipfile.ZipFile(GALLERY / name) as real:
        data = bytearray(real.read(part))
    data[1200:] = bytes(len(data) - 1200)

    with pytest.raises((DamagedFile, EncryptedFile), match="damaged"):
        look(forged(name, {part: bytes(data)}))


@pytest.mark.parametrize(
    ("name", "attributes", "variable"),
    [
        ("libreoffice_aes.ods", {"iteration_count": 2_000_000_000}, "LEVELPOOL_MAX_KEY_ROUNDS"),
        ("whole_package.ods", {"argon2_iterations": 4_000_000_000}, "LEVELPOOL_MAX_KEY_ROUNDS"),
        ("whole_package.ods", {"argon2_memory": 4_000_000_000}, "LEVELPOOL_MAX_KEY_ROUNDS"),
        ("whole_package.ods", {"argon2_memory": 900_000, "argon2_iterations": 1}, "LEVELPOOL_MAX_KEY_MEMORY"),
    ],
)
def test_key_that_takes_too_much_is_refused_before_it_is_made(forged, name, attributes, variable):
    """A manifest may ask for hours or for terabytes."""
    with pytest.raises(LimitExceeded, match=variable):
        look(forged(name, **attributes))


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("libreoffice_aes.ods", {"iteration_count": "-5"}),
        ("libreoffice_aes.ods", {"iteration_count": "9" * 3000}),
        ("libreoffice_aes.ods", {"key_size": "99999999999"}),
        ("libreoffice_aes.ods", {"salt": "!!"}),
        ("libreoffice_aes.ods", {"initialisation_vector": "AAAA"}),
        ("whole_package.ods", {"argon2_lanes": "4000000000000"}),
        ("whole_package.ods", {"argon2_iterations": "0"}),
    ],
)
def test_manifest_that_makes_no_sense_is_damage(forged, name, attributes):
    """One sentence, whatever stands there."""
    with pytest.raises(DamagedFile, match="damaged"):
        look(forged(name, **attributes))


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"algorithm_name": "RC2"}, "the cipher 'rc2'"),
        ({"start_key_generation_name": "MD4"}, "the hash 'md4'"),
        ({"key_derivation_name": "PGP"}, "OpenPGP key instead of a password"),
        ({"key_derivation_name": "scrypt"}, "a key made by 'scrypt'"),
    ],
)
def test_way_that_is_not_opened_is_named(forged, attributes, told):
    """It is not taken for a wrong password."""
    with pytest.raises(EncryptedFile, match=told):
        look(forged("libreoffice_aes.ods", **attributes))


def test_bomb_within_is_refused(tmp_path):
    """What is encrypted is unpacked under the same limits as anything else."""
    seal = runpy.run_path(str(GALLERY / "make.py"))["seal"]
    path = tmp_path / "bomb.ods"
    path.write_bytes(seal(bytes(100 << 20), SECRET, passes=1, memory=64))

    with pytest.raises(LimitExceeded, match="LEVELPOOL_MAX_INFLATE_RATIO"):
        look(path)


def test_plain_form_lies_in_the_private_folder_only(tmp_path, monkeypatch):
    """And goes with it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    look(GALLERY / "whole_package.ods")

    assert not list(tmp_path.iterdir())


def test_without_the_package_it_says_what_to_install(monkeypatch):
    """It is optional, and only who has a password needs it."""
    for module in ("", ".hazmat.primitives.kdf.argon2", ".hazmat.primitives.ciphers", ".hazmat.decrepit.ciphers.algorithms"):
        monkeypatch.setitem(sys.modules, f"cryptography{module}", None)

    for name in WAYS:
        with pytest.raises(EncryptedFile, match=r"levelpool\[encrypted\]"):
            look(GALLERY / name)
