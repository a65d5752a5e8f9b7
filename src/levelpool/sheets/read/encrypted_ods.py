"""
Encrypted OpenDocument workbooks, opened with a password: cryptography, its only door.

Two ways are in use ([ODF 1.2] part 3, and what LibreOffice has written since 24.8, which is to be ODF 1.5): each part of the package
encrypted by itself, or a whole package within one part. Either way the part is deflated first, and its manifest says how it was encrypted.
"""

import binascii
import hashlib
import zipfile
import zlib
from base64 import b64decode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from levelpool.sheets.errors import DamagedFile
from levelpool.sheets.read import locked
from levelpool.sheets.read.limits import Meter
from levelpool.sheets.read.markup import Element, whole
from levelpool.sheets.read.package import BLOCK, Package
from levelpool.sheets.read.source import Source

_MANIFEST = "META-INF/manifest.xml"
_CONTENT = "content.xml"
_WHOLE = "encrypted-package"
_CHECKED = 1024  # bytes of the deflated part that the checksums are made of
_HASHES = {"sha1", "sha256"}
_BLOCK_SIZE = 16
_TAG_SIZE = 16


@dataclass(frozen=True, slots=True)
class _Lock:
    """How a part is encrypted; the names are the last words of those in the manifest, in lower case."""

    part: str
    cipher: str  # "aes256-cbc", "aes256-gcm", "blowfish", ...
    iv: bytes
    derivation: str  # "pbkdf2" or "argon2id"
    start_hash: str  # of the password: "sha1" or "sha256"
    salt: bytes
    rounds: int  # of PBKDF2, or passes of Argon2id
    memory: int  # KiB, of Argon2id
    lanes: int
    key_size: int  # bytes
    checksum: bytes  # of the first bytes of what is deflated; empty: none
    checksum_hash: str

    @property
    def proves_password(self) -> bool:
        """Whether it is certain that the password is right once the data comes out."""
        return bool(self.checksum) or self.cipher.endswith("-gcm")


def open_encrypted_ods(source: Source, target: Path) -> str:
    """
    Write the workbook that is encrypted in *source* to *target*, as a package with its cells; returns a remark that says so.

    Raises `EncryptedFile` when there is no password, when it is another one, or when the way is none of those above;
    `LimitExceeded` before a key is made that takes too long, and `DamagedFile` for what comes out broken.
    """
    meter = Meter(source.name, source.meter.limits)  # the cells are counted again when what comes out is read
    with Package(replace(source, meter=meter)) as package:
        lock = _lock_of(package.tree(_MANIFEST), source.name)
        if not source.options.password:
            raise locked.no_password(source.name)
        try:
            key = _key_of(lock, source.options.password, meter)
            deflated = _decrypt(lock, key, package, target.with_suffix(".deflated"), source.name)
        except ImportError:
            raise locked.not_installed(source.name) from None
        _write(lock, _inflate(deflated, lock, source, meter), target)
    return "the workbook is encrypted and was opened with the given password"


# ---------------------------------------------------------------- the manifest


def _lock_of(manifest: Element, name: str) -> _Lock:
    """The lock of the part that holds the cells."""
    entries = {each.attributes.get("full-path", ""): each for each in manifest.walk() if each.tag == "file-entry"}
    part = next((part for part in (_WHOLE, _CONTENT) if part in entries and entries[part].find("encryption-data") is not None), None)
    if part is None:
        raise locked.unknown_way(name, "a way that its manifest does not name")
    entry = entries[part]
    algorithm, derivation = _attributes(entry, "algorithm"), _attributes(entry, "key-derivation")
    if _word(derivation.get("key-derivation-name", "")) == "pgp" or manifest.find("encrypted-key") is not None:
        raise locked.unknown_way(name, "somebody's OpenPGP key instead of a password")
    checks = _attributes(entry, "encryption-data")
    checksum_hash, _, first = _word(checks.get("checksum-type", "")).replace("/", "-").partition("-")
    try:
        return _Lock(
            part=part,
            cipher=_word(algorithm.get("algorithm-name", "")).removesuffix(" cfb"),
            iv=_bytes(algorithm, "initialisation-vector"),
            derivation=_word(derivation.get("key-derivation-name", "")),
            start_hash=_word(_attributes(entry, "start-key-generation").get("start-key-generation-name", "sha1")),
            salt=_bytes(derivation, "salt"),
            rounds=whole(derivation.get("argon2-iterations") or derivation.get("iteration-count") or "1024"),
            memory=whole(derivation.get("argon2-memory", "0")),
            lanes=whole(derivation.get("argon2-lanes", "1")),
            key_size=whole(derivation.get("key-size", "16")),
            checksum=_bytes(checks, "checksum") if first == "1k" and checksum_hash in _HASHES else b"",
            checksum_hash=checksum_hash,
        )
    except ValueError as error:
        raise DamagedFile(f"{name} is damaged: its manifest does not say how it is encrypted ({error}); export it again") from error


def _attributes(entry: Element, tag: str) -> dict[str, str]:
    found = entry.find(tag)
    return found.attributes if found is not None else {}


def _bytes(attributes: dict[str, str], name: str) -> bytes:
    try:
        return b64decode(attributes.get(name, ""), validate=True)
    except binascii.Error as error:
        raise ValueError(f"{name} is no base64") from error


def _word(name: str) -> str:
    """The last word of a name, which programs write with or without the address before it."""
    return name.rpartition("#")[2].rpartition(":")[2].strip().lower()


# ---------------------------------------------------------------- the key

_LONGEST_KEY = 64


