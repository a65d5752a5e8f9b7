"""
A real service for minutes under everything at once: `make soak MINUTES=20`, `DATABASE=postgresql` or `sqlite` for one of the two alone.

Files are uploaded, requests are cut, files are undone, replayed and corrected, others come by the inbox; workers and the service are killed,
PostgreSQL is restarted, the disk is filled. At the end all is compared with a model: each file by the hash of its content, each row by a number
that no other row has. In the second half the service itself is left alone, so that its memory and its descriptors can be seen to grow or not.

To fill a disk it mounts a small file system of its own, which takes root; without, that part is left out, and it says so.
"""

import contextlib
import csv
import hashlib
import io
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import sqlalchemy as sa
import xlsxwriter

from processes import children, is_gone
from running import ADMIN_TOKEN, RunningService, run_levelpool, start_service
from servers import NOBODY, PostgresServer

MIB = 1 << 20
DISK = 1024 * MIB
EVENT_EVERY = 12.0  # seconds between two events
SAMPLE_EVERY = 5.0
FULL_FOR = 6.0  # seconds during which the disk is full
QUIET_WITHIN = 300.0  # seconds in which everything has to end when nothing disturbs any more
MOST_GROWTH = 1.25, 24 * MIB  # of memory: so many times, and so much more
MOST_DESCRIPTORS = 12  # more at the end than at the beginning
MOST_WAL = 64 * MIB  # more at the end than at the beginning: PostgreSQL keeps segments of 16 MiB for those to come
MOST_SHOWN = 40
ANSWERS = {200, 202, 409, 499, 500, 503, 504, 507}
"""What a request may be answered while everything breaks; 500 only for a worker that died."""


# ---------------------------------------------------------------- the model


@dataclass
class Content:
    """One file that was made, and what may have become of it."""

    rows: int
    total: int  # of the numbers in its rows
    came: bool = False  # it was acknowledged, or lies in the inbox
    file_id: int | None = None
    wanted: str | None = "loaded"  # or "undone"; None: an answer was lost
    touched: bool = False  # somebody has undone or replayed it


