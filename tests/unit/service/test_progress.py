"""How far running files have come, wherever on this host they run."""

from types import SimpleNamespace

from levelpool.service.assembly import _progress_elsewhere, _with_progress
from levelpool.service.feed import FileState, Now

NOW = Now({1: FileState("running", 0.0), 2: FileState("running", 5.0), 3: FileState("loaded", 100.0)})


def neighbours_that_say(*told):
    """A runtime whose neighbours know of these files; it writes down what it was asked."""
    asked = []

    async def ask(question):
        asked.append(question)
        return dict(enumerate(told))

    return SimpleNamespace(neighbours=object(), ask_neighbours=ask, asked=asked)


async def test_files_of_other_web_workers_show_their_progress():
    """Our own file is known best by ourselves; the other one by the web worker that runs it, and not by the ledger."""
    runtime = neighbours_that_say({"1": 40}, {"2": 77, "9": 1})
    own = {1: 42.0, 8: 99.0}
    elsewhere = await _progress_elsewhere(runtime, NOW, own)
    files = _with_progress(NOW, own, elsewhere).files

    assert (files[1].progress, files[2].progress, files[3].progress) == (42.0, 77, 100.0)
    assert own == {1: 42.0}
    assert runtime.asked == ["progress"]


async def test_nobody_is_asked_when_all_that_runs_runs_here():
    """The question costs little, but nothing is less."""
    runtime = neighbours_that_say()

    assert await _progress_elsewhere(runtime, NOW, {1: 1.0, 2: 2.0}) == {}
    assert runtime.asked == []
