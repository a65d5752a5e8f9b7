"""Layers, where outside libraries are imported, and public names, held against the imports as they are."""

import ast
import functools
import re
from pathlib import Path

import grimp
import pytest
from importlinter.api import use_cases as importlinter

SRC = Path(__file__).parents[2] / "src" / "levelpool"
MODULES = sorted(SRC.rglob("*.py"))

DOORS = {
    "aiosqlite": {"database.py"},
    "alembic": {"ingest/migrations"},
    "apprise": {"alerts/channels.py"},
    "cryptography": {"sheets/read/encrypted_ods.py"},
    "dask": {"lanes/distributed.py"},
    "distributed": {"lanes/distributed.py"},
    "jinja2": {"service/render.py"},
    "lxml": {"sheets/read"},
    "msoffcrypto": {"sheets/read/encrypted_office.py"},
    "olefile": {"sheets/read/encrypted_office.py"},
    "opentelemetry": {"lanes/spans.py"},
    "pandas": {"sheets/frames.py"},
    "polars": {"sheets/frames.py"},
    "prometheus_client": {"monitoring/metrics.py"},
    "psutil": {"monitoring/resources.py"},
    "psycopg": {"database.py", "ingest/load/postgresql.py"},
    "pyarrow": {"sheets/frames.py", "sheets/read/columnar.py"},  # what we give out, and files
    "python_calamine": {"sheets/read"},
    "python_multipart": {"service/uploads.py"},
    "rapidfuzz": {"ingest/drift/renames.py"},
    "rich": {"service/terminal.py"},
    "uvicorn": {"service/patience.py", "service/server.py"},
    "xlrd": {"sheets/read"},
}
"""An outside library, and the one file (or the one room) that may import it."""

LANES_ONLY = re.compile(r"ProcessPoolExecutor|run_in_executor\(\s*None|asyncio\.to_thread|anyio\.to_thread|run_in_threadpool")


def test_imports_point_downstairs_and_make_no_circle(monkeypatch):
    """Every contract of pyproject.toml holds: layers, no circles, the library without the service."""
    monkeypatch.chdir(SRC.parents[1])

    assert importlinter.lint_imports(config_filename="pyproject.toml", is_debug_mode=False, cache_dir=None)


@functools.cache
def _graph() -> grimp.ImportGraph:
    """Who imports whom, outside libraries too; built once for all of them."""
    return grimp.build_graph("levelpool", include_external_packages=True, cache_dir=None)


@pytest.mark.parametrize("library", sorted(DOORS))
def test_outside_library_has_one_door(library):
    """An outside library is imported behind its own door only, so that it can be replaced there."""
    graph = _graph()
    importers = graph.find_modules_that_directly_import(library) if library in graph.modules else set()
    files = {name.replace(".", "/").removeprefix("levelpool/") + ".py" for name in importers}

    strangers = {
        file for file in files if not any(file == door or file.startswith(f"{door}/") or file == f"{door}.py" for door in DOORS[library])
    }

    assert not strangers


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_no_room_imports_a_face(path):
    """A package's list of public names is for users; a module that imported it would load all of the package."""
    faces = {"levelpool", "levelpool.sheets", "levelpool.ingest", "levelpool.monitoring", "levelpool.web", "levelpool.alerts"}
    tree = ast.parse(path.read_text(encoding="utf-8"))

    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}

    assert not imported & faces


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_imports_are_absolute(path):
    """A reader sees from the line alone where a name comes from."""
    tree = ast.parse(path.read_text(encoding="utf-8"))

    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_work_runs_in_a_lane_and_nowhere_else(path):
    """No pool of somebody else's, and no default executor: what is not in a lane is neither bounded nor counted."""
    if path.relative_to(SRC).parts[0] == "lanes":
        return

    assert not LANES_ONLY.search(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_file_opens_by_saying_what_lives_in_it(path):
    """Every file begins with a docstring."""
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


READS_SETTINGS = {
    "cli.py",  # the command line
    "service/app.py",  # an ASGI server's own process
    "runtime.py",  # a program that hands no settings in
    "executor/default.py",  # the process-wide manager
    "database.py",  # an engine without sizes; the variables of its pool only
    "ingest/session.py",  # a program's service; the variables of what it left open only
}
"""The doors: who may call `Settings.read`. All others are handed what they need."""

READS_ENVIRONMENT = {
    "settings.py",
    "cli.py",  # LEVELPOOL_DEBUG and LEVELPOOL_FILE_PASSWORD, which are no settings of a process
    "service/server.py",  # says WEB_CONCURRENCY to the web workers that it starts
    "lanes/process/fork_server_supervisor.py",  # a worker process gets a copy, without secrets
    "lanes/process/program_state.py",  # that process, which takes the copy over
    "lanes/distributed.py",  # the same, on a cluster
}
"""Who may touch `os.environ`."""


def _users_of(*attributes: tuple[str, str]) -> set[str]:
    """The files with an expression such as `Settings.read`; a docstring does not count."""
    return {
        str(path.relative_to(SRC))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.value.id, node.attr) in attributes
    }


def test_settings_are_read_at_the_doors():
    """A variable that has nothing to do with a room cannot make it fail, and a caller's settings hold all the way down."""
    assert _users_of(("Settings", "read")) == READS_SETTINGS


def test_nobody_looks_at_the_environment_behind_the_doors():
    """What is set from outside comes in as an argument."""
    assert _users_of(("os", "environ"), ("os", "environb"), ("os", "getenv"), ("os", "getenvb"), ("os", "putenv")) == READS_ENVIRONMENT
    assert not [path for path in MODULES if re.search(r"from os import .*\b(environ|getenv)", path.read_text(encoding="utf-8"))]


