"""
The command line.

Each command imports what it runs inside itself, and nothing else: `levelpool capacity` works without the service's packages,
and every command starts fast. What goes wrong is one sentence on stderr, never a traceback.
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NoReturn, ParamSpec, TypeVar

import click

from levelpool._version import __version__
from levelpool.errors import ExtraMissing, LevelpoolError
from levelpool.extras import EXTRA_OF, missing
from levelpool.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

DONE = 0
NOT_ALL = 1
"""Some of it did not end well: a file that is not readable, a row that was set aside, a service that is not ready."""
COULD_NOT = 2
"""The command could not run at all."""

_EXTRA_OF = {
    **EXTRA_OF,
    "fastapi": "service",
    "greenlet": "ingest",
    "python_multipart": "service",
    "sqlalchemy": "ingest",
    "starlette": "service",
}
"""A command needs more than the smallest extra that brings the package."""

as_json = click.option("--json", "as_json", is_flag=True, help="Write the answer as JSON.")


class CorrectedCommand(click.Command):
    """A command with the options by which a person corrects what would be found out; they are loaded when it runs, or shows its help."""

    _params: list[click.Parameter]
    _is_complete: bool

    @property
    def params(self) -> list[click.Parameter]:
        """Its own parameters, then the corrections."""
        from levelpool.service.cli_options import correction_options

        if not self._is_complete:
            self._is_complete = True
            self._params += correction_options()
        return self._params

    @params.setter
    def params(self, own: list[click.Parameter]) -> None:
        self._params, self._is_complete = list(own), False


NUMBER = click.IntRange(1, 2**63 - 1)
"""What the database numbers its rows with."""

database = click.option("--database", metavar="URL", help="The database; by default LEVELPOOL_DATABASE_URL.")


def main() -> NoReturn:
    """Run the command line and end the process with its exit status."""
    logging.captureWarnings(capture=True)
    try:
        status = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        status = 130
    except ModuleNotFoundError as error:
        status = _say(_missing(error))
    except BrokenPipeError:
        status = _leave_quietly()
    except (LevelpoolError, OSError) as error:
        status = _say(error)
    except Exception as error:  # the last line of defence: a person at a terminal gets a sentence
        if os.environ.get("LEVELPOOL_DEBUG"):
            raise
        status = _say(f"unexpected {type(error).__name__}: {error}; run again with LEVELPOOL_DEBUG=1 to see where, and please report it")
    sys.exit(status or DONE)


def _say(error: object) -> int:
    click.echo(f"levelpool: {error}", err=True)
    return COULD_NOT


def _missing(error: ModuleNotFoundError) -> str:
    package = error.package if isinstance(error, ExtraMissing) else (error.name or "").partition(".")[0]
    if package == "levelpool":
        return f"a part of levelpool is missing ({error}): install it again"
    return str(missing(package, "this command", extra=_EXTRA_OF.get(package)))


def _leave_quietly() -> int:
    # Whoever read our output has gone; Python would complain once more when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE


def _database(given: str | None) -> str:
    """The database's URL; for the default one, a file, its folder is made, for this user alone."""
    settings = Settings.read()
    if given is None and settings.database_url is None:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return given or settings.database


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def _print_json(answer: object) -> None:
    click.echo(json.dumps(answer, ensure_ascii=False, indent=2))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="levelpool")
def cli() -> None:
    """Keeps an asyncio backend level while heavy work runs; turns spreadsheet exports into database tables."""


# ---------------------------------------------------------------- serve


@cli.command()
@click.option("--workers", type=click.IntRange(1, 256), help="Web workers; by default WEB_CONCURRENCY, else 1.")
@click.option("--host", help="Address to listen on; by default LEVELPOOL_HOST.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; by default LEVELPOOL_PORT.")
def serve(workers: int | None, host: str | None, port: int | None) -> None:
    """Run the service: page, API and inbox. Ctrl-C drains and ends."""
    from levelpool.service.server import serve as run_service

    given = {"web_concurrency": workers, "host": host, "port": port}
    run_service(replace(Settings.read(), **{name: value for name, value in given.items() if value is not None}))  # type: ignore[arg-type]


# ---------------------------------------------------------------- files


@cli.command(cls=CorrectedCommand)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@database
@click.option("--dataset", metavar="NAME", help="Load everything into this dataset; by default each file's name decides.")
@as_json
def sync(paths: tuple[Path, ...], database: str | None, dataset: str | None, as_json: bool, **said: Any) -> None:
    """
    Load files, and what is new in folders, and wait until it is done.

    Exit status: 0 all loaded or known already, 1 some rows set aside or files failed, 2 could not run.
    """
    from levelpool.service.cli_options import read_corrections
    from levelpool.service.commands import sync_paths

    options = read_corrections(said, os.environ)
    sys.exit(_run(sync_paths(paths, database=_database(database), dataset=dataset, options=options, as_json=as_json)))