class Model:
    """All contents by their hash, and what the service answered."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.contents: dict[str, Content] = {}
        self.answers: Counter[str] = Counter()
        self.complaints: list[str] = []
        self._next = 1

    def numbers(self, count: int) -> range:
        """So many numbers that no other row has."""
        with self.lock:
            first, self._next = self._next, self._next + count
        return range(first, first + count)

    def add(self, data: bytes, numbers: range) -> Content:
        content = Content(len(numbers), sum(numbers))
        with self.lock:
            self.contents[hashlib.sha256(data).hexdigest()] = content
        return content

    def heard(self, action: str, answer: httpx.Response | None) -> None:
        """Count an answer; one that should not be is a complaint."""
        status = answer.status_code if answer is not None else "no answer"
        with self.lock:
            self.answers[f"{action} {status}"] += 1
            if answer is None or answer.status_code in ANSWERS - {500}:
                return
            if answer.status_code == 500 and "worker_died" in answer.text:
                return
            self.complaints.append(f"{action} was answered {status}: {answer.text[:300]}")


# ---------------------------------------------------------------- the service


class Postgres(PostgresServer):
    """A server that can be restarted."""

    restarted = False

    def restart(self) -> None:
        self._control("restart")
        self.restarted = True

    def close(self) -> None:
        if self.restarted:
            self._control("stop")
        super().close()

    def _control(self, verb: str) -> None:
        user = NOBODY if os.geteuid() == 0 else None
        who = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        program = self._programs(user) / "pg_ctl"
        command = [program, "-D", self.folder / "data", "-m", "fast", "-w", "-t", "60", verb, "-l", self.folder / "restarted"]
        command = command if verb == "restart" else command[:-2]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **who)


class Running:
    """The service as it is now; it may be killed and started again."""

    def __init__(self, root: Path, settings: dict[str, str]) -> None:
        self.root = root
        self.folder = root / "var"
        self.settings = settings
        self.lock = threading.Lock()
        self.starts = 0
        self.service = self._start()

    def _start(self) -> RunningService:
        self.starts += 1
        return start_service(self.folder, **self.settings)

    def again(self, how: int) -> None:
        """End it with a signal, and start it anew."""
        with self.lock:
            process = self.service.process
            process.send_signal(how)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
            self.service.log.rename(self.root / f"log.{self.starts}")
            self.service = self._start()

    def kill(self) -> None:
        """End it, whichever process it is by now."""
        self.service.process.kill()

    @property
    def pid(self) -> int:
        return self.service.process.pid

    def request(self, method: str, path: str, **more: object) -> httpx.Response | None:
        """An answer; None when there is none."""
        try:
            with httpx.Client(base_url=self.service.url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=60) as client:
                return client.request(method, path, **more)
        except httpx.HTTPError:
            return None

    def logs(self) -> str:
        """All that it has logged."""
        return "".join(path.read_text(errors="replace") for path in [*sorted(self.root.glob("log.*")), self.service.log])

    def workers(self) -> list[int]:
        """The processes that it has started and that have started none."""
        found: list[int] = []
        waiting = [self.pid]
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            while waiting:
                pid = waiting.pop()
                below = [each for each in children(pid) if not is_gone(each)]
                waiting += below
                if not below and pid != self.pid:
                    found.append(pid)
        return found


# ---------------------------------------------------------------- who uses it


def text_file(numbers: range, chance: random.Random) -> bytes:
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(["Number", "Name", "Amount", "Day"])
    for number in numbers:
        writer.writerow([number, f"customer {chance.randrange(500)}", f"{number % 997}.25", f"2026-11-{number % 28 + 1:02d}"])
    return target.getvalue().encode()


def workbook(numbers: range, chance: random.Random) -> bytes:
    target = io.BytesIO()
    with xlsxwriter.Workbook(target, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row(0, 0, ["Number", "Name", "Amount", "Day"])
        for row, number in enumerate(numbers, 1):
            sheet.write_row(row, 0, [number, f"customer {chance.randrange(500)}", number % 997 + 0.25])
            sheet.write_number(row, 3, 46_300 + number % 28, day)
    return target.getvalue()


class Crowd:
    """The threads that use the service until they are told to stop."""

    def __init__(self, running: Running, model: Model) -> None:
        self.running = running
        self.model = model
        self.stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        steps: list[tuple[Callable[[random.Random], None], float]] = [
            (self.upload, 0.2),
            (self.upload, 0.5),
            (self.cut, 1.0),
            (self.change, 0.5),
            (self.put_in_inbox, 1.0),
            (self.look, 0.5),
        ]
        for number, (step, pause) in enumerate(steps):
            thread = threading.Thread(target=self._run, args=(step, pause, random.Random(number)), name=step.__name__)
            thread.start()
            self._threads.append(thread)

    def end(self) -> None:
        self.stopped.set()
        for thread in self._threads:
            thread.join(120)

    def _run(self, step: Callable[[random.Random], None], pause: float, chance: random.Random) -> None:
        while not self.stopped.wait(pause * 2 * chance.random()):
            try:
                step(chance)
            except Exception as error:  # noqa: BLE001  (a fault of this program must not end in silence)
                self.model.complaints.append(f"{step.__name__}: {error!r}")

    def _make(self, chance: random.Random) -> tuple[str, bytes, Content]:
        numbers = self.model.numbers(chance.choice([3, 30, 300, 300, 3000] + [20_000] * (chance.random() < 0.05)))
        is_book = chance.random() < 0.2 and len(numbers) <= 3000
        data = (workbook if is_book else text_file)(numbers, chance)
        return f"orders-{numbers.start}.{'xlsx' if is_book else 'csv'}", data, self.model.add(data, numbers)

    def upload(self, chance: random.Random) -> None:
        name, data, content = self._make(chance)
        dataset = f"soak_{chance.randrange(4)}"  # in another dataset the same content is another file
        for _ in range(1 + (chance.random() < 0.05)):  # now and then the same content comes again
            answer = self.running.request("POST", "/api/files", files={"file": (name, data)}, data={"dataset": dataset})
            self.model.heard("upload", answer)
            if answer is not None and answer.status_code == 202:
                content.came = True
                content.file_id = content.file_id or answer.json()["id"]

    def cut(self, chance: random.Random) -> None:
        """A request of which a part is sent, or all of it and nobody waits for the answer."""
        name, data, _ = self._make(chance)
        body = f'--cut\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode() + data + b"\r\n--cut--\r\n"
        head = (
            f"POST /api/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: multipart/form-data; boundary=cut\r\n\r\n"
        ).encode()
        sent = chance.choice([len(head) // 2, len(head), len(head) + len(body) // 2, len(head) + len(body)])
        url = httpx.URL(self.running.service.url)
        with contextlib.suppress(OSError), socket.create_connection((url.host, url.port), timeout=10) as connection:
            connection.sendall((head + body)[:sent])
        self.model.heard("cut", None)

    def change(self, chance: random.Random) -> None:
        """Undo a file, or load it again, sometimes with a correction."""
        with self.model.lock:
            known = [each for each in self.model.contents.values() if each.file_id is not None and each.wanted is not None]
        if not known:
            return
        content = chance.choice(known[-200:])
        action = chance.choice(["undo", "replay", "correct"])
        path = f"/api/files/{content.file_id}/{'undo' if action == 'undo' else 'replay'}"
        body = {"options": {"header": 0}} if action == "correct" else None
        content.touched = True
        answer = self.running.request("POST", path, **({} if body is None else {"json": body}))
        self.model.heard(action, answer)
        if answer is None or answer.status_code >= 500:
            content.wanted = None
        elif answer.status_code == 200:
            content.wanted = "undone" if action == "undo" else "loaded" if answer.json()["status"] == "loaded" else None

    def put_in_inbox(self, chance: random.Random) -> None:
        _, data, content = self._make(chance)
        inbox = self.running.folder / "inbox"
        name = f"stock {content.total}{'.xlsx' if data.startswith(b'PK') else '.csv'}"
        unfinished = self.running.root / "unfinished"
        unfinished.write_bytes(data)
        try:
            inbox.mkdir(exist_ok=True)
            (inbox / f".{name}.part").write_bytes(data)
            (inbox / f".{name}.part").rename(inbox / name)
        except OSError:  # the disk is full
            with contextlib.suppress(OSError):
                (inbox / f".{name}.part").unlink(missing_ok=True)
            return
        content.came = True

    def look(self, chance: random.Random) -> None:
        path = chance.choice(["/api/files?limit=50", "/api/datasets", "/readyz", "/livez", "/metrics"])
        answer = self.running.request("GET", path)
        self.model.heard(f"look {path}", answer)


# ---------------------------------------------------------------- what goes wrong


@dataclass
class Chaos:
    """What is done to the service, in turn."""

    running: Running
    postgres: Postgres | None
    has_disk: bool
    done: Counter[str] = field(default_factory=Counter)

    def events(self, *, gently: bool) -> list[Callable[[], None]]:
        found: list[Callable[[], None]] = [self.kill_worker]
        if self.postgres:
            found.append(self.restart_postgres)
        if self.has_disk:
            found.append(self.fill_disk)
        found.append(self.kill_worker)
        return found if gently else [self.kill_service, *found, self.stop_service]

    def kill_worker(self) -> None:
        for pid in self.running.workers()[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill_service(self) -> None:
        self.running.again(signal.SIGKILL)

    def stop_service(self) -> None:
        self.running.again(signal.SIGTERM)

    def restart_postgres(self) -> None:
        assert self.postgres is not None
        self.postgres.restart()

    def fill_disk(self) -> None:
        ballast = self.running.folder / "ballast"
        try:
            with ballast.open("wb") as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(MIB // 4))
                    file.flush()
            time.sleep(FULL_FOR)
        finally:
            ballast.unlink(missing_ok=True)

    def do(self, event: Callable[[], None]) -> None:
        event()
        self.done[event.__name__] += 1


# ---------------------------------------------------------------- what grows


@dataclass(frozen=True)
class Sample:
    memory: int
    descriptors: int
    wal: int
    entries: int  # in the folders of working files


class Growth:
    """Samples of the service's main process and its folders."""

    def __init__(self, running: Running, postgres: Postgres | None) -> None:
        self.running = running
        self.postgres = postgres
        self.samples: list[Sample] = []

    def take(self) -> None:
        proc = Path(f"/proc/{self.running.pid}")
        memory = next(int(line.split()[1]) * 1024 for line in (proc / "status").read_text().splitlines() if line.startswith("VmRSS"))
        self.samples.append(Sample(memory, len(list((proc / "fd").iterdir())), self.wal(), len(self.left())))

    def wal(self) -> int:
        """Bytes of the write-ahead log of the database."""
        if self.postgres:
            return _size(self.postgres.folder / "data" / "pg_wal")
        return sum(path.stat().st_size for path in self.running.folder.glob("*.sqlite-wal"))

    def left(self) -> list[Path]:
        """The working files."""
        folders = (self.running.folder / "work", self.running.folder / "uploads")
        return [path for folder in folders if folder.is_dir() for path in folder.iterdir()]

    def complaints(self) -> Iterator[str]:
        """What has grown from the first fifth of the samples to the last one."""
        fifth = max(1, len(self.samples) // 5)
        first, last = self.samples[:fifth], self.samples[-fifth:]
        for name in ("memory", "descriptors", "wal", "entries"):
            before, after = (statistics.median(getattr(each, name) for each in some) for some in (first, last))
            most = max(getattr(each, name) for each in self.samples)
            print(f"  {name}: {before:,.0f} at first, {after:,.0f} at last, {most:,.0f} at most")
            times, more = MOST_GROWTH
            if name == "memory" and after > before * times + more:
                yield f"memory has grown from {before:,.0f} to {after:,.0f} bytes"
            if name == "descriptors" and after > before + MOST_DESCRIPTORS:
                yield f"descriptors have grown from {before} to {after}"
            if name == "wal" and after > before + MOST_WAL:
                yield f"the write-ahead log has grown from {before:,.0f} to {after:,.0f} bytes"


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


# ---------------------------------------------------------------- the end


def all_files(running: Running) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    while True:
        answer = running.request("GET", f"/api/files?limit=1000&offset={len(found)}")
        assert answer is not None and answer.status_code == 200, answer
        page = answer.json()["files"]
        found += page
        if not page:
            return found


def wait_until_quiet(running: Running, model: Model) -> list[dict[str, object]]:
    """The records of all files, when the inbox was looked into and nothing runs or waits."""
    deadline = time.monotonic() + QUIET_WITHIN
    while True:
        running.request("POST", "/api/sync")
        records = all_files(running)
        open_ = [each for each in records if each["status"] in {"pending", "running"}]
        known = {each["sha256"] for each in records}
        missing = [sha for sha, content in model.contents.items() if content.came and sha not in known]
        if not open_ and not missing:
            return records
        if time.monotonic() > deadline:
            model.complaints += [f"file {each['id']} ({each['name']}) is still {each['status']}" for each in open_[:20]]
            model.complaints += [f"the content {sha} came and is in no record" for sha in missing[:20]]
            return records
        time.sleep(1.0)


def replay_failed(running: Running, model: Model, records: list[dict[str, object]]) -> Counter[str]:
    """Load once more what has failed under the blows, as a person would; returns why it had."""
    why: Counter[str] = Counter()
    there = {record["sha256"] for record in records if record["status"] == "loaded"}
    for record in records:
        if record["status"] == "failed" and record["sha256"] in there:
            why["came again since"] += 1
        elif record["status"] == "failed":
            why[str(record["error_code"])] += 1
            answer = running.request("POST", f"/api/files/{record['id']}/replay")
            if answer is None or answer.status_code != 200 or answer.json()["status"] != "loaded":
                told = "no answer" if answer is None else answer.text[:300]
                model.complaints.append(
                    f"file {record['id']} had failed ({record['error_code']}: {record['error']}) and does not load: {told}"
                )
    return why


def compare(model: Model, records: list[dict[str, object]], database: str) -> None:
    """Each content against the ledger, and the rows that really are in the tables."""
    there = rows_of_files(database)
    by_hash: dict[str, list[dict[str, object]]] = {}
    for record in records:
        by_hash.setdefault(str(record["sha256"]), []).append(record)
    for sha in by_hash.keys() - model.contents.keys():
        model.complaints.append(f"nobody made the content of file {by_hash[sha][0]['id']}")
    for sha, content in model.contents.items():
        own = [each for each in by_hash.get(sha, []) if each["status"] != "duplicate"]
        found = [there.pop(int(str(each["id"])), (0, 0)) for each in own]
        rows, total = sum(count for count, _ in found), sum(numbers for _, numbers in found)
        states = {each["status"] for each in own}
        if "loaded" in states:
            states.discard("failed")  # the same content came again, and took its place
        if content.came and not own:
            model.complaints.append(f"the content {sha} came and is gone")
        if not states <= {"loaded", "undone"}:
            model.complaints.append(f"the files {[each['id'] for each in own]} are {states}")
        if content.wanted is not None and own and content.wanted not in states:
            model.complaints.append(f"file {own[0]['id']} should be {content.wanted} and is {states}")
        expected = (content.rows, content.total) if "loaded" in states else (0, 0)
        if (rows, total) != expected:
            model.complaints.append(f"the files {[each['id'] for each in own]} have rows and sum {(rows, total)} instead of {expected}")
    model.complaints += [f"the tables hold rows of file {file_id}, which should have none" for file_id in there]


def rows_of_files(database: str) -> dict[int, tuple[int, int]]:
    """Rows, and the sum of their numbers, by file; read from the tables themselves."""
    engine = sa.create_engine(database.replace("postgresql://", "postgresql+psycopg://"))
    found: dict[int, tuple[int, int]] = {}
    with engine.connect() as connection:
        looked = sa.inspect(connection)
        tables = [name for name in looked.get_table_names() if "_file_id" in {column["name"] for column in looked.get_columns(name)}]
        for table in tables:
            statement = f'SELECT _file_id, count(*), sum(number) FROM "{table}" GROUP BY _file_id'
            for file_id, count, total in connection.execute(sa.text(statement)):
                assert file_id not in found, f"file {file_id} has rows in two tables"
                found[file_id] = (count, int(total))
    engine.dispose()
    return found


# ---------------------------------------------------------------- one run


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A small file system of our own at *folder*; whether there is one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    is_there = os.geteuid() == 0 and subprocess.run(command, check=False).returncode == 0
    try:
        yield is_there
    finally:
        if is_there:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def soak(name: str, seconds: float) -> int:
    """One database for so many seconds; returns how many complaints there are."""
    print(f"--- {name}, {seconds / 60:.1f} minutes", flush=True)
    with contextlib.ExitStack() as opened:
        root = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="levelpool-soak-", ignore_cleanup_errors=True)))
        has_disk = opened.enter_context(small_disk(root / "var"))
        if not has_disk:
            print("  no root, no file system of our own: the disk is not filled")
        postgres = opened.enter_context(Postgres()) if name == "postgresql" else None
        database = postgres.create_database() if postgres else f"sqlite:///{root / 'var' / 'levelpool.sqlite'}"
        settings = {"LEVELPOOL_DATABASE_URL": database, "CPU_EXECUTOR_WORKERS": "2"}
        running = Running(root, settings)
        opened.callback(running.kill)
        model, growth = Model(), Growth(running, postgres)
        chaos = Chaos(running, postgres, has_disk)
        crowd = Crowd(running, model)
        crowd.begin()
        try:
            disturb(chaos, growth, seconds)
        finally:
            crowd.end()
        return conclude(running, model, growth, chaos, database)


