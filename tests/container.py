"""
The image for real: `make test-container` builds it and runs the service's main job in it, with Debian's buildah, podman and runc.

It needs root on Debian, some minutes, and what the package registries give. The base is made by debootstrap, or named by BASE=...;
the containers run in a network of their own, which nobody else reaches. Nothing stays behind, however it ends.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet

from servers import PostgresServer

ROOT = Path(__file__).resolve().parents[1]
GALLERY = ROOT / "tests" / "gallery"
PACKAGES = {
    "buildah": "/usr/bin/buildah",
    "podman": "/usr/bin/podman",
    "podman-compose": "/usr/bin/podman-compose",
    "runc": "/usr/sbin/runc",
    "catatonit": "/usr/bin/catatonit",  # the init
    "netavark": "/usr/lib/podman/netavark",  # networks, and names in them
    "aardvark-dns": "/usr/lib/podman/aardvark-dns",
    "iptables": "/usr/sbin/iptables",
    "debootstrap": "/usr/sbin/debootstrap",
}
"""The Debian packages that are used, and what shows that one is there."""
RELEASE = "trixie"
IMAGE = "localhost/levelpool-test"
POSTGRES_IMAGE = "localhost/levelpool-test-postgres"
LARGE = 60_000
"""Rows of a file whose import takes a while."""
URL = "http://127.0.0.1:8000"
HARDENED = (
    "--read-only",
    "--read-only-tmpfs=false",
    "--tmpfs=/tmp",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--shm-size=64k",
)
"""As compose.yaml and the manifest have it, with less of /dev/shm than anything would need that used it."""


class Failed(Exception):
    """A sentence that turned out to be false, and what was seen instead."""


def check(sentence: str, holds: object, seen: object = "") -> None:
    """Print *sentence*, or raise `Failed` with what was *seen*."""
    if not holds:
        raise Failed(f"{sentence}\nseen: {seen}")
    print(f"ok: {sentence}", flush=True)


def wait_for(what: str, ask: Callable[[], object], seconds: float = 60) -> object:
    """The first true answer of *ask*. Raises `Failed` when there is none within *seconds*."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(httpx.TransportError):
            if answer := ask():
                return answer
        time.sleep(0.1)
    raise Failed(f"{what}: not within {seconds:.0f} s")


# ---------------------------------------------------------------- the engine


