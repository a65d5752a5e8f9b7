"""
Every environment variable, with its default and its sentence.

Settings are read at a door (the command line, the service, the runtime, or a call of the library that was handed none), and walk on as plain
arguments. Who opens a door in a program of its own reads only what it uses.
A field that is None means "as the container allows": `levelpool.sizing` fills it.
"""

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from levelpool.errors import SettingsError

T = TypeVar("T")
MIB = 1 << 20
_SCHEDULER_ADDRESS = re.compile(r"(tcp|tls|ws|wss)://\S+:\d+")
# A SQLite database in memory would be another one in each worker process.
_DATABASE_URL = re.compile(r"postgres(ql)?(\+\w+)?://.|sqlite(\+\w+)?:///(?!:memory:).")


@dataclass(frozen=True, slots=True)
class Variable:
    """What a reference page says about one environment variable."""

    name: str
    default: str
    sentence: str
    allowed: str


@dataclass(frozen=True, slots=True)
class _Kind:
    """How the text of a variable becomes a value, and which words say what is allowed."""

    parse: Callable[[str], object]
    allowed: str


def _whole(least: int, most: int | None = None) -> _Kind:
    def parse(text: str) -> int:
        value = int(text)
        if value < least or (most is not None and value > most):
            raise ValueError
        return value

    return _Kind(parse, f"a whole number from {least}" + (f" to {most}" if most is not None else " on"))


def _number(least: float, most: float | None = None) -> _Kind:
    def parse(text: str) -> float:
        value = float(text)
        if not value >= least or value == float("inf") or (most is not None and value > most):
            raise ValueError
        return value

    return _Kind(parse, f"a number from {least:g}" + (f" to {most:g}" if most is not None else " on"))


def _one_of(*words: str) -> _Kind:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError
        return text

    return _Kind(parse, " or ".join(words))


def _parse_switch(text: str) -> bool:
    return {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}[text.lower()]


def _parse_words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _parse_database_url(text: str) -> str:
    if not _DATABASE_URL.match(text):
        raise ValueError
    return text


def _parse_scheduler(text: str) -> str:
    if not _SCHEDULER_ADDRESS.fullmatch(text):
        raise ValueError
    return text


def _parse_token(text: str) -> str:
    if len(text) < 32:
        raise ValueError
    return text


_SWITCH = _Kind(_parse_switch, "true or false")
_TEXT = _Kind(str, "any text")
_WORDS = _Kind(_parse_words, "words separated by blanks")
_PATH = _Kind(Path, "a path")
_DATABASE = _Kind(_parse_database_url, "a postgresql:// or sqlite:///file URL")
_SCHEDULER = _Kind(_parse_scheduler, "an address like tcp://host:8786")
_TOKEN = _Kind(_parse_token, "at least 32 characters")