def disturb(chaos: Chaos, growth: Growth, seconds: float) -> None:
    """Event after event; samples only in the second half, in which one process lives on."""
    begun = time.monotonic()
    turn = 0
    next_event, next_sample = begun + EVENT_EVERY, begun + seconds / 2 + SAMPLE_EVERY
    while (now := time.monotonic()) < begun + seconds:
        if now >= next_event:
            events = chaos.events(gently=now > begun + seconds / 2)
            chaos.do(events[turn % len(events)])
            turn += 1
            next_event = time.monotonic() + EVENT_EVERY
        if now >= next_sample:
            growth.take()
            next_sample = now + SAMPLE_EVERY
        time.sleep(0.2)


def conclude(running: Running, model: Model, growth: Growth, chaos: Chaos, database: str) -> int:
    """Everything ends, and is compared with the model."""
    records = wait_until_quiet(running, model)
    ready = running.request("GET", "/readyz")
    if ready is None or ready.status_code != 200:
        model.complaints.append(f"the service is not ready at the end: {ready.text if ready else 'no answer'}")
    failed = replay_failed(running, model, records)
    records = wait_until_quiet(running, model)
    running.again(signal.SIGTERM)
    running.service.stop(signal.SIGTERM)
    compare(model, records, database)
    left = growth.left()
    model.complaints += [f"{path} is left over" for path in left]
    verified = run_levelpool("verify", data_dir=running.folder, timeout=600, **running.settings)
    if verified.returncode:
        model.complaints.append(f"levelpool verify: {verified.stdout[-2000:]}{verified.stderr[-1000:]}")
    log = running.logs()
    if "Traceback" in log:
        at = log.index("Traceback")
        model.complaints.append(f"{log.count('Traceback')} tracebacks in the log, first: {log[max(0, at - 500) : at + 2500]}")
    states = Counter(str(each["status"]) for each in records)
    print(f"  files by status: {dict(states)}; failed on the way and replayed: {dict(failed)}")
    print(f"  rows: {sum(each.rows for each in model.contents.values()):,} made in {len(model.contents):,} files")
    print(f"  events: {dict(chaos.done)}; starts of the service: {running.starts}")
    print(f"  answers: {dict(sorted(model.answers.items()))}")
    print(f"  log: {len(log.splitlines()):,} lines")
    model.complaints += growth.complaints()
    for complaint in model.complaints[:MOST_SHOWN]:
        print(f"  WRONG {complaint}")
    print(f"  {len(model.complaints)} complaints", flush=True)
    return len(model.complaints)


def main(minutes: float, names: list[str]) -> int:
    """The minutes are shared by the databases."""
    return sum(soak(name, 60 * minutes / len(names)) for name in names)


if __name__ == "__main__":
    wanted = os.environ.get("DATABASE") or "sqlite postgresql"
    sys.exit(main(float(os.environ.get("MINUTES") or 20), wanted.split()) > 0)