class Engine:
    """buildah and podman with a store of their own below *folder*."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = ("--root", str(folder / "store"), "--runroot", str(folder / "runtime"), "--storage-driver", "overlay")
        settings = folder / "containers.conf"
        # Containers get limits that a machine which is itself confined may give; no systemd is needed.
        settings.write_text(
            '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=2048:2048"]\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n'
        )
        self.environment = {**os.environ, "CONTAINERS_CONF": str(settings)}

    def run(self, program: str, *arguments: str, status: int | None = 0, **options: object) -> subprocess.CompletedProcess[str]:
        """One command to its end. Raises `Failed` when it ends with another *status*; None allows any."""
        done = subprocess.run(
            [program, *self.store, *arguments],
            text=True,
            capture_output=True,
            env=self.environment,
            check=False,
            **{"timeout": 1200, **options},
        )
        if status is not None and done.returncode != status:
            raise Failed(
                f"{program} {' '.join(arguments[:4])} ended with status {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
            )
        return done

    def podman(self, *arguments: str, status: int | None = 0, **options: object) -> subprocess.CompletedProcess[str]:
        return self.run("podman", *arguments, status=status, **options)

    def inspect(self, name: str) -> dict:
        return json.loads(self.podman("inspect", name).stdout)[0]

    def log(self, name: str) -> str:
        done = self.podman("logs", name)
        return done.stdout + done.stderr

    def close(self) -> None:
        """End every container and take the store away."""
        self.podman("rm", "--all", "--force", "--time", "0", "--volumes", status=None)
        self.run("buildah", "rm", "--all", status=None)
        self.podman("image", "umount", "--all", status=None)
        subprocess.run(["umount", "--quiet", str(self.folder / "store" / "overlay")], check=False, stderr=subprocess.DEVNULL)


def get_programs() -> None:
    """Find or install what is run here. Raises `Failed` where that cannot be had."""
    if os.geteuid() != 0:
        raise Failed("this test makes a base with debootstrap and runs containers: start it as root, in a machine of its own if you like")
    absent = sorted(package for package, proof in PACKAGES.items() if not Path(proof).exists())
    if absent:
        if shutil.which("apt-get") is None:
            raise Failed(f"install {', '.join(absent)} and run again; on Debian this is done for you")
        print(f"installing for this test: {' '.join(absent)}", flush=True)
        for command in (["update"], ["install", "-y", "--no-install-recommends", *absent]):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(["apt-get", "-qq", *command], check=True, stdout=subprocess.DEVNULL, env=environment)


def make_base(engine: Engine) -> str:
    """A small Debian with Python, as an image; its name."""
    folder = engine.folder / "base"
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", RELEASE, str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Failed(f"debootstrap ended with status {done.returncode}\n{done.stdout[-3000:]}")
    name = "localhost/levelpool-test-base"
    with subprocess.Popen(["tar", "--directory", str(folder), "--create", "."], stdout=subprocess.PIPE) as packed:
        engine.podman("import", "--quiet", "-", name, stdin=packed.stdout)
    shutil.rmtree(folder)
    return name


def build(engine: Engine, base: str) -> None:
    """The image, as `Containerfile` says, from a checkout's tracked files alone and with this machine's certificates."""
    context = engine.folder / "context"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, context / name)
    trust = engine.folder / "trust"
    trust.mkdir()
    (trust / "pip.conf").write_text("[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n")
    (trust / "npmrc").write_text("cafile = /etc/ssl/certs/ca-certificates.crt\n")
    mounts = {"/etc/ssl/certs": "/etc/ssl/certs", str(trust / "pip.conf"): "/etc/pip.conf", str(trust / "npmrc"): "/root/.npmrc"}
    engine.run(
        "buildah", "bud", "--isolation", "chroot", "--format", "docker", "--build-arg", f"BASE={base}", "--tag", IMAGE,
        *(f"--volume={here}:{there}:ro" for here, there in mounts.items()), str(context),
    )  # fmt: skip


def build_postgres(engine: Engine, base: str) -> None:
    """The database beside it."""
    context = ROOT / "tests" / "postgres_image"
    engine.run("buildah", "bud", "--isolation", "chroot", "--build-arg", f"BASE={base}", "--tag", POSTGRES_IMAGE, str(context))


# ---------------------------------------------------------------- what is in it


def look_into(engine: Engine) -> None:
    """What the image says of itself, and what it does not hold."""
    config = engine.inspect(IMAGE)["Config"]
    check("the user is a number that is not root's", re.fullmatch(r"[1-9]\d*:[1-9]\d*", config["User"]), config["User"])
    check("the entry is an exec of levelpool serve", (config["Entrypoint"], config["Cmd"]) == (["levelpool"], ["serve"]), config)
    check("it stops by SIGTERM, and its data is a volume", config["StopSignal"] == "SIGTERM" and "/data" in config["Volumes"], config)
    root = Path(engine.podman("image", "mount", IMAGE).stdout.strip())
    names = {path.name for folder in ("usr/bin", "usr/local/bin", "opt/levelpool/bin") for path in (root / folder).glob("*")}
    tools = names & {"cc", "gcc", "c++", "g++", "ld", "make", "node", "npm", "npx", "hatchling", "curl"}
    check("no compiler, no make, no npm, no build tool is in it", not tools, tools)
    check("its environment has no pip", not {"pip", "pip3"} & {path.name for path in (root / "opt/levelpool/bin").glob("*")})
    caches = [path for path in (root / "root").rglob("*") if path.name in {"pip", "_cacache", ".npm"}]
    check("no cache of pip or npm is in it", not caches, caches)
    check("the sources and the stage of the build are not in it", not (root / "build").exists())
    odd = [path for path in (root / "opt/levelpool").rglob("*") if not path.is_symlink() and path.lstat().st_uid != 0]
    check("the service cannot change its own program: all of it belongs to root", not odd, odd[:5])
    size = sum(path.lstat().st_size for path in (root / "opt/levelpool").rglob("*") if path.is_file() and not path.is_symlink())
    print(f"the service and its packages take {size / 2**20:,.0f} MiB", flush=True)
    engine.podman("image", "umount", IMAGE)


# ---------------------------------------------------------------- the main job


class Service:
    """A container that serves."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine, self.name = engine, name
        self.wait_until_ready()
        self.client = httpx.Client(base_url=URL, timeout=30)

    def wait_until_ready(self) -> None:
        try:
            wait_for("the service is ready", lambda: httpx.get(f"{URL}/readyz").status_code == 200, 90)
        except Failed as failure:
            raise Failed(f"{failure}\n{self.engine.log(self.name)}") from None

    def sign_in(self, token: str) -> None:
        """As the page does it: a cookie for the token."""
        answer = self.client.post("/sign-in", data={"token": token})
        check(
            "a person signs in with the token", answer.status_code == 303 and self.client.cookies, (answer.status_code, answer.text[:500])
        )
        self.client.headers.update(bearer(token))

    def send(self, name: str, content: bytes) -> int:
        return self.client.post("/api/files", files={"file": (name, content)}).raise_for_status().json()["id"]

    def record(self, number: int) -> dict:
        return self.client.get(f"/api/files/{number}").raise_for_status().json()

    def settled(self, number: int) -> dict:
        def ended() -> dict | None:
            record = self.record(number)
            return record if record["status"] not in {"pending", "running"} else None

        return wait_for(f"file {number} has ended", ended, 120)

    def rows(self, dataset: str) -> list[dict]:
        return self.client.get(f"/api/datasets/{dataset}/rows", params={"limit": 1000}).raise_for_status().json()["rows"]

    def total(self, dataset: str) -> int:
        return self.client.get(f"/api/datasets/{dataset}/rows", params={"limit": 1}).raise_for_status().json()["total"]

    def inside(self, *command: str, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        return self.engine.podman("exec", self.name, *command, status=status)

    def zombies(self) -> list[tuple[int, int, str, str]]:
        """Those that have ended and were not waited for."""
        return [each for each in self.processes() if each[2] == "Z"]

    def main_process(self) -> int:
        return self.engine.inspect(self.name)["State"]["Pid"]

    def processes(self) -> list[tuple[int, int, str, str]]:
        """Number and parent as seen in the container, state and command, of each process in it."""
        found = []
        space = Path(f"/proc/{self.main_process()}/ns/pid").readlink()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (folder / "ns/pid").readlink() == space:
                    said = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line)
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found.append((int(said["NSpid"].split()[-1]), int(said["PPid"]), said["State"][0], command))
        return found


