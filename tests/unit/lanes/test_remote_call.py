"""What travels to another machine arrives as it was, and what is large is not copied on the way."""

import pickle

import pytest

from levelpool.errors import WorkerDied
from levelpool.lanes.process.memfd_payload import MemfdPayload, decode_large, encode
from levelpool.lanes.process.wire import DONE
from levelpool.lanes.remote.remote_call import Outcome, RemoteCall, RemotePayload

LARGE = {"bytes": b"x" * (3 << 20), "rows": list(range(50_000))}


def sent(thing: object) -> tuple[object, int]:
    """*thing* on the other side, and how many bytes of it were copied into the message itself."""
    buffers: list[pickle.PickleBuffer] = []
    message = pickle.dumps(thing, 5, buffer_callback=buffers.append)
    return pickle.loads(message, buffers=[bytes(buffer) for buffer in buffers]), len(message)


def remote_call(payload: bytes | MemfdPayload) -> RemoteCall:
    return RemoteCall(call=7, name="a task", version="1", function_ref=b"r", metadata=b"w", payload=RemotePayload.of(payload))


def test_small_call_travels_whole():
    """Its few bytes are part of the message."""
    there, _ = sent(remote_call(b"payload"))

    assert (there.call, there.name, there.function_ref, there.metadata, there.payload.unpack()) == (7, "a task", b"r", b"w", b"payload")
    assert not there.payload.is_large


def test_large_call_travels_beside_the_message():
    """The memory file is mapped here, sent as it lies, and is a memory file again there."""
    there, copied = sent(remote_call(encode(LARGE)))

    assert copied < 1000
    assert decode_large(there.payload.unpack()) == LARGE


def test_large_call_survives_a_way_without_buffers():
    """Whoever pickles it in one piece loses nothing but time."""
    there = pickle.loads(pickle.dumps(remote_call(encode(LARGE)), 4))

    assert decode_large(there.payload.unpack()) == LARGE


@pytest.mark.parametrize("error", [None, WorkerDied("it died", cause="signal", signal=9, task="a task", rss=5)])
def test_outcome_arrives_with_its_error(error):
    """Frame or error of the lane, with every field and its note."""
    if error is not None:
        error.add_note("on a machine")
    there, _ = sent(Outcome(DONE, b"meta", RemotePayload(b"body"), error))

    assert (there.kind, there.meta, there.payload.unpack()) == (DONE, b"meta", b"body")
    assert (there.error and vars(there.error)) == (error and vars(error))
