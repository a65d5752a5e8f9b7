"""The socket of each web worker: it answers questions as JSON from a thread of its own, and puts them to the others."""

import contextlib
import json
import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)

ANSWER_TIMEOUT = 2.0
"""Seconds that a neighbour has to answer."""

_LONGEST_QUESTION = 1_000

Answers = Mapping[str, Callable[[], object]]
"""What a neighbour may ask, and who answers; the answer becomes JSON."""


@contextmanager
def serving(folder: Path, number: int, answers: Answers) -> Iterator[None]:
    """Answer questions on the socket of web worker *number* while the context lasts."""
    name = _socket_name(number)
    # The number's lock is ours: a socket that lies there belongs to somebody who has died.
    (folder / name).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        with _short_path(folder) as short:
            server.bind(f"{short}/{name}")
        server.listen()
        thread = threading.Thread(target=_answer_all, args=(server, answers), name="levelpool neighbour", daemon=True)
        thread.start()
        try:
            yield
        finally:
            # Closing alone would leave the thread in accept().
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=ANSWER_TIMEOUT)
            (folder / name).unlink(missing_ok=True)


def _answer_all(server: socket.socket, answers: Answers) -> None:
    while True:
        try:
            connection, _address = server.accept()
        except OSError:
            return  # shut down
        with connection:
            try:
                connection.settimeout(ANSWER_TIMEOUT)
                connection.sendall(_answer(_read_question(connection), answers))
            except OSError as error:
                logger.debug("a neighbour went away before its answer: %s", error)


def _read_question(connection: socket.socket) -> str:
    text = b""
    while not text.endswith(b"\n") and len(text) < _LONGEST_QUESTION:
        part = connection.recv(_LONGEST_QUESTION)
        if not part:
            break
        text += part
    return text.decode("utf-8", "replace").strip()


def _answer(question: str, answers: Answers) -> bytes:
    if question not in answers:
        return json.dumps({"error": f"unknown question {question!r}"}).encode()
    try:
        return json.dumps({"answer": answers[question]()}).encode()
    except Exception as error:
        logger.exception("could not answer the neighbours' question %r", question)
        return json.dumps({"error": str(error)}).encode()


def ask_all(folder: Path, numbers: Iterable[int], question: str) -> dict[int, object]:
    """What the web workers with these *numbers* answer to *question*, by number; blocks up to `ANSWER_TIMEOUT` for all together."""
    deadline = time.monotonic() + ANSWER_TIMEOUT
    asked: dict[int, socket.socket] = {}
    answers: dict[int, object] = {}
    with contextlib.ExitStack() as stack:
        # Everybody is asked before anybody's answer is waited for: one that is stuck keeps nobody else from being heard.
        for number in numbers:
            with contextlib.suppress(OSError):
                asked[number] = stack.enter_context(_ask(folder, number, question))
        # The quick ones come first: a stuck one would use up the time of those behind it.
        for number in _in_order_of_arrival(asked, deadline):
            with contextlib.suppress(OSError, ValueError):
                answers[number] = _read_answer(asked[number], deadline)
    return dict(sorted(answers.items()))


@contextmanager
def _ask(folder: Path, number: int, question: str) -> Iterator[socket.socket]:
    """A connection on which *question* was asked. Raises `OSError` when nobody is there."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_TIMEOUT)
        with _short_path(folder) as short:
            connection.connect(f"{short}/{_socket_name(number)}")
        connection.sendall(f"{question}\n".encode())
        yield connection


def _in_order_of_arrival(asked: Mapping[int, socket.socket], deadline: float) -> Iterator[int]:
    """Each number as soon as something of its web worker's answer is there, until *deadline*."""
    with selectors.DefaultSelector() as waiting:
        for number, connection in asked.items():
            waiting.register(connection, selectors.EVENT_READ, number)
        while waiting.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _events in waiting.select(left):
                waiting.unregister(key.fileobj)
                yield key.data


def _read_answer(connection: socket.socket, deadline: float) -> object:
    """Raises `OSError` when the answer does not come in time, `ValueError` when it is none."""
    parts = []
    while True:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        part = connection.recv(1 << 16)
        if not part:
            break
        parts.append(part)
    said = json.loads(b"".join(parts))
    if "answer" not in said:
        raise ValueError(said.get("error"))
    return said["answer"]


def _socket_name(number: int) -> str:
    return f"worker-{number}.sock"


@contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    """A path to *folder* that fits into the 107 bytes that the address of a socket may have."""
    if len(os.fsencode(folder)) < 80 or not Path("/proc/self/fd").exists():
        yield str(folder)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
