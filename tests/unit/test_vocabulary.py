"""
One word for one thing: a private word does not come back to a room from which a word of the field has taken its place.

The glossary in CONTRIBUTING.md says what is called how. A pair here is a room and the old name: a file or folder below `src/levelpool`,
or with a slash in front from the repository's root. `NAMES` holds for the names of modules, classes, functions and variables: an old name
of several words is met as these words in a row (`lend_a_hand`, `LendAHand`). `WORDS` holds for all that a person reads there, comments,
docstrings and documents, and is for words that mean nothing else in that room.
"""

import functools
import io
import keyword
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "levelpool"

NAMES: tuple[tuple[str, str], ...] = (
    ("lanes", "nursery"),
    ("lanes", "cradle"),
    ("lanes", "bear"),
    ("lanes", "born"),
    ("lanes", "stillborn"),
    ("lanes", "bury"),
    ("lanes", "mourn"),
    ("lanes", "last_words"),
    ("lanes", "staff"),
    ("lanes", "crew"),
    ("lanes", "errands"),
    ("lanes", "suspects"),
    ("lanes", "culprits"),
    ("lanes", "witness"),
    ("lanes", "testify"),
    ("lanes/process", "page"),
    ("lanes", "parcel"),
    ("lanes", "packet"),
    ("lanes", "delivery"),
    ("lanes/remote", "load"),
    ("lanes", "ticket"),
    ("lanes", "tickets"),
    ("lanes", "wishes"),
    ("lanes", "doors"),
    ("lanes", "entrance"),
    ("lanes", "seat"),
    ("lanes", "seats"),
    ("neighbours", "seat"),
    ("neighbours", "seats"),
    ("runtime", "seat"),
    ("runtime", "seats"),
    ("/tests", "seat"),
    ("/tests", "seats"),
    ("lanes", "trip"),
    ("lanes", "visit"),
    ("lanes", "account"),
    ("lanes", "write_up"),
    ("lanes", "home"),
    ("lanes", "live_apart"),
    ("lanes", "abandon"),
    ("lanes", "workshop"),
    ("lanes", "registrar"),
    ("executor", "abandon"),
    ("executor", "forget"),
    ("ingest", "handed"),
    ("ingest", "given"),
    ("ingest", "sent"),
    ("ingest", "desk"),
    ("ingest", "lend_a_hand"),
    ("ingest", "call_away"),
    ("ingest", "second"),
    ("ingest", "delivery"),
    ("ingest", "arrival"),
    ("/tests/integration", "second_worker"),
    ("helper_worker", "desk"),
    ("helper_worker", "second"),
    ("sheets/clean", "accord"),
    ("sheets/clean", "alike"),
    ("sheets/clean", "behind"),
    ("sheets/clean", "beside"),
    ("sheets/clean", "gathering"),
    ("sheets/clean", "glance"),
    ("sheets/clean", "glances"),
    ("sheets/clean", "killer"),
    ("sheets/clean", "killers"),
    ("sheets/clean", "settled"),
    ("sheets/clean", "shared"),
    ("sheets/clean", "spoil"),
    ("sheets/clean", "spoilers"),
    ("sheets/clean", "view"),
    ("sheets/clean", "views"),
    ("sheets/clean", "walk_behind"),
    ("/tests/unit/sheets/clean", "gathering"),
    ("/tests/unit/sheets/clean", "walk_behind"),
    ("sheets", "desk"),
    ("sheets", "lend_a_hand"),
    ("sheets", "call_away"),
    ("sheets", "called_away"),
    ("sheets/inputs", "given"),
    ("sheets/parser", "given"),
    ("service", "desk"),
    ("service/request_options", "asked"),
    ("service/api", "asked"),
    ("service/commands", "asked"),
    ("service", "correcting"),
    ("service", "correction_form"),
    ("/tests/unit/sheets", "desk"),
    ("/tests", "lend_a_hand"),
    ("/tests", "call_away"),
    ("/benchmarks", "desk"),
)
"""(room, a name that has gone): modules, classes, functions, variables."""