PAGE = SRC.parents[1] / "docs" / "explanation" / "architecture.md"


def test_every_file_that_the_architecture_names_is_there():
    """The journeys, and where something is added: a reader opens these files first."""
    named = set(re.findall(r"`([a-z_/]+(?:\.py|/))`", PAGE.read_text(encoding="utf-8")))

    assert len(named) > 40
    assert not [name for name in named if not (SRC / name).exists()]


def test_the_picture_of_the_layers_has_every_part():
    """All packages and modules directly below levelpool stand in it, but for those that only start the program or tell its version."""
    picture = PAGE.read_text(encoding="utf-8").split("```")[1]
    parts = {
        path.name + ("/" if path.is_dir() else "") for path in SRC.iterdir() if path.name.strip("_") and not path.name.startswith("__")
    }

    assert not [part for part in parts - {"_version.py", "py.typed"} if part not in picture]


def test_the_logger_of_a_module_is_called_logger():
    """One spelling everywhere."""
    spelling = re.compile(r"^(\w+) = logging\.getLogger\(__name__\)", re.MULTILINE)
    others = {str(path.relative_to(SRC)) for path in MODULES if set(spelling.findall(path.read_text(encoding="utf-8"))) - {"logger"}}

    assert not others


BASES = {"ingest/load/target.py: Target"}
"""Classes that others inherit from across files all the same: a kind of database is a file that says what differs from the common statements."""


def test_no_class_inherits_code_from_another_file():
    """What a class does stands in its own file: it holds others, and inherits nothing but protocols without bodies, exceptions, and what outside libraries want."""
    classes = {(path, node.name): node for path, tree in _trees().items() for node in tree.body if isinstance(node, ast.ClassDef)}

    heirs = []
    for (path, name), node in classes.items():
        imported = _imported_classes(_trees()[path])
        for base in node.bases:
            root = base.value if isinstance(base, ast.Subscript) else base
            origin = imported.get(root.id) if isinstance(root, ast.Name) else None
            if origin in classes and not _is_bodiless(classes[origin]) and not _is_exception(origin, classes):
                where = f"{origin[0].relative_to(SRC)}: {origin[1]}"
                if where not in BASES:
                    heirs.append(f"{path.relative_to(SRC)}: {name}, which inherits from {where}")

    assert not heirs


@functools.cache
def _trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}


def _imported_classes(tree: ast.Module) -> dict[str, tuple[Path, str]]:
    """The local names of what is imported from files of ours: the file and the name there."""
    return {
        alias.asname or alias.name: (SRC.parent / (node.module.replace(".", "/") + ".py"), alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("levelpool.")
        for alias in node.names
    }


def _is_bodiless(node: ast.ClassDef) -> bool:
    """Whether a class says what others do, and does nothing itself."""
    methods = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    is_protocol = any("Protocol" in ast.unparse(base) for base in node.bases)
    return is_protocol and all(isinstance(each.body[-1], ast.Expr) and ast.unparse(each.body[-1]) == "..." for each in methods)


def _is_exception(origin: tuple[Path, str], classes: dict[tuple[Path, str], ast.ClassDef]) -> bool:
    node = classes[origin]
    bases = {ast.unparse(base) for base in node.bases}
    imported = _imported_classes(_trees()[origin[0]])
    return any(
        base in {"Exception", "ValueError", "RuntimeError", "OSError", "TimeoutError", "LookupError"}
        or ((origin[0], base) in classes and _is_exception((origin[0], base), classes))
        or (imported.get(base) in classes and _is_exception(imported[base], classes))
        for base in bases
    )


OF_ONE_CALL = {
    "alerts/outbox.py": {"Outbox.flush"},
    "connections/pool.py": {"WatchedAsyncPool._begin_to_drop"},
    "helper_worker.py": {"helper_worker", "_HelperWorker._run", "_HelperWorker._let_go"},
    "ingest/background.py": {"BackgroundWorker.run_apart"},
    "ingest/runner.py": {"Runner._claim", "Runner.ingest"},
    "ingest/session.py": {"to_the_end"},
    # The lane's own loop; what keeps it to its cluster tries again whatever happens, and says so as the lane's trouble.
    "lanes/distributed.py": {"DaskCluster.open", "DaskCluster.send", "ChildProcesses.perform"},
    "lanes/remote/cluster_slots.py": {"ClusterSlots.began", "ClusterSlots._begin_closing"},
    "service/guard.py": {"_EndedInTime.__call__.watched"},
    "service/live.py": {"page_events"},
    "supervision.py": {"Supervisor.start"},
    "web/disconnect.py": {"cancel_on_disconnect"},
    "web/system.py": {"_events"},
}
"""Where tasks are started that end with a call, a file, a request or a message, or that say by themselves how they fare."""


def _starters(path: Path) -> set[str]:
    """The functions of a file that start a task of asyncio."""
    found: set[str] = set()

    def walk(node: ast.AST, within: tuple[str, ...]) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                walk(child, (*within, child.name))
                continue
            if (
                isinstance(child, ast.Call)
                and isinstance(child.func, ast.Attribute)
                and child.func.attr in {"create_task", "ensure_future"}
            ):
                found.add(".".join(within))
            walk(child, within)

    walk(ast.parse(path.read_text(encoding="utf-8")), ())
    return found


def test_background_tasks_are_kept_by_the_supervisor():
    """A task that nobody awaits would end without a word; who starts one does so through `levelpool.supervision`."""
    starters = {path.relative_to(SRC).as_posix(): functions for path in SRC.rglob("*.py") if (functions := _starters(path))}

    assert starters == OF_ONE_CALL
