"""The systemd unit: systemd finds no fault with it, and the service works within its limits, which are held by the kernel as systemd would."""

import json
import os
import re
import subprocess
import sys

import pytest

import in_the_unit
import machine

pytestmark = pytest.mark.systemd

WITHIN = (*(("unshare", "--mount") if os.geteuid() == 0 else ()), sys.executable, in_the_unit.__file__)

TRIES = """
import ctypes, errno, json, mmap, os, socket

def code_of(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"

print(json.dumps({
    "write": code_of(os.mkdir, "/usr/lib/levelpool-was-here"),
    "state": code_of(os.mkdir, os.environ.get("LEVELPOOL_DATA_DIR", ".") + "/made"),
    "code": code_of(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)),
    "netlink": code_of(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
    "nice": code_of(os.nice, 5),
    "mount": code_of(lambda: os.setns(os.open("/proc/self/ns/mnt", os.O_RDONLY)) if hasattr(os, "setns") else os.chroot("/")),
}))
"""


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(machine.find("systemd")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=machine.environment())


def test_unit_is_verified_by_systemd(tmp_path):
    """Status 0 and not a word, with a command that is there."""
    unit = tmp_path / "levelpool.service"
    text = in_the_unit.UNIT.read_text(encoding="utf-8")
    unit.write_text(text.replace("/opt/levelpool/bin/levelpool", "/bin/true"))

    done = systemd_analyze("verify", str(unit))

    assert text.count("/opt/levelpool/bin/levelpool serve") == 1
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_unit_is_exposed_as_little_as_the_guide_says():
    """`systemd-analyze security` gives the figure of the guide."""
    said = systemd_analyze("security", "--offline=yes", str(in_the_unit.UNIT)).stdout
    figure = re.search(r"Overall exposure level for levelpool.service: ([\d.]+)", said)[1]

    assert f"exposure level {figure}" in (machine.HERE / "docs" / "howto" / "serve.md").read_text(encoding="utf-8")


def test_limits_of_the_unit_hold_in_this_test(tmp_path):
    """What the unit forbids fails here too: the next test would prove nothing otherwise."""
    state = tmp_path / "state"
    state.mkdir()
    done = subprocess.run([*WITHIN, str(state), sys.executable, "-c", TRIES], capture_output=True, text=True, check=True, cwd="/")
    tried = json.loads(done.stdout)

    assert tried["write"] in {"EROFS", "EACCES"}
    assert (tried["code"], tried["netlink"], tried["nice"], tried["mount"]) == ("EPERM", "EAFNOSUPPORT", "EPERM", "EPERM")
    assert tried["state"] == "done" or os.geteuid() != 0


@pytest.mark.timeout(180)
def test_service_loads_files_within_the_limits_of_the_unit(tmp_path, start):
    """Two web workers, fork server, memory files and shared memory, SQLite, the stream of the page, and the end by SIGTERM."""
    var = tmp_path / "var"
    var.mkdir()
    service = start(var, "--workers", "2", prefix=(*WITHIN, str(var)))
    client = service.client()
    rows = "".join(f"{number},2026-11-01,{number}.50\n" for number in range(50_000))
    sent = client.post("/api/files", files={"file": ("orders.csv", f"Order No,Placed,Amount\n{rows}".encode())}).raise_for_status().json()
    record = service.settled(sent["file"]["id"] if "file" in sent else sent["id"])
    with client.stream("GET", "/events") as answer:
        first = next(answer.iter_raw())
    lane = client.get("/api/system/executor-stats").json()["lanes"]["cpu"]

    assert (record["status"], record["rows_loaded"]) == ("loaded", 50_000)
    assert first
    assert lane["max_workers"] >= 1
    assert service.stop(15) == 0
    assert "Traceback" not in service.log.read_text()