def _key_of(lock: _Lock, password: str, meter: Meter) -> bytes:
    """The key that the password stands for; raises `LimitExceeded` before it would take too long."""
    if lock.start_hash not in _HASHES:
        raise locked.unknown_way(meter.name, f"a key that begins with the hash {lock.start_hash!r}")
    if not 1 <= lock.key_size <= _LONGEST_KEY:
        raise ValueError(f"its key has {lock.key_size} bytes")
    start = hashlib.new(lock.start_hash, password.encode(), usedforsecurity=False).digest()
    if lock.derivation == "pbkdf2":
        meter.key(rounds=lock.rounds)
        return hashlib.pbkdf2_hmac("sha1", start, lock.salt, lock.rounds, lock.key_size)
    if lock.derivation == "argon2id":
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # noqa: PLC0415  (an optional library, behind its door)

        # Each pass goes over all of the memory: a KiB of it counts as a round.
        meter.key(rounds=lock.rounds * lock.memory, memory=lock.memory << 10)
        made = Argon2id(salt=lock.salt, length=lock.key_size, iterations=lock.rounds, lanes=lock.lanes, memory_cost=lock.memory)
        return made.derive(start)
    raise locked.unknown_way(meter.name, f"a key made by {lock.derivation!r}")


# ---------------------------------------------------------------- the data


def _decrypt(lock: _Lock, key: bytes, package: Package, aside: Path, name: str) -> Iterable[bytes]:
    """The part as it was before it was encrypted: deflated."""
    from cryptography.hazmat.decrepit.ciphers.algorithms import Blowfish  # noqa: PLC0415
    from cryptography.hazmat.decrepit.ciphers.modes import CFB  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415

    blocks = package.stream(lock.part)
    match lock.cipher.split("-"):
        case ["blowfish"]:
            return _checked(lock, _stream(Cipher(Blowfish(key), CFB(lock.iv)), blocks), name)
        case ["aes128" | "aes192" | "aes256", "cbc"]:
            return _checked(lock, _unpadded(_stream(Cipher(algorithms.AES(key), modes.CBC(lock.iv)), blocks)), name)
        case ["aes128" | "aes192" | "aes256", "gcm"]:
            _decrypt_whole(Cipher(algorithms.AES(key), modes.GCM(lock.iv)), lock.iv, blocks, aside, name)
            return _blocks_of(aside)
    raise locked.unknown_way(name, f"the cipher {lock.cipher!r}")


def _stream(cipher: Any, blocks: Iterable[bytes]) -> Iterator[bytes]:
    decryptor = cipher.decryptor()
    for block in blocks:
        yield decryptor.update(block)
    yield decryptor.finalize()


def _unpadded(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Without the padding at the end, whose last byte alone says how long it is."""
    held = b""
    for block in blocks:
        held += block
        yield held[:-_BLOCK_SIZE]
        held = held[-_BLOCK_SIZE:]
    padding = held[-1] if held else 0
    yield held[:-padding] if 1 <= padding <= _BLOCK_SIZE else held


def _checked(lock: _Lock, blocks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """The blocks; raises `EncryptedFile` when the first bytes do not have the checksum of the manifest."""
    rest = iter(blocks)
    head = b""
    while len(head) < _CHECKED and (block := next(rest, None)) is not None:
        head += block
    if lock.checksum and hashlib.new(lock.checksum_hash, head[:_CHECKED], usedforsecurity=False).digest() != lock.checksum:
        raise locked.wrong_password(name)
    yield head
    yield from rest


def _decrypt_whole(cipher: Any, iv: bytes, blocks: Iterable[bytes], target: Path, name: str) -> None:
    """Decrypt to *target*; nothing of it may be believed before the tag at the end has proved it."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415

    decryptor = cipher.decryptor()
    held = b""
    begun = False
    with target.open("wb") as file:
        for block in blocks:
            held += block
            if not begun and len(held) >= len(iv):
                begun, held = True, held.removeprefix(iv)  # the vector stands before the data once more
            file.write(decryptor.update(held[:-_TAG_SIZE]))
            held = held[-_TAG_SIZE:]
        try:
            decryptor.finalize_with_tag(held)
        except InvalidTag as error:
            raise locked.wrong_or_damaged(name) from error


def _blocks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def _inflate(blocks: Iterable[bytes], lock: _Lock, source: Source, meter: Meter) -> Iterator[bytes]:
    """The part as it was before it was deflated."""
    packed = source.path.stat().st_size
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for block in chain(blocks, [b""]):
            waiting, plain = block, None
            while waiting or plain is None or len(plain) == BLOCK:
                plain = inflater.decompress(waiting, BLOCK)
                waiting = inflater.unconsumed_tail
                meter.inflated(len(plain), packed)
                yield plain
    except zlib.error as error:
        if not lock.proves_password:
            raise locked.wrong_or_damaged(source.name) from error
        raise DamagedFile(f"{source.name} is damaged: it opens with the password, and breaks off within; send it again") from error
    if not inflater.eof:
        raise DamagedFile(f"{source.name} is damaged: it opens with the password, and ends too early; send it again")


def _write(lock: _Lock, blocks: Iterable[bytes], target: Path) -> None:
    """The package with the cells: the one that was encrypted as a whole, or a new one around the part."""
    if lock.part == _WHOLE:
        with target.open("wb") as file:
            file.writelines(blocks)
        return
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        package.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet", zipfile.ZIP_STORED)
        with package.open(_CONTENT, "w", force_zip64=True) as part:
            for block in blocks:
                part.write(block)
