"""Frames and memfd payloads: what goes in comes out, whatever the size and wherever the stream is cut."""

import errno
import os
import pickle
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levelpool.errors import NoRoom, ResultTooLarge
from levelpool.lanes.process.memfd_payload import (
    SMALL,
    MemfdPayload,
    MissingModuleError,
    decode_large,
    decode_small,
    encode,
    encode_small,
    memory_file_of,
    refuse_missing_module,
)
from levelpool.lanes.process.wire import Framer, pack, receive


@given(
    frames=st.lists(
        st.tuples(st.integers(1, 17), st.integers(0, 2**63), st.binary(max_size=50), st.binary(max_size=300), st.binary(max_size=90))
    ),
    cut=st.integers(1, 97),
)
def test_frames_survive_any_cut(frames, cut):
    """Frames come out whole and in order, wherever the socket cut the stream."""
    stream = b"".join(pack(*frame) for frame in frames)
    framer = Framer()

    out = [frame for at in range(0, len(stream), cut) for frame in framer.feed(stream[at : at + cut], [])]

    assert [(frame.kind, frame.call, frame.meta, frame.body, frame.function_ref) for frame in out] == frames


@pytest.mark.parametrize(
    "thing", [None, "text", {"a": [1, 2]}, b"x" * (SMALL * 3), bytearray(b"y" * (SMALL * 3)), [str(i) * 9 for i in range(30_000)]]
)
def test_object_comes_back_equal(thing):
    """Small and large objects come back as they went."""
    packed = encode(thing)

    back = decode_large(packed) if isinstance(packed, MemfdPayload) else decode_small(packed)

    assert back == thing
    assert isinstance(packed, MemfdPayload) == (len(pickle.dumps(thing, 5)) > SMALL)


def test_large_object_is_noticed_early():
    """A large pickle costs the loop one frame only: it is given up as soon as it is over the limit."""
    assert encode_small([bytes(1000)] * 2 + [b"x" * SMALL]) is None


@pytest.mark.parametrize("thing", [b"x" * 5000, bytearray(b"x" * (SMALL * 2)), b"x" * (SMALL * 2)])
def test_limit_holds_for_every_kind(thing):
    """A result over the limit is refused, in band or out of band."""
    with pytest.raises(ResultTooLarge):
        encode(thing, 4000)


def test_parcel_travels_beside_its_frame():
    """The memory file arrives with its frame, and is closed when it has been read."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        memfd = encode(b"z" * (SMALL * 2))
        socket.send_fds(ours, [pack(14, 7, b"meta", memfd)], [memfd.fd])
        memfd.close()
        (frame,) = Framer().feed(*receive(theirs))
        arrived, fd = frame.memfd, frame.memfd.fd

        assert decode_large(arrived) == b"z" * (SMALL * 2)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_nothing_is_imported_on_the_loop():
    """A pickle that names a module nobody has imported is refused before it is."""
    data = pickle.dumps(SMALL, 5)
    named = b"\x80\x05\x8c\x0cno_such_thing"[:-1] + b"\x8c\x01x\x93."

    assert decode_small(data, refuse_missing_module) == SMALL
    with pytest.raises(MissingModuleError):
        decode_small(named, refuse_missing_module)


@pytest.mark.parametrize("said", [errno.ENOSYS, errno.EPERM, errno.EACCES])
def test_memory_file_without_memfd(monkeypatch, said):
    """Where the kernel or a sandbox has no `memfd_create`, a file without a name takes its place."""

    def refuse(*_args):
        raise OSError(said, os.strerror(said))

    monkeypatch.setattr(os, "memfd_create", refuse)
    fd = memory_file_of(b"what is in it")
    try:
        assert os.read(fd, 100) == b"what is in it"
        assert not os.get_inheritable(fd)
        assert os.fstat(fd).st_nlink == 0
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (errno.EMFILE, "descriptors"),
        (errno.ENFILE, "descriptors"),
        (errno.ENOMEM, "memory"),
        (errno.ENOSPC, "space"),
        (errno.EFBIG, "file size"),
    ],
)
@pytest.mark.parametrize("step", ["memfd_create", "pwrite"])
def test_no_room_is_said_as_that(monkeypatch, said, cause, step):
    """Whatever the system has too little of, and whenever it says so: it is named, and nothing is left open."""
    before = len(list(Path("/proc/self/fd").iterdir()))

    def refuse(*_args):
        raise OSError(said, os.strerror(said))

    with monkeypatch.context() as patch:
        patch.setattr(os, step, refuse)
        with pytest.raises(NoRoom, match=os.strerror(said).split()[0]) as no_room:
            encode(b"x" * 2 * SMALL)

    assert no_room.value.cause == cause
    assert len(list(Path("/proc/self/fd").iterdir())) == before
