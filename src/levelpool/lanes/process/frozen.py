"""The start of a fork server in a frozen program: the program itself, which `multiprocessing.freeze_support()` turns into one."""

import contextlib
import os
import pickle
import sys

from levelpool.lanes.process.interpreter import FORGOT_FREEZE_SUPPORT, OWN_START, NoInterpreterError
from levelpool.lanes.process.program_state import State
from levelpool.lanes.process.wire import ANSWER, START_FAILED


class FrozenStart:
    """What `multiprocessing.spawn` takes for a process object: it is unpickled in the new process, and asked to run."""

    def __init__(self, control: int, line: int, preparation: State) -> None:
        self.control = control
        self._line = line
        self._preparation = preparation

    def _bootstrap(self, parent_sentinel: int) -> int:
        from levelpool.lanes.process.forkserver import main  # noqa: PLC0415 - the program that starts it has no use for it

        os.close(parent_sentinel)
        main(self.control, self._line, self._preparation)
        return 0


def frozen_start(control: int, line: int, preparation: State) -> bytes:
    """
    What `multiprocessing.spawn` reads in the new process: what it is to prepare, which is nothing, and what it is to run.

    Raises `NoInterpreterError` in a program that was itself started to be a fork server: it would start itself for ever.
    """
    if sys.argv[1:2] == [OWN_START]:
        _own_up()
        raise NoInterpreterError(FORGOT_FREEZE_SUPPORT)
    # Its main program is there already, with all that stands above `freeze_support()`.
    return pickle.dumps({}) + pickle.dumps(FrozenStart(control, line, {**preparation, "main_is_loaded": True}))


def _own_up() -> None:
    """Tell the program that waits for a fork server."""
    text = FORGOT_FREEZE_SUPPORT.encode()
    with contextlib.suppress(Exception), open(int(sys.argv[2].partition("=")[2]), "rb", closefd=False) as file:
        pickle.load(file)  # noqa: S301 - from the program that started this one
        start = pickle.load(file)  # noqa: S301 - likewise
        os.write(start.control, ANSWER.pack(START_FAILED, 0, 0, 0, len(text)) + text)
