"""What travels to another machine arrives as it was, and what is large is not copied on the way."""

import pickle

import pytest

from levelpool.errors import WorkerDied
from levelpool.lanes.process.parcel import Parcel, decode_large, encode
from levelpool.lanes.process.wire import DONE
from levelpool.lanes.remote.packet import Load, Outcome, Packet

LARGE = {"bytes": b"x" * (3 << 20), "rows": list(range(50_000))}


def sent(thing: object) -> tuple[object, int]:
    """*thing* on the other side, and how many bytes of it were copied into the message itself."""
    buffers: list[pickle.PickleBuffer] = []
    message = pickle.dumps(thing, 5, buffer_callback=buffers.append)
    return pickle.loads(message, buffers=[bytes(buffer) for buffer in buffers]), len(message)


def packet(payload: bytes | Parcel) -> Packet:
    return Packet(call=7, name="a task", version="1", reference=b"r", wishes=b"w", load=Load.of(payload))


def test_small_call_travels_whole():
    """Its few bytes are part of the message."""
    there, _ = sent(packet(b"payload"))

    assert (there.call, there.name, there.reference, there.wishes, there.load.unpack()) == (7, "a task", b"r", b"w", b"payload")
    assert not there.load.is_large


def test_large_call_travels_beside_the_message():
    """The memory file is mapped here, sent as it lies, and is a memory file again there."""
    there, copied = sent(packet(encode(LARGE)))

    assert copied < 1000
    assert decode_large(there.load.unpack()) == LARGE


def test_large_call_survives_a_way_without_buffers():
    """Whoever pickles it in one piece loses nothing but time."""
    there = pickle.loads(pickle.dumps(packet(encode(LARGE)), 4))

    assert decode_large(there.load.unpack()) == LARGE


@pytest.mark.parametrize("error", [None, WorkerDied("it died", cause="signal", signal=9, task="a task", rss=5)])
def test_outcome_arrives_with_its_error(error):
    """Frame or error of the lane, with every field and its note."""
    if error is not None:
        error.add_note("on a machine")
    there, _ = sent(Outcome(DONE, b"meta", Load(b"body"), error))

    assert (there.kind, there.meta, there.load.unpack()) == (DONE, b"meta", b"body")
    assert (there.error and vars(there.error)) == (error and vars(error))
