"""What lies in the inbox: only files that are inside, and only when they have come to rest."""

import os
import tempfile
from pathlib import Path

import pytest

from levelpool.ingest.inbox_scan import Look, is_being_written, open_file, scan
from levelpool.sheets.errors import InboxError
from processes import FORKS


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def test_files_of_all_folders_are_found(inbox):
    """Sorted by path, so that the order is the same everywhere."""
    (inbox / "b").mkdir()
    (inbox / "b" / "two.csv").touch()
    (inbox / "one.csv").touch()

    assert [(found.path, found.name) for found in scan(inbox)] == [("b/two.csv", "two.csv"), ("one.csv", "one.csv")]


@pytest.mark.parametrize("name", [".hidden.csv", "~$orders.xlsx", "orders.xlsx.part", "orders.crdownload", "orders.xlsx~", "orders.TMP"])
def test_unfinished_and_hidden_files_are_passed_over(inbox, name):
    """Offices lock and browsers download beside the real file."""
    (inbox / name).touch()

    assert scan(inbox) == []


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside.csv", "/etc"])
def test_link_that_leads_out_is_refused(inbox, target):
    """Nobody gets a file of the machine loaded by putting a link into the inbox."""
    (inbox.parent / "outside.csv").touch()
    (inbox / "link.csv").symlink_to(target)

    assert ["leads out of the inbox" in (found.refusal or "") for found in scan(inbox)] == [True]


def test_link_to_nowhere_is_refused(inbox):
    """The sentence says what to do."""
    (inbox / "link.csv").symlink_to("gone.csv")

    assert "leads nowhere: put the file itself" in scan(inbox)[0].refusal


def test_link_that_stays_inside_counts_once(inbox):
    """The file it leads to lies in the inbox itself."""
    (inbox / "real.csv").touch()
    (inbox / "link.csv").symlink_to("real.csv")

    assert [found.path for found in scan(inbox)] == ["real.csv"]


def test_pipes_and_sockets_are_no_files(inbox):
    """Opening one would wait for ever."""
    os.mkfifo(inbox / "pipe.csv")

    assert scan(inbox) == []
    with pytest.raises(InboxError, match="no plain file"):
        open_file(inbox, "pipe.csv")


def test_missing_inbox_is_said_in_a_sentence(inbox):
    """And what to do about it."""
    with pytest.raises(InboxError, match="does not exist: create it"):
        scan(inbox / "nowhere")
    (inbox / "file").touch()
    with pytest.raises(InboxError, match="not a folder"):
        scan(inbox / "file")


def as_nobody(look) -> str:
    """What *look* raises for a user without rights, in a process of its own."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            look()
        except InboxError as error:
            os.write(theirs, str(error).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    os.waitpid(child, 0)
    with os.fdopen(ours) as answer:
        return answer.read()


@pytest.mark.filterwarnings(FORKS)
def test_what_cannot_be_read_is_said_in_a_sentence():
    """A file, or the inbox itself, without the right to read it."""
    with tempfile.TemporaryDirectory() as name:
        inbox = Path(name)
        inbox.chmod(0o755)
        (inbox / "closed.csv").touch(mode=0o000)

        assert "closed.csv cannot be read: give this user the right" in as_nobody(lambda: open_file(inbox, "closed.csv"))
        inbox.chmod(0o000)
        assert "cannot be read: give this user the right to read and enter it" in as_nobody(lambda: scan(inbox))
        inbox.chmod(0o755)


def test_file_name_that_is_no_utf8_is_refused(inbox):
    """It could be neither shown nor stored."""
    os.close(os.open(os.fsencode(inbox) + b"/caf\xe9.csv", os.O_CREAT))

    assert "not valid UTF-8: rename the file" in scan(inbox)[0].refusal


@pytest.mark.parametrize("step", ["file", "folder"])
def test_link_that_slipped_in_is_not_followed(inbox, step):
    """Between the look and the opening somebody may put a link in the place of a file or of its folder."""
    outside = inbox.parent / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_text("secret")
    if step == "file":
        (inbox / "sub").mkdir()
        (inbox / "sub" / "secret.csv").symlink_to(outside / "secret.csv")
    else:
        (inbox / "sub").symlink_to(outside)

    with pytest.raises(InboxError, match="no plain file"):
        open_file(inbox, "sub/secret.csv")


def test_file_rests_after_its_last_change():
    """Both times count: the last write, and the last change of name or rights."""
    look = Look(inode=1, size=2, modified=100 * 10**9, changed=105 * 10**9)

    assert not look.rests(105.5, rest=1.0)
    assert look.rests(106.0, rest=1.0)


def test_open_for_writing_is_noticed(inbox):
    """A file that somebody still holds open for writing is not taken, however long it has been quiet."""
    path = inbox / "slow.csv"
    with path.open("w") as writer, path.open("rb") as reader:
        writer.write("half")
        writer.flush()
        assert is_being_written(reader)
    with path.open("rb") as reader:
        assert not is_being_written(reader)
