"""Encrypted Office workbooks, opened with a password: msoffcrypto-tool, its only door."""

from pathlib import Path
from typing import Any

from levelpool.sheets.errors import EncryptedFile

_KNOWN_TO_ALL = "VelvetSweatshop"
"""Programs encrypt a workbook that is only protected against changes with this password, and open it without asking ([MS-OFFCRYPTO] 2.4.2.3)."""


def open_encrypted(path: Path, target: Path, *, name: str, password: str | None) -> str:
    """
    Write the workbook that is encrypted in the file at *path* to *target*; returns a remark that says so.

    Raises `EncryptedFile` when there is no password, when it is another one, or when nothing is installed that opens the file.
    """
    try:
        import msoffcrypto  # noqa: PLC0415  (an optional library, behind its door)
    except ImportError:
        raise EncryptedFile(_closed(name, password, missing=True)) from None
    try:
        with path.open("rb") as file, target.open("wb") as opened:
            book = msoffcrypto.OfficeFile(file)
            _unlock(msoffcrypto, book, name, password)
            book.decrypt(opened)
    except EncryptedFile:
        raise
    except Exception as error:
        # A library on a stranger's bytes: it may raise anything.
        raise EncryptedFile(_closed(name, password, strange=type(error).__name__)) from error
    return "the workbook is encrypted and was opened with " + (
        "the given password" if password else "the password that programs use by themselves"
    )


def _unlock(msoffcrypto: Any, book: Any, name: str, password: str | None) -> None:
    wrong = (msoffcrypto.exceptions.InvalidKeyError, msoffcrypto.exceptions.DecryptionError)
    try:
        book.load_key(password=password or _KNOWN_TO_ALL, **({"verify_password": True} if book.format == "ooxml" else {}))
    except wrong as error:
        raise EncryptedFile(_closed(name, password)) from error


def _closed(name: str, password: str | None, *, missing: bool = False, strange: str = "") -> str:
    if password is None:
        return f"{name} is protected by a password: give the password with it, or save the file without one and send it again"
    if missing:
        return f"{name} is protected by a password, and what opens it is not installed: pip install 'levelpool[encrypted]'"
    if strange:
        return f"{name} is encrypted in a way that cannot be opened here ({strange}): save it without a password and send it again"
    return f"{name} is protected by another password than the one that was given: check it, or save the file without one"
