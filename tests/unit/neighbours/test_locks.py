"""The private folder and its locks, with real processes."""

import errno
import os
import subprocess
import sys

import pytest

from levelpool.errors import SettingsError
from levelpool.neighbours.locks import LockFile, open_folder
from processes import FORKS


def test_folder_without_locks_is_refused_with_a_sentence(folder, monkeypatch):
    """Some network file systems know none; which variable helps is said."""

    def refuse(*_arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    locks = LockFile.at(open_folder(folder) / "locks")
    monkeypatch.setattr("fcntl.lockf", refuse)

    with pytest.raises(SettingsError, match=r"locks cannot be locked \(No locks available\): set LEVELPOOL_RUNTIME_DIR"):
        locks.try_lock(5)


@pytest.mark.filterwarnings(FORKS)
def test_child_that_inherits_the_descriptor_does_not_keep_the_lock(folder):
    """A worker process that was forked, and lives on, holds nothing after its parent has given a lock back."""
    locks = LockFile.at(open_folder(folder) / "locks")
    locks.try_lock(77)
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(ready[1], b"x")
        os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    locks.unlock(77)
    code = "import sys; from pathlib import Path; from levelpool.neighbours.locks import LockFile; print(LockFile.at(Path(sys.argv[1])).try_lock(77))"
    other = subprocess.run([sys.executable, "-c", code, str(folder / "locks")], capture_output=True, text=True, check=True)
    os.write(done[1], b"x")
    os.waitpid(child, 0)
    for descriptor in (*ready, *done):
        os.close(descriptor)

    assert other.stdout == "True\n"


@pytest.mark.parametrize("spoil", ["others", "link", "file"])
def test_folder_that_is_not_private_is_refused(tmp_path, spoil):
    """Whoever may write there could answer in our place."""
    folder = tmp_path / "run"
    if spoil == "others":
        folder.mkdir(mode=0o755)
    elif spoil == "link":
        (tmp_path / "real").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "real")
    else:
        folder.touch()

    with pytest.raises(SettingsError, match="LEVELPOOL_RUNTIME_DIR"):
        open_folder(folder)


def test_folder_is_made_private(folder):
    """Mode 0700, whatever the umask."""
    assert open_folder(folder).stat().st_mode & 0o777 == 0o700
