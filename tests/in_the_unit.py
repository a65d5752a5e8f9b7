"""
Run a command within the limits of `deploy/systemd/levelpool.service`, without systemd: `in_the_unit.py STATE COMMAND...`.

The system calls, memory protection, address families and namespaces that the unit leaves are enforced by seccomp with the lists that
`systemd-analyze` prints; as root the file system is read-only but for STATE, which stands at /mnt, and for a /tmp and a /dev of its own, and no
capability is left. Not done here: ProtectHome, ProtectProc, RestrictRealtime, RestrictSUIDSGID, LockPersonality, RemoveIPC, the limits of the group.
"""

import ctypes
import errno
import functools
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import machine

UNIT = machine.HERE / "deploy" / "systemd" / "levelpool.service"
STATE = "/mnt"

ALLOW, REFUSE = 0x7FFF0000, 0x00050000
EQUAL, MASKED, GREATER = 4, 7, 6
NAMESPACES = 0x7E020080
HIGHEST_FAMILY = 46


class Compare(ctypes.Structure):
    """`struct scmp_arg_cmp` of libseccomp."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


class Filter:
    """A filter of system calls, by libseccomp."""

    def __init__(self, default: int) -> None:
        self._library = ctypes.CDLL(str(machine.find("libseccomp2")), use_errno=True)
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._library.seccomp_init(ctypes.c_uint32(default)))

    def add(self, action: int, name: str, *compare: Compare) -> None:
        """Names that this processor does not have are passed over, as systemd does."""
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if number != -1:
            given = (Compare * len(compare))(*compare)
            done = self._library.seccomp_rule_add_array(self._context, ctypes.c_uint32(action), number, len(compare), given)
            assert done in {0, -errno.EDOM, -errno.EEXIST}, (name, done)

    def load(self) -> None:
        """From now on it holds, for this process and all that it starts."""
        assert self._library.seccomp_load(self._context) == 0


def option(name: str) -> list[str]:
    """Each value of *name* in the unit."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)


@functools.cache
def members(group: str) -> frozenset[str]:
    """The system calls of a group such as `@system-service`, those of the groups in it too."""
    printed = subprocess.run(
        [str(machine.find("systemd")), "syscall-filter", group], capture_output=True, text=True, check=True, env=machine.environment()
    ).stdout
    names = [line.strip() for line in printed.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return frozenset().union(*(members(name) if name.startswith("@") else {name} for name in names))


def of_groups(text: str) -> frozenset[str]:
    return frozenset().union(*(members(name) if name.startswith("@") else {name} for name in text.split()))


def hide_the_rest(state: str) -> None:
    """ProtectSystem=strict, PrivateTmp, PrivateDevices and the state directory, in a mount namespace of our own."""

    # Descriptors are bound as they are: by the path behind them, mount would find what has just been laid over it.
    def mount(*arguments: str) -> None:
        subprocess.run(["mount", *arguments], check=True)

    mount("--bind", state, STATE)
    kept = [
        (path, os.open(path, os.O_PATH)) for path in (machine.HERE, Path(sys.prefix), Path(sys.base_prefix)) if path.is_relative_to("/tmp")
    ]
    for folder in ("/tmp", "/var/tmp"):
        mount("-t", "tmpfs", "tmpfs", folder)
    for path, descriptor in kept:
        path.mkdir(parents=True, exist_ok=True)
        mount("--no-canonicalize", "--bind", f"/proc/{os.getpid()}/fd/{descriptor}", str(path))
    devices = {name: os.open(f"/dev/{name}", os.O_PATH) for name in ("null", "zero", "full", "random", "urandom", "tty")}
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/dev")
    for name, descriptor in devices.items():
        Path("/dev", name).touch()
        mount("--no-canonicalize", "--bind", f"/proc/{os.getpid()}/fd/{descriptor}", f"/dev/{name}")
    Path("/dev/shm").mkdir(mode=0o1777)
    mount("-t", "tmpfs", "tmpfs", "/dev/shm")
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in places:
        if place != STATE and not place.startswith(("/tmp", "/var/tmp", "/dev", "/proc", "/sys")):
            subprocess.run(["mount", "-o", "remount,bind,ro", place], check=False, stderr=subprocess.DEVNULL)


def restrict() -> None:
    """SystemCallFilter, MemoryDenyWriteExecute, RestrictAddressFamilies and RestrictNamespaces."""
    refuse = REFUSE | errno.EPERM
    details = Filter(ALLOW)
    assert option("MemoryDenyWriteExecute") == ["yes"]
    details.add(refuse, "mmap", Compare(2, MASKED, 6, 6))
    for name in ("mprotect", "pkey_mprotect"):
        details.add(refuse, name, Compare(2, MASKED, 4, 4))
    details.add(refuse, "shmat", Compare(2, MASKED, 0o100000, 0o100000))
    families = {getattr(socket, name).value for name in option("RestrictAddressFamilies")[0].split()}
    for family in set(range(HIGHEST_FAMILY)) - families:
        details.add(REFUSE | errno.EAFNOSUPPORT, "socket", Compare(0, EQUAL, family))
    details.add(REFUSE | errno.EAFNOSUPPORT, "socket", Compare(0, GREATER, HIGHEST_FAMILY - 1))
    assert option("RestrictNamespaces") == ["yes"]
    details.add(REFUSE | errno.ENOSYS, "clone3")
    for name in ("unshare", "setns"):
        details.add(refuse, name)
    for bit in range(32):
        if NAMESPACES >> bit & 1:
            details.add(refuse, "clone", Compare(0, MASKED, 1 << bit, 1 << bit))
    calls = Filter(refuse)
    allowed, refused = option("SystemCallFilter")
    for name in (of_groups(allowed) | members("@default")) - of_groups(refused.removeprefix("~")):
        calls.add(ALLOW, name)
    details.load()
    calls.load()


def main() -> None:
    """First as root, with the rights to mount; then once more without any right, to restrict itself and become the command."""
    state, *command = sys.argv[1:]
    if os.geteuid() == 0 and state != "-":
        hide_the_rest(state)
        os.environ["LEVELPOOL_DATA_DIR"] = STATE
        without_rights = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
        os.execvp("setpriv", [*without_rights, sys.executable, __file__, "-", *command])
    restrict()
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