WORDS: tuple[tuple[str, str], ...] = (
    ("lanes", "errand*"),
    ("lanes", "nursery"),
    ("lanes", "cradle"),
    ("lanes", "stillborn"),
    ("lanes", "culprit*"),
    ("lanes", "suspect*"),
    ("lanes", "parcel*"),
    ("lanes", "entrance"),
    ("lanes", "wait* outside"),
    ("/docs/explanation/process-lane.md", "errand*"),
    ("/docs/explanation/process-lane.md", "entrance"),
    ("/docs/explanation/dask.md", "entrance"),
    ("neighbours", "seat*"),
    ("runtime", "seat*"),
    ("/docs", "seat*"),
    ("ingest", "lend a hand"),
    ("ingest", "desk"),
    ("helper_worker", "desk"),
    ("helper_worker", "call* away"),
    ("sheets", "desk"),
    ("sheets", "lend a hand"),
    ("sheets/work_sharing", "call* away"),
    ("/docs", "desk"),
    ("/docs", "delete test"),
    ("/docs", "wing"),
    ("/docs", "the house"),
    ("/docs", "eyes"),
    ("/docs", "voice"),
    ("/docs", "hall*"),
    ("/docs", "downstairs"),
    ("/CONTRIBUTING", "the house"),
    ("/CONTRIBUTING", "delete test"),
    ("/docs", "eyes"),
    ("/docs", "voice"),
    ("/docs", "hall*"),
    ("/docs", "house"),
    ("sheets", "hall*"),
    ("sheets/clean", "in the hand"),
    ("monitoring", "eyes"),
    ("alerts", "voice"),
    ("sheets", "sheets wing"),
)
"""(room, a word that has gone): names, comments, docstrings and documents; `*` stands for any ending."""


@pytest.mark.parametrize(("room", "old"), NAMES)
def test_a_name_that_has_gone_stays_away(room, old):
    """No module, class, function or variable of the room bears the old name."""
    wanted = _parts(old)
    bearers = {
        f"{path.relative_to(ROOT)}: {name}" for path in _files(room, "*.py") for name in _names(path) if _stands_in(wanted, _parts(name))
    }

    assert not bearers


@pytest.mark.parametrize(("room", "old"), WORDS)
def test_a_word_that_has_gone_stays_away(room, old):
    """Nothing that a person reads in the room says the old word."""
    said = r"[\s_]+".join(re.escape(each).replace(r"\*", r"\w*") for each in old.split())
    word = re.compile(rf"(?<![\w-]){said}(?![\w-])", re.IGNORECASE)
    bearers = {
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in (*_files(room, "*.py"), *_files(room, "*.md"))
        for found in word.finditer(path.read_text(encoding="utf-8"))
    }

    assert not bearers


@pytest.mark.parametrize("room", sorted({room for room, _ in (*NAMES, *WORDS)}))
def test_each_room_is_there(room):
    """A room that moved would be looked at no more."""
    assert _files(room, "*.py") or _files(room, "*.md")


def test_names_are_compared_word_by_word():
    """What a pair means: the words in a row, however they are joined, and no part of a word."""
    assert _stands_in(_parts("lend_a_hand"), _parts("_LendAHandNow"))
    assert not _stands_in(_parts("page"), _parts("paged_rows"))
    assert _parts("HTTPDesk_2nd") == ("http", "desk", "2nd")


@functools.cache
def _files(room: str, pattern: str) -> tuple[Path, ...]:
    place = ROOT / room[1:] if room.startswith("/") else SRC / room
    alone = place.with_suffix(pattern.removeprefix("*"))
    found = [alone] if alone.is_file() else sorted(place.rglob(pattern))
    return tuple(path for path in found if path.match(pattern) and path != Path(__file__))


@functools.cache
def _names(path: Path) -> frozenset[str]:
    """All names in a file, and its own."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    names = {token.string for token in tokens if token.type == tokenize.NAME and not keyword.iskeyword(token.string)}
    return frozenset(names | {path.stem})


@functools.cache
def _parts(name: str) -> tuple[str, ...]:
    """The words of a name: `lend_a_hand`, `LendAHand`."""
    return tuple(part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|\d+\w*", name))


def _stands_in(wanted: tuple[str, ...], words: tuple[str, ...]) -> bool:
    return any(words[at : at + len(wanted)] == wanted for at in range(len(words) - len(wanted) + 1))