@cli.command(cls=CorrectedCommand)
@click.argument("file", type=click.Path(path_type=Path))
@as_json
def inspect(file: Path, as_json: bool, **said: Any) -> None:
    """
    Say what would be loaded from FILE and why; no database is needed.

    Exit status: 0 readable, 1 not readable.
    """
    from levelpool.service.cli_options import read_corrections
    from levelpool.service.inspect_command import inspect_path

    options = read_corrections(said, os.environ)
    sys.exit(_run(inspect_path(file, settings=Settings.read(), options=options, as_json=as_json)))


@cli.command(cls=CorrectedCommand)
@click.argument("file_id", type=NUMBER)
@database
@click.option("--dataset", metavar="NAME", help="Move the file to this dataset.")
@as_json
def replay(file_id: int, database: str | None, dataset: str | None, as_json: bool, **said: Any) -> None:
    """
    Load the kept original of the file with this number again, in place of what it brought before.

    With corrections, they take the place of those that the file has. Exit status: as of sync.
    """
    from levelpool.service.cli_options import read_corrections
    from levelpool.service.commands import replay_file

    options = read_corrections(said, os.environ)
    sys.exit(_run(replay_file(file_id, database=_database(database), dataset=dataset, options=options, as_json=as_json)))


@cli.command()
@click.option("--deep", is_flag=True, help="Read the originals again, too, and compare every cell; takes as long as loading them.")
@database
@as_json
def verify(deep: bool, database: str | None, as_json: bool) -> None:
    """
    Look whether originals, ledger and tables agree, and change nothing.

    Exit status: 0 all is well, 1 something is not, 2 could not run.
    """
    from levelpool.service.commands import verify_all

    sys.exit(_run(verify_all(database=_database(database), deep=deep, as_json=as_json)))


@cli.command()
@click.argument("file_id", type=NUMBER)
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--yes", is_flag=True, help="Do not ask on a terminal.")
@database
@as_json
def undo(file_id: int, dry_run: bool, yes: bool, database: str | None, as_json: bool) -> None:
    """Take the import of the file with this number back."""
    from levelpool.service.commands import undo_file

    url = _database(database)
    if not (dry_run or yes or as_json) and sys.stdin.isatty():
        plan = _run(undo_file(file_id, database=url, dry_run=True))
        click.confirm(f"{_undone(plan, 'is ', 'are ')}. Go on?", abort=True)
    answer = _run(undo_file(file_id, database=url, dry_run=dry_run))
    if as_json:
        _print_json(answer)
    else:
        click.echo(_undone(answer, *(("would be ", "would be ") if dry_run else ("", ""))))


@cli.command()
@click.argument("file_id", type=NUMBER)
@click.option("--against", type=NUMBER, metavar="FILE_ID", help="The older file; by default the one before in the same dataset.")
@database
@as_json
def changes(file_id: int, against: int | None, database: str | None, as_json: bool) -> None:
    """Say what changed between the file with this number and the one before it in its dataset."""
    from levelpool.service.commands import find_changes
    from levelpool.service.terminal import show_changes

    found = _run(find_changes(file_id, against=against, database=_database(database)))
    if as_json:
        _print_json(found)
    else:
        show_changes(file_id, found)


def _undone(answer: Any, one: str, many: str) -> str:
    """What an undo does to rows, in words."""
    from levelpool.sheets.wording import counted

    restored = answer["rows_restored"]
    again = f", {counted(restored, f'older row {one}', f'older rows {many}')}counted again" if restored else ""
    return counted(answer["rows_removed"], f"row {one}taken out", f"rows {many}taken out") + again


@cli.group()
def dataset() -> None:
    """Decide about a dataset: what a bad cell keeps out, its name, that a column takes any text, that it goes."""


@dataset.command("policy")
@click.argument("name")
@click.argument("policy", type=click.Choice(["row", "cell", "error"]))
@database
def policy_(name: str, policy: Literal["row", "cell", "error"], database: str | None) -> None:
    """
    Say what a cell that cannot be loaded keeps out of the dataset NAME.

    row: its whole row; cell: itself alone, and it is NULL; error: itself alone if it is an error of the spreadsheet, such as #N/A.
    """
    from levelpool.service.commands import set_policy

    _run(set_policy(name, policy, database=_database(database)))
    click.echo(f"{name}: {policy}, for what is loaded or replayed from now on")