def start(engine: Engine, name: str, *options: str) -> Service:
    """A new container that serves."""
    engine.podman("run", "--detach", "--name", name, "--network", "host", *options, IMAGE)
    return Service(engine, name)


def loopback_up() -> None:
    """The one interface of a new network; what listens on every address in there listens to us alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        fcntl.ioctl(asker, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP


def large_table(rows: int) -> bytes:
    """A file whose import takes a while."""
    lines = (f"{number:08d};{number % 97},{number % 10}5;text {number};2026-11-{number % 28 + 1:02d}" for number in range(rows))
    return "\n".join(["Nr;Betrag;Text;Datum", *lines]).encode()


def do_the_main_job(engine: Engine) -> None:
    """Sign in, upload, see the rows; limits, health, stop, start again."""
    options = (*HARDENED, "--volume", "data:/data", "--memory=512m", "--cpus=0.5", "--stop-timeout=40")
    service = start(engine, "first", *options)
    found = re.search(r"admin token, shown this once: (\S+)", engine.log("first"))
    check("with a read-only root, no capability and 64 KiB of /dev/shm the first start shows an admin token", found, engine.log("first"))
    token = found[1]
    service.sign_in(token)
    check("the page's scripts are in the image", service.client.get("/static/vendor/htmx.min.js").status_code == 200)
    check("the health check says healthy", engine.podman("healthcheck", "run", "first", status=None).returncode == 0)

    expected = json.loads((GALLERY / "report_of_an_erp.xlsx.json").read_text(encoding="utf-8"))["tables"][0]
    record = service.settled(service.send("report_of_an_erp.xlsx", (GALLERY / "report_of_an_erp.xlsx").read_bytes()))
    check("a messy workbook is loaded", record["status"] == "loaded" and record["rows_loaded"] == len(expected["rows"]), record)
    rows = [[row[name] for name in expected["columns"]] for row in service.rows(record["dataset"])]
    check("its rows are those that the gallery expects", json.dumps(rows) == json.dumps(expected["rows"]), rows)
    columns = service.settled(service.send("orders.parquet", parquet()))
    check("a Parquet file is loaded: the extra arrow is there", columns["status"] == "loaded" and columns["rows_loaded"] == 2, columns)

    capacity = json.loads(service.inside("levelpool", "capacity", "--json").stdout)
    allowed = (capacity["cpus"], capacity["memory"])
    check("levelpool capacity sees the container's limits, 0.5 CPUs and 512 MiB", allowed == (0.5, 512 << 20), capacity)
    made = service.inside("levelpool", "token", "create", "--role", "operator", "--name", "nightly").stdout.strip()
    check(
        "a token made by a command in the container opens the API", httpx.get(f"{URL}/api/files", headers=bearer(made)).status_code == 200
    )
    resize_in_place(service)
    be_frozen(service)
    be_process_one(service)
    engine.podman("tag", IMAGE, "localhost/levelpool:latest")  # as compose.yaml and the manifest name it
    drain(service, token)
    start_again(engine, token)
    start_with_others_rights(engine, token)
    use_postgresql(engine)
    play_the_manifest(engine)
    compose_up(engine)


def bearer(token: str) -> dict[str, str]:
    """What a program sends with each request."""
    return {"Authorization": f"Bearer {token}"}


def parquet() -> bytes:
    """Two orders."""
    sink = pa.BufferOutputStream()
    pyarrow.parquet.write_table(pa.table({"number": ["0001", "0002"], "count": [3, 4]}), sink)
    return sink.getvalue().to_pybytes()


def resize_in_place(service: Service) -> None:
    """What an in-place resize does: the limits of a running container change."""

    def lanes() -> dict:
        return service.client.get("/api/system/executor-stats").raise_for_status().json()["lanes"]

    before = lanes()["io"]["max_workers"]
    service.engine.podman("update", "--cpus=2", service.name)
    wait_for("more threads", lambda: lanes()["io"]["max_workers"] > before, 30)
    said = re.search(r"the container now allows 2 CPUs .*", service.engine.log(service.name))
    check("when its CPUs are raised from 0.5 to 2 while it runs, its lanes follow", said, service.engine.log(service.name)[-2000:])
    print(f"    {before} -> {lanes()['io']['max_workers']} threads; {said[0]}", flush=True)


def be_process_one(service: Service) -> None:
    """Process 1 inherits what others leave behind."""
    processes = service.processes()
    check(
        "levelpool serve is process 1, with no shell above it",
        any(n == 1 and "levelpool serve" in c for n, _, _, c in processes),
        processes,
    )
    check("after two imports no process is left as a zombie", not service.zombies(), processes)
    leave_an_orphan(service)
    wait_for("it stays a zombie", service.zombies, 10)
    check("without an init the entry of another's child stays, and the service goes on", httpx.get(f"{URL}/readyz").status_code == 200)


def leave_an_orphan(service: Service) -> None:
    """A process whose parent has ended, and which ends, too."""
    number = int(service.inside("sh", "-c", "sleep 0.1 > /dev/null 2>&1 & echo $!").stdout)
    wait_for("the orphan has ended", lambda: all(each[0] != number or each[2] == "Z" for each in service.processes()), 10)


def be_frozen(service: Service) -> None:
    """A loop that hangs is not alive."""
    process = service.main_process()
    os.kill(process, signal.SIGSTOP)
    try:
        frozen = service.engine.podman("healthcheck", "run", service.name, status=None)
    finally:
        os.kill(process, signal.SIGCONT)
    check("the health check says unhealthy of a service that hangs", frozen.returncode == 1, frozen)
    service.wait_until_ready()


def drain(service: Service, token: str) -> None:
    """`podman stop` in the middle of an import, and everything again."""
    number = service.send("large.csv", large_table(LARGE))
    wait_for("the import runs", lambda: service.record(number)["status"] == "running", 30)
    service.engine.podman("stop", "--time", "40", service.name)
    state = service.engine.inspect(service.name)["State"]
    check(
        "podman stop in the middle of an import ends it with status 0, by SIGTERM alone",
        state["ExitCode"] == 0,
        (state, service.engine.log(service.name)),
    )
    service.engine.podman("start", service.name)
    service.wait_until_ready()
    check("a second start shows no token", service.engine.log(service.name).count("shown this once") == 1)
    record = service.settled(number)
    check("what was being loaded when it stopped is whole, once", (record["status"], service.total("large")) == ("loaded", LARGE), record)
    check("what was loaded before is still there", service.total("report_of_an_erp") == 3)
    service.engine.podman("rm", "--force", "--time", "40", service.name)


def start_again(engine: Engine, token: str) -> None:
    """Another container on the same volume, with two web workers below an init."""
    shared = ("--env", "WEB_CONCURRENCY=2", "--env", "LEVELPOOL_RUNTIME_DIR=/tmp/levelpool")
    service = start(engine, "again", *HARDENED, "--volume", "data:/data", "--init", *shared)
    service.sign_in(token)
    check("another container on the same volume has the same data, with two web workers and an init", service.total("large") == LARGE)
    leave_an_orphan(service)
    wait_for("the init reaps it", lambda: not service.zombies(), 10)
    check("what nobody waits for is reaped by the init", not service.zombies())
    engine.podman("stop", "--time", "40", "again")
    state = engine.inspect("again")["State"]
    check("under an init, too, it ends with status 0", state["ExitCode"] == 0, (state, engine.log("again")))
    engine.podman("rm", "again")


def start_with_others_rights(engine: Engine, token: str) -> None:
    """Volumes that belong to somebody else."""
    folder = engine.folder / "bound"
    folder.mkdir(mode=0o755)
    done = engine.podman("run", "--rm", "--network", "none", "--volume", f"{folder}:/data", IMAGE, status=None)
    said = done.stdout + done.stderr
    check(
        "a folder of root's, bound as data, ends the start with status 2 and one sentence",
        done.returncode == 2 and "/data" in said,
        (done.returncode, said),
    )
    print(f"    {said.strip().splitlines()[-1]}", flush=True)
    # What fsGroup does: the group is that of the pod, may do all, and is handed on.
    os.chown(folder, 0, 10001)
    folder.chmod(0o2775)
    pod = start(engine, "pod", *HARDENED, "--volume", f"{folder}:/data", "--env", f"LEVELPOOL_ADMIN_TOKEN={token}")
    pod.sign_in(token)
    record = pod.settled(pod.send("again.csv", b"id;name\n01;a\n02;b\n"))
    check("a volume that is the user's by its group alone does", record["status"] == "loaded", record)
    engine.podman("rm", "--force", "--time", "40", "pod")


def use_postgresql(engine: Engine) -> None:
    """As in compose.yaml: the tables in PostgreSQL, a real one, the files on the volume."""
    token = "admin-token-of-the-container-test"
    with PostgresServer() as server:
        server.folder.chmod(0o755)
        options = ("--volume", f"{server.folder}:{server.folder}:ro", "--volume", "files:/data")
        variables = {"LEVELPOOL_DATABASE_URL": server.create_database(), "LEVELPOOL_ADMIN_TOKEN": token}
        service = start(engine, "tables", *HARDENED, *options, *(f"--env={name}={value}" for name, value in variables.items()))
        service.sign_in(token)
        record = service.settled(service.send("report_of_an_erp.xlsx", (GALLERY / "report_of_an_erp.xlsx").read_bytes()))
        check("with PostgreSQL the same workbook is loaded", (record["status"], service.total(record["dataset"])) == ("loaded", 3), record)
        engine.podman("rm", "--force", "--time", "40", "tables")


def play_the_manifest(engine: Engine) -> None:
    """The manifest for Kubernetes, started by podman: Deployment, ConfigMap, volume; probes are a cluster's business."""
    manifest = engine.folder / "levelpool.yaml"
    lines = (ROOT / "deploy" / "kubernetes" / "levelpool.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
    # podman 4.3 does not read a Secret as variables.
    manifest.write_text("".join(line for line in lines if "secretRef" not in line))
    engine.podman("kube", "play", str(manifest))
    name = "levelpool-pod-0-levelpool"

    def is_ready() -> bool:
        return engine.podman("exec", name, "levelpool", "status", status=None).returncode == 0

    wait_for("the pod is ready", is_ready, 60)
    limits = engine.inspect(name)["HostConfig"]
    capacity = json.loads(engine.podman("exec", name, "levelpool", "capacity", "--json").stdout)
    check("podman kube play starts the manifest, and its pod is ready, with a read-only root", limits["ReadonlyRootfs"], limits)
    check(
        "the pod sees the manifest's 2 GiB, and no more than its 2 CPUs",
        (capacity["memory"], capacity["cpus"] <= 2) == (2 << 30, True),
        capacity,
    )
    engine.podman("kube", "down", str(manifest))


def compose_up(engine: Engine) -> None:
    """compose.yaml by podman-compose: both services, their network, their volumes; Debian's PostgreSQL in the place of the image."""
    folder = engine.folder / "compose"
    folder.mkdir()
    shutil.copy(ROOT / "compose.yaml", folder)
    token = "admin-token-of-the-container-test"
    (folder / ".env").write_text(f"POSTGRES_PASSWORD=letters-and-1-digit\nLEVELPOOL_ADMIN_TOKEN={token}\n")
    (folder / "in-place.yaml").write_text(f"services: {{postgres: {{image: {POSTGRES_IMAGE}}}}}\n")
    (folder / "podman").write_text(f'#!/bin/sh\nexec podman {" ".join(engine.store)} "$@"\n')
    (folder / "podman").chmod(0o755)

    def compose(*arguments: str) -> None:
        command = [
            "podman-compose",
            "--podman-path",
            str(folder / "podman"),
            "-p",
            "levelpool",
            "-f",
            "compose.yaml",
            "-f",
            "in-place.yaml",
        ]
        done = subprocess.run(
            [*command, *arguments], cwd=folder, env=engine.environment, capture_output=True, text=True, check=False, timeout=300
        )
        if done.returncode:
            raise Failed(f"podman-compose {arguments[0]} ended with status {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")

    compose("up", "--no-build", "--detach")
    service = Service(engine, "levelpool_levelpool_1")
    service.sign_in(token)
    record = service.settled(service.send("report_of_an_erp.xlsx", (GALLERY / "report_of_an_erp.xlsx").read_bytes()))
    check("as compose.yaml starts them, the service loads a workbook into PostgreSQL", record["rows_loaded"] == 3, record)
    limits = engine.inspect(service.name)["HostConfig"]
    found = (limits["ReadonlyRootfs"], limits["Init"], limits["Memory"], limits["NanoCpus"])
    check("with a read-only root, an init, and limits of 2 GiB and 2 CPUs", found == (True, True, 2 << 30, 2_000_000_000), found)
    compose("down", "--volumes")


# ---------------------------------------------------------------- how it goes


@contextlib.contextmanager
def open_engine() -> Iterator[Engine]:
    folder = Path(tempfile.mkdtemp(prefix="levelpool-container-", dir="/var/tmp"))
    engine = Engine(folder)
    try:
        yield engine
    finally:
        engine.close()
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            print(f"could not be removed: {folder}", file=sys.stderr)


def main(arguments: list[str]) -> int:
    """Build, look, run; 0 when every sentence holds."""
    try:
        if arguments:
            loopback_up()
            do_the_main_job(Engine(Path(arguments[0])))
            return 0
        get_programs()
        with open_engine() as engine:
            base = os.environ.get("BASE") or make_base(engine)
            print(f"building from {base}: some minutes", flush=True)
            build(engine, base)
            build_postgres(engine, base)
            look_into(engine)
            status = subprocess.run(["unshare", "--net", sys.executable, __file__, str(engine.folder)], check=False).returncode
            if status == 0:
                print("the container does its job", flush=True)
            return status
    except Failed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    # A run that is ended from outside cleans up too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
