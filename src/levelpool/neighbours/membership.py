"""The web workers of the host: who is there, who leads, and what the others say."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Self

from levelpool.errors import SettingsError
from levelpool.neighbours.locks import LEADER, WORKERS, LockFile, open_folder
from levelpool.neighbours.sockets import Answers, ask_all, serving
from levelpool.supervision import Supervisor

logger = logging.getLogger(__name__)

LEADER_POLL = 1.0
"""Seconds between two tries to become the leader."""
MOST_WORKERS = 256


class Neighbours:
    """
    One web worker among those that share *folder*: its number, whether it leads, and what the others say.

    `async with Neighbours(folder, answers) as us:`; *answers* are called in a thread of their own. It is the process that
    leads: of two in one process either both lead or none.
    Raises `SettingsError` for a folder that cannot be used.
    """

    def __init__(self, folder: Path, answers: Answers | None = None, supervisor: Supervisor | None = None) -> None:
        self._folder = open_folder(folder)
        self._locks = LockFile.at(self._folder / "locks")
        self._answers = dict(answers or {})
        self._supervisor = supervisor or Supervisor()
        self._number: int | None = None
        self._leading = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()

    @property
    def folder(self) -> Path:
        """The private folder."""
        return self._folder

    @property
    def number(self) -> int:
        """Our number among the web workers of the host: the lowest that was free. Raises `RuntimeError` before the start."""
        if self._number is None:
            raise RuntimeError("not among the neighbours yet: use `async with`")
        return self._number

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            self._take_number()
            stack.callback(self._leave)
            stack.enter_context(serving(self._folder, self.number, self._answers))
            trying = self._supervisor.start("leadership", self._try_to_lead)
            stack.callback(trying.cancel)
            await asyncio.sleep(0)  # alone, it leads from the start
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._stack.aclose()

    def add_answer(self, question: str, answer: Callable[[], object]) -> None:
        """Let neighbours ask *question* too; *answer* is called in a thread and must be quick."""
        self._answers[question] = answer

    # -- the leader

    @property
    def leads(self) -> bool:
        """Whether this process is the one that watches the inbox, tells alerts and runs migrations for the host."""
        return self._leading.is_set()

    async def lead(self) -> None:
        """Return when this process leads, which may be at once, or when the leader has gone; it leads until it ends."""
        await self._leading.wait()

    async def _try_to_lead(self) -> None:
        while not self._locks.try_lock(LEADER, shared=True):  # noqa: ASYNC110 - the kernel tells nobody that a lock became free
            await asyncio.sleep(LEADER_POLL)
        logger.info("web worker %d (process %d) leads", self.number, os.getpid())
        self._leading.set()

    # -- asking the others

    def numbers(self) -> tuple[int, ...]:
        """The numbers of everybody who is there, ourselves included."""
        return tuple(number for number in range(MOST_WORKERS) if self._locks.is_locked(WORKERS + number))

    def ask(self, question: str) -> dict[int, object]:
        """
        What everybody answers to *question*, by number, ourselves included. Blocks up to `ANSWER_TIMEOUT` for all together.

        Who does not answer in time is left out: it is just starting, ending, stuck, or dead.
        """
        return ask_all(self._folder, self.numbers(), question)

    def _take_number(self) -> None:
        self._number = next((number for number in range(MOST_WORKERS) if self._locks.try_lock(WORKERS + number)), None)
        if self._number is None:
            raise SettingsError(
                f"all {MOST_WORKERS} numbers of web workers in {self._folder} are taken: give this service a LEVELPOOL_RUNTIME_DIR of its own"
            )

    def _leave(self) -> None:
        if self.leads:
            self._locks.unlock(LEADER)
            self._leading.clear()
        self._locks.unlock(WORKERS + self.number)
        self._number = None
