"""What the sender of an encrypted file is told when it does not open."""

from levelpool.sheets.errors import EncryptedFile, PasswordNeeded


def no_password(name: str) -> PasswordNeeded:
    """Nobody gave one, or it is gone: it is never stored."""
    return PasswordNeeded(
        f"{name} is protected by a password, which is never stored: give it each time, on the page of the file, as password over HTTP "
        "and in TableOptions, by --password or LEVELPOOL_FILE_PASSWORD for a command; or send it saved without one"
    )


def wrong_password(name: str) -> PasswordNeeded:
    """The one that was given is not the file's."""
    return PasswordNeeded(f"{name} is protected by another password than the one that was given: check it, or send it saved without one")


def wrong_or_damaged(name: str) -> PasswordNeeded:
    """What came out of the file is nothing, and its format does not tell why."""
    return PasswordNeeded(
        f"{name} does not open with the password that was given: it is another one, or the file is damaged; "
        "check it, or send it saved without one"
    )


def not_installed(name: str) -> EncryptedFile:
    """The optional libraries are missing."""
    return EncryptedFile(f"{name} is protected by a password, and what opens it is not installed: pip install 'levelpool[encrypted]'")


def unknown_way(name: str, way: str) -> EncryptedFile:
    """Nothing here opens it; *way* names the encryption."""
    return EncryptedFile(f"{name} is encrypted with {way}, which is not opened here: send it saved without a password")