@dataset.command("key")
@click.argument("name")
@click.argument("columns", nargs=-1)
@click.option("--none", "no_key", is_flag=True, help="It has no key any more.")
@database
@as_json
def key_(name: str, columns: tuple[str, ...], no_key: bool, database: str | None, as_json: bool) -> None:
    """
    Say which COLUMNS name a record of the dataset NAME; NAME_current then shows the newest row of each.

    Without columns it proposes some, each with its proof over all rows, and changes nothing.
    """
    from levelpool.service.commands import propose_keys, set_key

    url = _database(database)
    if columns or no_key:
        proof = _run(set_key(name, () if no_key else columns, database=url))
        _print_json(proof) if as_json else click.echo(f"{name} has no key" if proof is None else f"the key of {name}: {_proof(proof)}")
        return
    proposals = _run(propose_keys(name, database=url))
    if as_json:
        _print_json(proposals)
        return
    for each in proposals:
        click.echo(_proof(each))
    if not proposals:
        click.echo(f"no column of {name}, and no pair of columns, names each row of a file")


def _proof(proof: Any) -> str:
    """A key and what all rows say of it, in words."""
    from levelpool.sheets.wording import counted

    unique = "no file has a value twice" if proof["unique"] else "a file has a value twice, of which NAME_current shows the last row only"
    blanks = f"{counted(proof['blanks'], 'row has', 'rows have')} none" if proof["blanks"] else "none is blank"
    return f"{', '.join(proof['columns'])} ({unique}, {blanks}, {counted(proof['rows'], 'row')})"


@dataset.command("widen")
@click.argument("name")
@click.argument("column")
@database
def widen_(name: str, column: str, database: str | None) -> None:
    """Make COLUMN of the dataset NAME TEXT for good, so that it takes any value; then replay what is in quarantine."""
    from levelpool.service.commands import widen_column

    _run(widen_column(name, column, database=_database(database)))
    click.echo(f"{name}.{column} is TEXT")


@dataset.command("rename")
@click.argument("name")
@click.argument("new_name")
@click.option("--dry-run", is_flag=True, help="Only say whether that can be.")
@database
def rename_(name: str, new_name: str, dry_run: bool, database: str | None) -> None:
    """Call the dataset NAME, and its table, NEW_NAME; the former name goes on leading to it."""
    from levelpool.service.commands import rename_dataset

    _run(rename_dataset(name, new_name, database=_database(database), dry_run=dry_run))
    click.echo(f"{name} {'can be' if dry_run else 'is'} called {new_name}")


@dataset.command("delete")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@database
@as_json
def delete_(name: str, dry_run: bool, yes: bool, database: str | None, as_json: bool) -> None:
    """Remove the dataset NAME with its table; its files become undone, or lose this part, and their originals stay."""
    from levelpool.service.commands import delete_dataset

    url = _database(database)
    if not (dry_run or yes or as_json) and sys.stdin.isatty():
        plan = _run(delete_dataset(name, database=url, dry_run=True))
        click.confirm(f"{name} would be removed: {_removed(plan)}. Go on?", abort=True)
    answer = _run(delete_dataset(name, database=url, dry_run=dry_run))
    if as_json:
        _print_json(answer)
    else:
        click.echo(f"{name} {'would be' if dry_run else 'is'} removed: {_removed(answer)}")


def _removed(answer: Any) -> str:
    """What went with a dataset, in words."""
    from levelpool.sheets.wording import counted

    return f"{counted(answer['rows_removed'], 'row', 'rows')} of {counted(answer['files'], 'file', 'files')}"


@dataset.command("drop")
@click.argument("name")
@click.argument("column")
@click.option("--dry-run", is_flag=True, help="Only say whether it can go.")
@database
def drop_(name: str, column: str, dry_run: bool, database: str | None) -> None:
    """Remove COLUMN of the dataset NAME, in which no row has a value."""
    from levelpool.service.commands import drop_column

    _run(drop_column(name, column, database=_database(database), dry_run=dry_run))
    click.echo(f"{name}.{column} {'can be' if dry_run else 'is'} dropped")


# ---------------------------------------------------------------- what there is


