"""Encrypted Office workbooks, opened with a password: msoffcrypto-tool and the olefile that it stands on, their only door."""

import struct
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from levelpool.sheets.errors import DamagedFile, SheetError
from levelpool.sheets.read import locked
from levelpool.sheets.read.limits import Meter
from levelpool.sheets.read.markup import parse_small, whole
from levelpool.sheets.read.source import Source

_KNOWN_TO_ALL = "VelvetSweatshop"
"""Programs encrypt a workbook that is only protected against changes with this password, and open it without asking ([MS-OFFCRYPTO] 2.4.2.3)."""

_MOST_INFO = 1 << 16
"""Bytes that the description of an encryption takes at most; programs write one or two thousand."""

_HASHES = {"SHA1", "SHA256", "SHA384", "SHA512"}


def open_encrypted_office(source: Source, target: Path) -> str:
    """
    Write the workbook that is encrypted in *source* to *target*; returns a remark that says so.

    Raises `EncryptedFile` when there is no password, when it is another one, or when nothing here opens the file; `LimitExceeded`
    before a key is made that takes too long, and `DamagedFile` when what comes out is no workbook.
    """
    name, password = source.name, source.options.password
    try:
        import msoffcrypto  # noqa: PLC0415  (an optional library, behind its door)
    except ImportError:
        raise (locked.no_password(name) if password is None else locked.not_installed(name)) from None
    try:
        key_bytes = _check_way(source.path, source.meter)
        with source.path.open("rb") as file, target.open("wb") as opened:
            book = msoffcrypto.OfficeFile(file)
            _unlock(msoffcrypto, book, name, password)
            if key_bytes is not None:
                book.secret_key = book.secret_key[:key_bytes]  # the library keeps the padding of a key of 192 bits
            book.decrypt(opened)
    except SheetError:
        raise
    except msoffcrypto.exceptions.InvalidKeyError as error:
        raise DamagedFile(f"{name} is damaged: it opens with the password, and what comes out is no workbook; send it again") from error
    except Exception as error:
        # A library on a stranger's bytes: it may raise anything.
        if password is None:
            raise locked.no_password(name) from error
        raise locked.unknown_way(name, f"a way that is not known, or its description is damaged ({type(error).__name__})") from error
    return "the workbook is encrypted and was opened with " + (
        "the given password" if password else "the password that programs use by themselves"
    )


def _unlock(msoffcrypto: Any, book: Any, name: str, password: str | None) -> None:
    wrong = (msoffcrypto.exceptions.InvalidKeyError, msoffcrypto.exceptions.DecryptionError)
    try:
        book.load_key(password=password or _KNOWN_TO_ALL, **({"verify_password": True} if book.format == "ooxml" else {}))
    except wrong as error:
        raise (locked.no_password(name) if password is None else locked.wrong_password(name)) from error


# ---------------------------------------------------------------- what the library does not look at


def _check_way(path: Path, meter: Meter) -> int | None:
    """
    Refuse what the library would take for a wrong password, or would work on for too long; the bytes of a key that the file names.

    An .xls is left to the library: its ways all take the same short time.
    """
    import olefile  # noqa: PLC0415  (comes with the library)

    with path.open("rb") as file, olefile.OleFileIO(file) if olefile.isOleFile(file) else nullcontext() as compound:
        if compound is None or compound.exists("Book"):
            raise locked.unknown_way(meter.name, "the scrambling of Excel 95 and before")
        if not compound.exists("EncryptionInfo"):
            return None
        if compound.get_size("EncryptionInfo") > _MOST_INFO:
            raise DamagedFile(f"{meter.name} is damaged: the description of its encryption is far larger than any program writes")
        info = compound.openstream("EncryptionInfo").read()
    version = struct.unpack_from("<HH", info)
    if version == (4, 4):
        return _check_agile(info[8:], meter)
    if version[1] == 3:
        raise locked.unknown_way(meter.name, "a program's own cipher (extensible encryption)")
    return None


def _check_agile(description: bytes, meter: Meter) -> int | None:
    tree = parse_small([description], meter)
    data = tree.find("keyData")
    keys = [each.attributes for each in tree.walk() if each.tag == "encryptedKey" and "spinCount" in each.attributes]
    if data is None or not keys:
        raise locked.unknown_way(meter.name, "a certificate instead of a password")
    meter.key(rounds=whole(keys[0]["spinCount"]))
    for part in (data.attributes, keys[0]):
        cipher, chaining = part.get("cipherAlgorithm", "AES"), part.get("cipherChaining", "ChainingModeCBC")
        if cipher != "AES" or chaining != "ChainingModeCBC":
            raise locked.unknown_way(meter.name, f"the cipher {cipher} ({chaining.removeprefix('ChainingMode')})")
        if part.get("hashAlgorithm") not in _HASHES:
            raise locked.unknown_way(meter.name, f"the hash {part.get('hashAlgorithm')}")
    return whole(data.attributes.get("keyBits", "256")) // 8
