"""
Spoilt files: whatever a byte does, a file is read, understood and accounted for, or refused with a sentence of ours, soon and small.

`make fuzz` looks longer and elsewhere.
"""

import io
import os
import random
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pytest

from levelpool.sheets.clean.plans import plan_sheet
from levelpool.sheets.clean.rows import clean_rows
from levelpool.sheets.errors import SheetError
from levelpool.sheets.read.limits import Limits
from levelpool.sheets.read.workbook import read_workbook
from levelpool.sheets.table import Sheet

GALLERY = Path(__file__).parents[3] / "gallery"
SEEDS = sorted(path for path in GALLERY.iterdir() if path.suffix not in {".json", ".py"} and path.is_file())
SECONDS = float(os.environ.get("FUZZ_SECONDS", "10"))
LINUX = sys.platform == "linux"
SEED = int(os.environ.get("FUZZ_SEED", "1"))
LIMITS = Limits(max_inflated_bytes=1 << 24, max_cells=200_000, max_string_bytes=1 << 22, max_spool_bytes=1 << 26, max_read_seconds=10)

MOST_MEMORY = 256 << 20
"""Bytes above what the process had before."""

TOKENS = [
    b"<",
    b">",
    b"&",
    b'"',
    b"]]>",
    b"<!--",
    b"<!DOCTYPE a>",
    b"<row r=",
    b"</row>",
    b"<c ",
    b"</c>",
    b"<v>",
    b"</v>",
    b"\0",
    b"\xff\xfe",
    b"99999999999",
    b"-1",
]


def spoil(data: bytes, dice: random.Random) -> bytes:
    """*data* with one to four accidents: changed, lost, doubled, cut off, or strewn with what means something."""
    spoilt = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at, length = dice.randrange(len(spoilt) + 1), dice.choice([1, 1, 2, 4, 16, 200])
        accident = dice.randrange(6)
        if accident == 0 and at < len(spoilt):
            spoilt[at] = dice.randrange(256)
        elif accident == 1:
            del spoilt[at : at + length]
        elif accident == 2:
            spoilt[at:at] = spoilt[at : at + length]
        elif accident == 3:
            spoilt[at:at] = dice.choice(TOKENS)
        elif accident == 4:
            spoilt[at : at + length] = dice.randbytes(length)
        elif dice.random() < 0.2:
            del spoilt[at:]
    return bytes(spoilt)


def spoil_within(data: bytes, dice: random.Random) -> bytes:
    """A zip container with one of its parts spoilt, so that the checksums still hold."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as package, zipfile.ZipFile(target, "w") as copy:
        names = package.namelist()
        chosen = dice.choice(names)
        for name in names:
            part = package.read(name)
            copy.writestr(name, spoil(part, dice) if name == chosen else part)
    return target.getvalue()


def try_reading(path: Path, folder: Path, what: str) -> str:
    """Read the file, find its tables and clean its rows; the sentence of a refusal, or "read"."""
    try:
        workbook = read_workbook(path, folder, limits=LIMITS)
        counts = [_account(sheet) for sheet in workbook.sheets]
    except SheetError as error:
        return str(error)
    except Exception as error:
        kept = Path(tempfile.gettempdir()) / f"fuzz{path.suffix}"
        kept.write_bytes(path.read_bytes())
        raise AssertionError(f"{type(error).__name__} for {what}, kept as {kept}") from error
    assert counts == [sheet.cell_count for sheet in workbook.sheets], what
    return "read"


def _account(sheet: Sheet) -> int:
    """How many cells the tables of the sheet account for."""
    return sum(batch.cells.read for shown, plan in plan_sheet(sheet) for batch in clean_rows(shown, plan, plan.columns))


def _begin_to_measure() -> int:
    """The memory of this process now; its peak is forgotten."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _peak()


def _peak() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) << 10


@pytest.mark.parametrize("within", [False, True], ids=["bytes", "structure"])
def test_spoilt_files_are_read_or_refused(tmp_path, monkeypatch, within):
    """No exception but ours, no hang; a failing file is kept for the gallery."""
    # The fall-back for .xls is foreign code that may end the whole process: it is not what is tried here.
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    seeds = [path for path in SEEDS if not within or path.read_bytes().startswith(b"PK")]
    dice = random.Random(SEED)
    ends = time.monotonic() + SECONDS
    tried = 0
    before = _begin_to_measure() if LINUX else 0
    while time.monotonic() < ends or tried < 50:
        seed = dice.choice(seeds)
        path = tmp_path / f"spoilt{seed.suffix}"
        path.write_bytes((spoil_within if within else spoil)(seed.read_bytes(), dice))
        began = time.monotonic()
        sentence = try_reading(path, tmp_path, f"spoilt {seed.name}, try {tried} of seed {SEED}")
        assert "\n" not in sentence
        assert time.monotonic() - began < 10
        tried += 1
        assert not LINUX or _peak() - before < MOST_MEMORY, f"spoilt {seed.name}, try {tried - 1} of seed {SEED}"
    print(f"{tried} spoilt files, seed {SEED}")
