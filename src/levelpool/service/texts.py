"""Every text of the page, by its key; another language is another file beside this one's catalogue."""

from collections.abc import Mapping

from levelpool.service.english import ENGLISH


class Texts:
    """The texts of one language: `texts("files.empty")`, `texts("rows", count=3)`."""

    def __init__(self, language: str, catalogue: Mapping[str, str]) -> None:
        self.language = language
        self._catalogue = catalogue

    def __call__(self, key: str, /, **values: object) -> str:
        """
        The text of *key* with *values* filled in; a `count` other than 1 takes the key's plural form `KEY.many` if there is one.

        Raises `KeyError` for a key that is not in the catalogue: a page with a hole is found by its first test.
        """
        if values.get("count", 1) != 1 and f"{key}.many" in self._catalogue:
            key = f"{key}.many"
        text = self._catalogue[key]
        return text.format(**values) if values else text

    def word(self, key: str, otherwise: str) -> str:
        """The text of *key*, or *otherwise* for one that comes from the ledger and that only a newer release knows."""
        return self._catalogue.get(key, otherwise)

    def under(self, prefix: str) -> dict[str, str]:
        """The texts whose keys start with *prefix*, without it: what the page's scripts need."""
        return {key.removeprefix(prefix): text for key, text in self._catalogue.items() if key.startswith(prefix)}


def english() -> Texts:
    """The English texts."""
    return Texts("en", ENGLISH)