def _variable(name: str, kind: _Kind, default: T, sentence: str, *, shown: str | None = None) -> T:
    """A field that is read from the environment variable *name*; *shown* is its default in words, where the value does not say it."""
    return field(default=default, metadata={"variable": name, "kind": kind, "sentence": sentence, "shown": shown})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one process; `Settings.read()` takes them from the environment."""

    # the executor
    cpu_executor_workers: int | None = _variable(
        "CPU_EXECUTOR_WORKERS", _whole(1), None, "Most worker processes of this host.", shown="max(1, floor(cpus) - 1)"
    )
    io_executor_workers: int | None = _variable(
        "IO_EXECUTOR_WORKERS",
        _whole(1),
        None,
        "Threads for blocking I/O, divided among the web workers.",
        shown="min(floor(cpus * 5), 20), at least 2",
    )
    cpu_queue_limit: int = _variable(
        "LEVELPOOL_CPU_QUEUE_LIMIT", _whole(1), 1000, "Most calls that wait for a worker process; one more waits for a place or is refused."
    )
    worker_memory_limit: int | None = _variable(
        "LEVELPOOL_WORKER_MEMORY_LIMIT",
        _whole(64 * MIB),
        None,
        "Most bytes of resident memory of one worker process; a call that needs more is ended.",
        shown="half of what the container allows, divided by the workers",
    )
    worker_idle_timeout: float = _variable(
        "LEVELPOOL_WORKER_IDLE_TIMEOUT", _number(0), 30.0, "Seconds after which an idle worker process ends."
    )
    worker_max_tasks: int | None = _variable(
        "LEVELPOOL_WORKER_MAX_TASKS", _whole(1), None, "Calls after which a worker process is replaced.", shown="no limit"
    )
    worker_variables: tuple[str, ...] = _variable(
        "LEVELPOOL_WORKER_VARIABLES",
        _WORDS,
        (),
        "Environment variables that reach worker processes although they look like secrets, by name or pattern (*); with a minus before it, one that does not.",
        shown="none",
    )
    shutdown_timeout: float = _variable(
        "LEVELPOOL_SHUTDOWN_TIMEOUT", _number(0), 30.0, "Seconds that running calls have to finish when the service stops."
    )
    give_way: bool = _variable(
        "LEVELPOOL_GIVE_WAY",
        _SWITCH,
        True,
        "Whether fewer worker processes run while the container is throttled, for the event loop's sake.",
    )
    cpu_backend: str = _variable(
        "LEVELPOOL_CPU_BACKEND",
        _one_of("process", "dask"),
        "process",
        "Where the CPU lane runs: worker processes on this host, or a Dask cluster.",
    )
    dask_scheduler: str | None = _variable("LEVELPOOL_DASK_SCHEDULER", _SCHEDULER, None, "The scheduler of that cluster.", shown="none")

    # the database
    db_pool_size: int | None = _variable(
        "DB_POOL_SIZE",
        _whole(1),
        None,
        "Connections that a pool keeps.",
        shown="production: min(30, max(5, 2*floor(cpus) - 2)); development: 5",
    )
    db_max_overflow: int | None = _variable(
        "DB_MAX_OVERFLOW",
        _whole(0),
        None,
        "Connections that a pool may open beyond that.",
        shown="production: min(20, max(5, floor(cpus) + 4)); development: 5",
    )
    pooler_connections: int = _variable(
        "LEVELPOOL_POOLER_CONNECTIONS",
        _whole(1),
        20,
        "Connections to the server that a pooler such as PgBouncer has for our user and database (its default_pool_size); counts only behind one.",
    )
    database_url: str | None = _variable(
        "LEVELPOOL_DATABASE_URL", _DATABASE, None, "Any postgresql:// or sqlite:/// URL.", shown="levelpool.sqlite under LEVELPOOL_DATA_DIR"
    )

    # monitoring and alerts
    monitor_enabled: bool = _variable("RESOURCE_MONITOR_ENABLED", _SWITCH, True, "Whether resources are checked for alerts.")
    monitor_interval: float = _variable("RESOURCE_MONITOR_CHECK_INTERVAL", _number(0.1), 60.0, "Seconds between two alert checks.")
    monitor_cpu_threshold: float = _variable(
        "RESOURCE_MONITOR_CPU_THRESHOLD",
        _number(0, 100),
        80.0,
        "CPU use in percent of what the container allows, above which an alert is raised.",
    )
    monitor_memory_threshold: float = _variable(
        "RESOURCE_MONITOR_MEMORY_THRESHOLD",
        _number(0, 100),
        85.0,
        "Memory use in percent of what the container allows, above which an alert is raised.",
    )
    alert_urls: tuple[str, ...] = _variable(
        "LEVELPOOL_ALERT_URLS", _WORDS, (), "Apprise URLs, separated by blanks: mail, SMS, chat, webhook.", shown="none"
    )
    loop_lag_threshold: float = _variable(
        "LEVELPOOL_LOOP_LAG_THRESHOLD",
        _number(0.001, 3600),
        0.1,
        "Seconds; a block of the event loop longer than this is reported with its stack.",
    )

    # the service
    environment: str = _variable("LEVELPOOL_ENV", _one_of("development", "production"), "development", "Which defaults hold.")
    web_concurrency: int = _variable("WEB_CONCURRENCY", _whole(1, 256), 1, "Number of web workers on this host.")
    data_dir: Path = _variable(
        "LEVELPOOL_DATA_DIR", _PATH, Path("var"), "Folder of the kept originals, the SQLite file and the runtime files."
    )
    inbox: Path | None = _variable(
        "LEVELPOOL_INBOX", _PATH, None, "Folder that is watched for files.", shown="inbox under LEVELPOOL_DATA_DIR"
    )
    runtime_dir: Path | None = _variable(
        "LEVELPOOL_RUNTIME_DIR", _PATH, None, "Private folder that the web workers of one host share.", shown="run under LEVELPOOL_DATA_DIR"
    )
    host: str = _variable("LEVELPOOL_HOST", _TEXT, "127.0.0.1", "Address the service listens on.")
    port: int = _variable("LEVELPOOL_PORT", _whole(0, 65535), 8000, "Port the service listens on; 0 takes any free one.")
    admin_token: str | None = _variable(
        "LEVELPOOL_ADMIN_TOKEN", _TOKEN, None, "Admin token; stored only as a hash.", shown="made and shown once at the first start"
    )
    url: str | None = _variable(
        "LEVELPOOL_URL", _TEXT, None, "The service that `levelpool status` and `top` ask.", shown="http://127.0.0.1:LEVELPOOL_PORT"
    )
    token: str | None = _variable("LEVELPOOL_TOKEN", _TEXT, None, "The token that `levelpool status` and `top` use.", shown="none")
    keep_files_days: int | None = _variable(
        "LEVELPOOL_KEEP_FILES_DAYS",
        _whole(1, 36_500),
        None,
        "Days after which the kept original of a file is removed.",
        shown="kept for good",
    )

    share_files_from: int = _variable(
        "LEVELPOOL_SHARE_FILES_FROM",
        _whole(0),
        8 * MIB,
        "Bytes from which a file is taken in by two worker processes while one is idle; 0: never.",
    )

    # what a file may be
    max_upload_bytes: int = _variable("LEVELPOOL_MAX_UPLOAD_BYTES", _whole(1), 256 * MIB, "Most bytes of one file.")
    max_inflated_bytes: int = _variable(
        "LEVELPOOL_MAX_INFLATED_BYTES", _whole(1), 4096 * MIB, "Most bytes that all parts of a zipped workbook unpack to."
    )
    max_inflate_ratio: float = _variable(
        "LEVELPOOL_MAX_INFLATE_RATIO", _number(1), 400.0, "Most times its own size that a workbook unpacks to, counted from 64 MiB on."
    )
    max_zip_entries: int = _variable("LEVELPOOL_MAX_ZIP_ENTRIES", _whole(1), 10_000, "Most parts of a zipped workbook.")
    max_cell_characters: int = _variable(
        "LEVELPOOL_MAX_CELL_CHARACTERS", _whole(1), 1 * MIB, "Most characters of one text, and of one piece of markup."
    )
    max_string_bytes: int = _variable(
        "LEVELPOOL_MAX_STRING_BYTES", _whole(1), 256 * MIB, "Most bytes of text that the cells of a workbook share."
    )
    max_cells: int = _variable(
        "LEVELPOOL_MAX_CELLS", _whole(1), 50_000_000, "Most cells of one file, counting the blanks to the left of a cell."
    )
    max_columns: int = _variable("LEVELPOOL_MAX_COLUMNS", _whole(1), 16_384, "Most columns of a sheet.")
    max_merges: int = _variable("LEVELPOOL_MAX_MERGES", _whole(1), 100_000, "Most merged areas of one file.")
    max_spool_bytes: int = _variable(
        "LEVELPOOL_MAX_SPOOL_BYTES", _whole(1), 8192 * MIB, "Most bytes on disk for the cells and rows of one file while it is taken in."
    )
    max_key_rounds: int = _variable(
        "LEVELPOOL_MAX_KEY_ROUNDS",
        _whole(1),
        1_000_000,
        "Most rounds in which a file's password is made a key; of Argon2id passes times KiB.",
    )
    max_key_memory: int = _variable(
        "LEVELPOOL_MAX_KEY_MEMORY", _whole(1), 128 * MIB, "Most bytes of memory with which a file's password is made a key."
    )
    max_read_seconds: float = _variable("LEVELPOOL_MAX_READ_SECONDS", _number(0.1), 900.0, "Most seconds that reading one file may take.")

    @classmethod
    def read(cls, environ: Mapping[str, str] | None = None, *, only: Collection[str] | None = None) -> "Settings":
        """
        The settings of *environ* (default: this process's environment); a variable that is empty counts as not set.

        With *only*, names of fields, the variables of all other fields are not looked at, whatever they hold: those fields keep their defaults.
        Raises `SettingsError` with one line that names the variable, its value and what is allowed.
        """
        source = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for each in fields(cls):
            if only is not None and each.name not in only:
                continue
            text = source.get(each.metadata["variable"], "").strip()
            if text:
                values[each.name] = _parse(each, text)
        settings = cls(**values)
        if settings.cpu_backend == "dask" and settings.dask_scheduler is None:
            raise SettingsError(
                "LEVELPOOL_CPU_BACKEND is 'dask', and LEVELPOOL_DASK_SCHEDULER is not set: it must be an address like tcp://host:8786"
            )
        return settings

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'levelpool.sqlite'}"

    @property
    def inbox_folder(self) -> Path:
        """The watched folder."""
        return self.inbox or self.data_dir / "inbox"

    @property
    def runtime_folder(self) -> Path | None:
        """The folder that the web workers of this host share; None where there is one alone, and nobody named a folder."""
        return None if self.web_concurrency == 1 and self.runtime_dir is None else self.runtime_dir or self.data_dir / "run"

    def why(self, name: str) -> str:
        """What decides the setting *name*: the variable that is set, or the rule where it is not."""
        each = next(each for each in fields(self) if each.name == name)
        rule: str = each.metadata["shown"] or _show(each.default)
        return rule if getattr(self, name) == each.default else f"set by {each.metadata['variable']}"

    @classmethod
    def variables(cls) -> tuple[Variable, ...]:
        """All variables, in the order of this page, for the reference and for `levelpool serve --help`."""
        return tuple(
            Variable(
                name=each.metadata["variable"],
                default=each.metadata["shown"] or _show(each.default),
                sentence=each.metadata["sentence"],
                allowed=each.metadata["kind"].allowed,
            )
            for each in fields(cls)
        )


def _show(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def _parse(each: "Field[Any]", text: str) -> object:
    kind: _Kind = each.metadata["kind"]
    try:
        return kind.parse(text)
    except (ValueError, KeyError):
        name = each.metadata["variable"]
        raise SettingsError(f"{name} is {_shown(kind, text)}: it must be {kind.allowed}") from None


def _shown(kind: _Kind, text: str) -> str:
    """The value, without what may be a secret: a token even when it is too short, a password anywhere in a URL."""
    if kind is _TOKEN:
        return f"{len(text)} characters long"
    scheme, colon, _ = text.partition(":")
    return repr(f"{scheme}:...") if kind is _DATABASE and colon else repr(text)
