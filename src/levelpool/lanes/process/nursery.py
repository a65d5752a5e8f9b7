"""Where a lane's workers come from: the fork server, started when the first is wanted, gone with the last, and replaced when it dies."""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence

from levelpool.lanes.crew import Crew
from levelpool.lanes.home import Home, close_on
from levelpool.lanes.process.birth import Answer, Cradle, worker_environment


class Nursery:
    """The lane's one fork server, if it has one now. Its lane calls it under the lane's lock."""

    def __init__(
        self,
        home: Home,
        crew: Crew,
        *,
        preload: Sequence[str],
        environment: Mapping[str, str] | None,
        max_result_bytes: int | None,
        idle_timeout: float,
        listener: Callable[[Cradle, socket.socket], None],
    ) -> None:
        """*listener* is called in the home's loop when the fork server has said something; then `hear` it."""
        self._home = home
        self._crew = crew
        self._preload = preload
        self._environment = environment
        self._max_result_bytes = max_result_bytes
        self._idle_timeout = idle_timeout
        self._listener = listener
        self._cradle: Cradle | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is no fork server."""
        return self._cradle is None

    def cradle(self) -> Cradle:
        """The fork server, started if need be; raises OSError if that cannot be."""
        if self._cradle is None:
            self._cradle = Cradle(
                preload=self._preload,
                environment=worker_environment(os.environ) if self._environment is None else self._environment,
                max_result_bytes=self._max_result_bytes,
                idle_timeout=self._idle_timeout,
            )
            self._watch(self._cradle)
        return self._cradle

    def _watch(self, cradle: Cradle) -> None:
        self._home.watch(cradle.control, self._listener, cradle, cradle.control)

    def is_home_of(self, cradle: Cradle) -> bool:
        """Whether *cradle* is still the lane's fork server, and not one that is gone."""
        return cradle is self._cradle

    def hear(self, cradle: Cradle, control: socket.socket) -> tuple[list[Answer], bool]:
        """What the fork server said since the last time, and whether it is still there."""
        answers: list[Answer] = []
        if cradle.control is control:
            try:
                answers.extend(cradle.answers())
            except ConnectionError:
                return answers, False
        # Otherwise the lane has moved meanwhile, and hears it elsewhere.
        return answers, True

    def lose(self, cradle: Cradle) -> None:
        """*cradle* is gone, or is to go: reap it, and start another one when a worker is wanted."""
        if self._cradle is cradle:
            self._cradle = None
        self._part_with(cradle)
        self._crew.do(cradle.wait)

    def close(self) -> Cradle | None:
        """Let the fork server go; whoever gets it waits for its end."""
        cradle, self._cradle = self._cradle, None
        if cradle is not None:
            self._part_with(cradle)
        return cradle

    def _part_with(self, cradle: Cradle) -> None:
        # The fork server sees the end of the control socket only when every copy of it is closed.
        cradle.close_line()
        self._home.close(cradle.control)

    def move(self, left: asyncio.AbstractEventLoop) -> None:
        """Follow the home, which has left the loop *left*."""
        if self._cradle is not None:
            control, self._cradle.control = self._cradle.control, self._cradle.control.dup()
            self._cradle.control.setblocking(False)
            close_on(left, control)
            self._watch(self._cradle)

    def abandon(self) -> None:
        """Kill the fork server and its workers now, without a loop."""
        # At the exit of the interpreter the loop of a daemon thread may still be at work on the same.
        cradle, self._cradle = self._cradle, None
        if cradle is not None:
            cradle.close()
            cradle.wait()

    def forget(self) -> None:
        """Let go in a forked child, whose business the fork server is not."""
        if self._cradle is not None:
            self._cradle.forget()