@cli.command()
@as_json
def capacity(as_json: bool) -> None:
    """Say what this container allows, which file says so, and what follows for one web worker."""
    from levelpool.capacity.detect import detect_capacity
    from levelpool.lanes.process.worker_variables import withheld_variables
    from levelpool.runtime import size_for

    found = detect_capacity()
    settings = Settings.read()
    sizes = size_for(settings, found)
    withheld = withheld_variables(os.environ, settings.worker_variables)
    answer = {
        "cpus": found.cpus,
        "cpu_source": found.cpu_source,
        "cpu_limits": [limit._asdict() for limit in found.cpu_limits],
        "memory": found.memory,
        "memory_source": found.memory_source,
        "memory_limits": [limit._asdict() for limit in found.memory_limits],
        "memory_high": found.memory_high,
        "memory_high_source": found.memory_high_source,
        "web_concurrency": sizes.web_concurrency,
        "cpu_workers": sizes.cpu_workers,
        "io_workers": sizes.io_workers,
        "db_pool_size": sizes.db_pool_size,
        "db_max_overflow": sizes.db_max_overflow,
        "worker_memory_limit": sizes.worker_memory_limit,
        "notes": list(found.notes),
        "withheld_variables": [{"name": name, "reason": reason} for name, reason in withheld.items()],
    }
    if as_json:
        _print_json(answer)
        return
    click.echo(f"CPUs             {found.cpus:g}  ({found.cpu_source})")
    click.echo(f"memory           {found.memory / 2**20:,.0f} MiB  ({found.memory_source})")
    if found.memory_high is not None:
        click.echo(f"slowed down from {found.memory_high / 2**20:,.0f} MiB on  ({found.memory_high_source})")
    click.echo("")
    click.echo(f"LEVELPOOL_ENV={settings.environment}, for each of {sizes.web_concurrency} web worker(s):")
    click.echo(f"worker processes {sizes.cpu_workers}  for the whole host  ({settings.why('cpu_executor_workers')})")
    click.echo(f"memory of each   {sizes.worker_memory_limit / 2**20:,.0f} MiB  ({settings.why('worker_memory_limit')})")
    click.echo(f"threads          {sizes.io_workers}  ({settings.why('io_executor_workers')})")
    click.echo(f"DB connections   {sizes.db_pool_size}  ({settings.why('db_pool_size')})")
    click.echo(f"more for a burst {sizes.db_max_overflow}  ({settings.why('db_max_overflow')})")
    for note in found.notes:
        click.echo(f"note: {note}")


@cli.command()
@as_json
def status(as_json: bool) -> None:
    """
    Ask the running service (LEVELPOOL_URL, LEVELPOOL_TOKEN) how it is.

    Exit status: 0 ready, 1 not ready, 2 not reachable.
    """
    from levelpool.service.client import read_status
    from levelpool.service.terminal import show_status

    answer = read_status(Settings.read())
    if as_json:
        _print_json(answer)
    else:
        show_status(answer)
    sys.exit(DONE if answer["ready"] else NOT_ALL)


@cli.command()
def top() -> None:
    """Show the running service live (LEVELPOOL_URL, an admin's LEVELPOOL_TOKEN); Ctrl-C ends."""
    from levelpool.service.client import follow_system
    from levelpool.service.terminal import show_live

    try:
        show_live(follow_system(Settings.read()))
    except KeyboardInterrupt:
        sys.exit(DONE)


# ---------------------------------------------------------------- tokens


@cli.group()
def token() -> None:
    """Make, list and revoke tokens."""


@token.command("create")
@click.option("--role", required=True, type=click.Choice(["viewer", "operator", "admin", "scrape"]), help="What it may do.")
@click.option("--name", help="Who uses it; shown in the history. By default the role.")
@click.option("--days", type=click.IntRange(min=1), help="Days until it expires; by default it does not.")
@database
@as_json
def create(role: str, name: str | None, days: int | None, database: str | None, as_json: bool) -> None:
    """Make a token and show it, this once."""
    from levelpool.service.tokens import make_token

    made = make_token(_database(database), role=role, name=name or role, days=days)
    if as_json:
        _print_json({"token": made, "role": role, "name": name or role})
    else:
        click.echo(made)


@token.command("list")
@database
@as_json
def list_(database: str | None, as_json: bool) -> None:
    """List the tokens; the tokens themselves are not stored."""
    from levelpool.service.tokens import list_tokens

    found = list_tokens(_database(database))
    if as_json:
        _print_json({"tokens": found, "total": len(found)})
        return
    if not found:
        click.echo("no tokens: 'levelpool token create' makes one")
    for each in found:
        click.echo(f"{each['id']:>4}  {each['role']:<8}  {each['state']:<8}  {each['created_at'][:10]}  {each['name']}")


@token.command("revoke")
@click.argument("token_id", type=NUMBER)
@database
def revoke(token_id: int, database: str | None) -> None:
    """Take a token back; its sessions end within five seconds."""
    from levelpool.service.tokens import revoke_token

    revoke_token(_database(database), token_id)
    click.echo(f"token {token_id} is revoked")
