"""What a terminal shows: progress bars, tables, the live view; the one door to rich."""

import json
import sys
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from levelpool.service.words import bytes_in_words, seconds_in_words
from levelpool.sheets.wording import counted

Json = Mapping[str, Any]

PIPED_WIDTH = 160
"""Characters of a table that nobody looks at in a terminal."""

STATES = {
    "loaded": "[green]loaded[/]",
    "partial": "[yellow]partly loaded[/]",
    "failed": "[red]failed[/]",
    "duplicate": "[dim]duplicate[/]",
    "pending": "[dim]waiting[/]",
    "running": "[cyan]running[/]",
    "undone": "[dim]undone[/]",
}
"""What a state of a file is called, as on the page."""


def _plain(text: object) -> str:
    """Cell text as a terminal may show it: it must neither colour nor move nor turn anything."""
    shown = "".join(each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode() for each in str(text))
    return escape(shown)


def _console(*, quiet: bool = False) -> Console:
    # Whatever reads a pipe or a log file wants each sentence on one line, and no terminal's width.
    piped = not sys.stdout.isatty()
    return Console(quiet=quiet, soft_wrap=piped, width=PIPED_WIDTH if piped else None)


class FileProgress:
    """A bar for each file that runs, and a line for each that has ended; without a terminal only the lines."""

    def __init__(self, *, silent: bool = False) -> None:
        self.known = 0
        self.waiting = 0
        self._silent = silent
        self._console = _console(quiet=silent)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn())
        self._bars = Progress(*columns, console=self._console, transient=True, disable=silent or not self._console.is_terminal)
        self._tasks: dict[int, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def moved(self, file_id: int, name: str, percent: float) -> None:
        """A file has come so far."""
        if file_id not in self._tasks:
            self._tasks[file_id] = self._bars.add_task(_plain(name), total=100)
        self._bars.update(self._tasks[file_id], completed=percent)

    def ended(self, record: Json) -> None:
        """A file has ended; *record* says how."""
        if (task := self._tasks.pop(record["id"], None)) is not None:
            self._bars.remove_task(task)
        self._console.print(f"{STATES.get(record['status'], record['status'])}  {_plain(record['name'])}  {_outcome(record)}")

    def sum_up(self, counts: Mapping[str, int]) -> None:
        """One last line over all files."""
        words = {"loaded": "loaded", "partial": "partly loaded", "failed": "failed", "duplicate": "duplicate"}
        parts = [f"{counts[each]} {word}" for each, word in words.items() if counts.get(each)]
        if self.known:
            parts.append(f"{self.known} known already")
        if self.waiting:
            parts.append(f"{self.waiting} still being written: sync again later")
        self._console.print(", ".join(parts) or "nothing to load")


def _outcome(record: Json) -> str:
    if record["error"]:
        return f"[dim]{_plain(record['error'])}[/]"
    if record["status"] == "duplicate":
        return f"[dim]same content as file {record['duplicate_of']}[/]"
    aside = f", {record['rows_quarantined']:,} set aside" if record["rows_quarantined"] else ""
    return f"[dim]file {record['id']}, {counted(record['rows_loaded'], 'row')}{aside}, dataset {_plain(str(record['dataset']))}[/]"


# ---------------------------------------------------------------- inspect


def show_inspection(name: str, answer: Json) -> None:
    """Each table of a file: its columns with their types and reasons, and what would not be loaded."""
    console = _console()
    text = f", {answer['encoding']}" if answer["encoding"] else ""
    text += f", delimiter {answer['delimiter']!r}" if answer["delimiter"] else ""
    console.print(f"[bold]{_plain(name)}[/] · {answer['format']}{_plain(text)}, read by {_plain(answer['reader'])}")
    for each in answer["remarks"]:
        console.print(f"[dim]note        {_plain(each)}[/]")
    for sheet in answer["sheets"]:
        header = "no header row" if sheet["header_row"] is None else f"header in row {sheet['header_row'] + 1}"
        hidden = ", hidden" if sheet["hidden"] else ""
        goes = f", dataset {sheet['dataset']}" if sheet["dataset"] else ""
        console.print(f"\n[bold]{_plain(sheet['name'])}[/]{hidden} · {counted(sheet['rows'], 'row')}, {header}{_plain(goes)}")
        for each in (*sheet["reasons"], *sheet["remarks"]):
            console.print(f"[dim]because     {_plain(each)}[/]")
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for title in ("column", "type", "why", "samples"):
            table.add_column(title, overflow="fold")
        for column in sheet["columns"]:
            samples = ", ".join(str(each) for each in column["samples"][:3])
            table.add_row(_plain(column["name"]), column["type"], _plain(column["why"]), _plain(samples))
        console.print(table)
        for each in sheet["outside"]:
            console.print(f"[dim]outside     row {each['row']}: {_plain(each['reason'])}: {_plain(' | '.join(each['cells']))}[/]")
        for each in sheet["quarantine"]:
            console.print(
                f"[yellow]set aside   row {each['row']}, {_plain(each['column'])}: {_plain(repr(each['value']))}: {_plain(each['reason'])}[/]"
            )
        cells = sheet["cells"]
        console.print(
            f"cells: {cells['read']:,} read = {cells['loaded']:,} loaded + {cells['quarantined']:,} set aside + {cells['outside']:,} outside"
        )


# ---------------------------------------------------------------- changes


def show_changes(file_id: int, found: Json) -> None:
    """What changed since another file: the counts, the columns, the first rows."""
    console = _console()
    since = "it is the first file there" if found["against"] is None else f"since file {found['against']}"
    apart = (("without a key", found["unkeyed"]), ("set aside", found["set_aside"]))
    counts = [f"{counted(found['added'], 'row')} added", f"{found['removed']:,} removed", f"{found['changed']:,} changed"]
    counts += [f"{count:,} {what}" for what, count in apart if count]
    console.print(f"file {file_id} in {_plain(found['dataset'])}, {since}: {', '.join(counts)}", highlight=False)
    for each in found["columns"]:
        console.print(f"  {_plain(each['name'])}: {counted(each['changed'], 'value')} changed", highlight=False)
    for row in found["rows"]:
        sides = (json.dumps(row[side], ensure_ascii=False) for side in ("key", "was", "now") if row[side])
        console.print(_plain(f"  {row['kind']}: {' -> '.join(sides)}"), highlight=False)


# ---------------------------------------------------------------- status and top


def show_status(answer: Json) -> None:
    """What a service said about itself."""
    console = _console()
    console.print(f"{answer['url']}  " + ("[green]ready[/]" if answer["ready"] else "[red]not ready[/]"))
    for reason in answer["reasons"]:
        console.print(f"  {escape(reason)}")
    if "resources" in answer:
        console.print(_resources(answer["resources"]))
    if "files" in answer:
        table = Table(
            box=None,
            padding=(0, 2, 0, 0),
            header_style="dim",
            title=f"{counted(answer['total'], 'file')}, newest first",
            title_justify="left",
        )
        for title in ("id", "status", "file", "rows", "set aside"):
            table.add_column(title)
        for each in answer["files"]:
            mark = STATES.get(each["status"], each["status"])
            table.add_row(str(each["id"]), mark, escape(each["name"]), f"{each['rows_loaded']:,}", f"{each['rows_quarantined']:,}")
        console.print(table)
    else:
        console.print("[dim]set LEVELPOOL_TOKEN to see files and resources[/]")


def show_live(snapshots: Iterable[Json]) -> None:
    """Redraw the screen with each snapshot until they end."""
    with Live(console=Console(), screen=True, auto_refresh=False) as live:
        for snapshot in snapshots:
            live.update(Group(_resources(snapshot), _lanes(snapshot.get("lanes", {})), _pools(snapshot.get("pools", []))), refresh=True)


def _resources(snapshot: Json) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0), show_header=False)
    cpu, memory, process, loop = (snapshot[part] for part in ("cpu", "memory", "process", "loop"))
    table.add_row("now", snapshot.get("diagnosis") or "nothing is narrow")
    table.add_row("CPU", f"{cpu['percent']:.0f} % of {cpu['cpus']:g}, throttled {cpu['throttled_percent']:.0f} %")
    table.add_row("memory", f"{bytes_in_words(memory['used'])} of {bytes_in_words(memory['limit'])} ({memory['percent']:.0f} %)")
    table.add_row(
        "service",
        f"{bytes_in_words(process['pss'])}, {counted(process['threads'], 'thread')}, {counted(process['children'], 'child', 'children')}",
    )
    table.add_row(
        "loop lag",
        f"p50 {seconds_in_words(loop['lag_p50'])}, p99 {seconds_in_words(loop['lag_p99'])}, worst {seconds_in_words(loop['lag_max'])}",
    )
    return table


def _lanes(lanes: Mapping[str, Json]) -> Table:
    table = Table(title="lanes", title_justify="left", box=None, padding=(0, 3, 0, 0), header_style="dim")
    keys = ("busy", "queued", "succeeded", "failed", "cancelled", "timed_out", "died", "refused")
    for title in ("lane", "workers", *keys, "oldest wait"):
        table.add_column(title.replace("_", " "), justify="left" if title == "lane" else "right")
    for name, lane in lanes.items():
        counts = [f"{lane[key]:,}" for key in keys]
        table.add_row(name, f"{lane['workers']}/{lane['max_workers']}", *counts, seconds_in_words(lane["oldest_wait"]))
    return table


def _pools(pools: Iterable[Json]) -> Table:
    table = Table(title="database pools", title_justify="left", box=None, padding=(0, 3, 0, 0), header_style="dim")
    for title in ("pool", "size", "in use", "waiting", "wait p99"):
        table.add_column(title, justify="left" if title == "pool" else "right")
    for pool in pools:
        size = f"{pool['size']}+{pool['max_overflow']}"
        table.add_row(pool["name"], size, str(pool["checked_out"]), str(pool["waiting"]), seconds_in_words(pool["wait_p99"]))
    return table
