"""The sign-in page: a token in, a session cookie out."""


def local_target(next_page: str) -> str:
    """Where to go after sign-in: *next_page* when it is an address of this service, else the first page."""
    is_local = next_page.startswith("/") and not next_page.startswith(("//", "/\\")) and next_page.isprintable()
    return next_page if is_local else "/"
