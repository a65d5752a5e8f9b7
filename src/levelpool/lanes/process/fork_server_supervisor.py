"""Where a lane's workers come from: the fork server, started when the first is wanted, gone with the last, and replaced when it dies."""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence

from levelpool.lanes.helper_threads import HelperThreads
from levelpool.lanes.lane_loop import LaneLoop, close_on
from levelpool.lanes.process.fork_server_client import Answer, ForkServerClient
from levelpool.lanes.process.worker_variables import withheld_variables, worker_environment


class ForkServerSupervisor:
    """The lane's one fork server, if it has one now. Its lane calls it under the lane's lock."""

    def __init__(
        self,
        lane_loop: LaneLoop,
        helpers: HelperThreads,
        *,
        preload: Sequence[str],
        environment: Mapping[str, str] | None,
        variables: Sequence[str],
        max_result_bytes: int | None,
        idle_timeout: float,
        listener: Callable[[ForkServerClient, socket.socket], None],
    ) -> None:
        """*listener* is called in the lane's loop when the fork server has said something; then `hear` it."""
        self._lane_loop = lane_loop
        self._helpers = helpers
        self._preload = preload
        self._environment = environment
        self._variables = variables
        self._max_result_bytes = max_result_bytes
        self._idle_timeout = idle_timeout
        self._listener = listener
        self._client: ForkServerClient | None = None

    @property
    def is_absent(self) -> bool:
        """Whether there is no fork server."""
        return self._client is None

    def current(self) -> ForkServerClient:
        """The fork server, started if need be; raises OSError if that cannot be."""
        if self._client is None:
            self._client = ForkServerClient(
                preload=self._preload,
                environment=self._current_environment,
                max_result_bytes=self._max_result_bytes,
                idle_timeout=self._idle_timeout,
            )
            self._watch(self._client)
        return self._client

    def _current_environment(self) -> Mapping[str, str]:
        return worker_environment(os.environ, self._variables) if self._environment is None else self._environment

    def withheld(self) -> dict[str, str]:
        """The variables that its workers would not find now, each with the reason."""
        return withheld_variables(os.environ, self._variables) if self._environment is None else {}

    def _watch(self, fork_server: ForkServerClient) -> None:
        self._lane_loop.watch(fork_server.control, self._listener, fork_server, fork_server.control)

    def is_current(self, fork_server: ForkServerClient) -> bool:
        """Whether *fork_server* is still the lane's fork server, and not one that is gone."""
        return fork_server is self._client

    def hear(self, fork_server: ForkServerClient, control: socket.socket) -> tuple[list[Answer], bool]:
        """What the fork server said since the last time, and whether it is still there."""
        answers: list[Answer] = []
        if fork_server.control is control:
            try:
                answers.extend(fork_server.answers())
            except ConnectionError:
                return answers, False
        # Otherwise the lane has moved meanwhile, and hears it elsewhere.
        return answers, True

    def lose(self, fork_server: ForkServerClient) -> None:
        """*fork_server* is gone, or is to go: reap it, and start another one when a worker is wanted."""
        if self._client is fork_server:
            self._client = None
        self._part_with(fork_server)
        self._helpers.do(fork_server.wait)

    def close(self) -> ForkServerClient | None:
        """Let the fork server go; whoever gets it waits for its end."""
        fork_server, self._client = self._client, None
        if fork_server is not None:
            self._part_with(fork_server)
        return fork_server

    def _part_with(self, fork_server: ForkServerClient) -> None:
        # The fork server sees the end of the control socket only when every copy of it is closed.
        fork_server.close_line()
        self._lane_loop.close(fork_server.control)

    def move(self, left: asyncio.AbstractEventLoop) -> None:
        """Follow the lane, which has left the loop *left*."""
        if self._client is not None:
            control, self._client.control = self._client.control, self._client.control.dup()
            self._client.control.setblocking(False)
            close_on(left, control)
            self._watch(self._client)

    def terminate(self) -> None:
        """Kill the fork server and its workers now, without a loop."""
        # At the exit of the interpreter the loop of a daemon thread may still be at work on the same.
        fork_server, self._client = self._client, None
        if fork_server is not None:
            fork_server.close()
            fork_server.wait()

    def after_fork_in_child(self) -> None:
        """Let go in a forked child, whose business the fork server is not."""
        if self._client is not None:
            self._client.after_fork_in_child()
