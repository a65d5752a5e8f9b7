"""The reference pages say what the code does."""

import math
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from hosts import HOSTS
from levelpool.alerts.rules import standard_rules
from levelpool.capacity.detect import Capacity
from levelpool.monitoring.metrics import FACTS, METRICS
from levelpool.settings import Settings
from levelpool.sizing import size
from levelpool.web.system import metrics_router, system_router

DOCS = Path(__file__).parents[2] / "docs"
SRC = DOCS.parent / "src" / "levelpool"


def rows(page):
    """The rows of all tables of a page, each a tuple of its cells."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines if line.startswith("|")]


def test_guide_says_of_each_host_that_is_tried_what_holds():
    """And of no other."""
    section = (DOCS / "howto/executor.md").read_text(encoding="utf-8").partition("\n## What it works under\n")[2].partition("\n## ")[0]
    listed = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("|")]

    assert listed[2:] == list(HOSTS)


def test_settings_page_has_every_variable_as_the_code_has_it():
    """Name, default, what is allowed, and the sentence; a row that is missing is printed as it should be."""
    expected = {(f"`{each.name}`", each.default, each.allowed, each.sentence) for each in Settings.variables()}

    written = {row for row in rows("reference/settings.md") if row[0].startswith("`") and len(row) == 4}

    assert {"| " + " | ".join(row) + " |" for row in expected - written} == set()
    assert written - expected == set()


@pytest.mark.parametrize("cpus", [0.1, 0.5, 1, 1.9, 2, 3, 4, 8, 16, 64])
def test_production_and_development_differ_exactly_as_the_page_says(cpus):
    """Of all sizes only those of the page's table differ, by its formulas; what is set holds in both."""
    table = {row[0].strip("`").lower(): row[1:] for row in rows("reference/settings.md") if row[0].startswith("`") and len(row) == 3}
    capacity = Capacity(cpus, "a test", 2 << 30, "a test")
    sizes = {environment: asdict(size(capacity, environment=environment)) for environment in ("development", "production")}
    given = dict.fromkeys(table, 7)
    formula = {"floor": math.floor, "min": min, "max": max, "cpus": cpus}

    for column, environment in enumerate(sizes):
        assert {name: sizes[environment][name] for name in table} == {name: eval(row[column], formula) for name, row in table.items()}
    assert {name for name in sizes["production"] if name not in table and sizes["production"][name] != sizes["development"][name]} == set()
    assert size(capacity, environment="production", **given) == size(capacity, environment="development", **given)


def test_nothing_but_the_sizes_asks_which_environment_it_is():
    """`LEVELPOOL_ENV` is read in the settings, and handed to the sizing: no other line of the code knows of it."""
    asks = re.compile(r'"production"|settings\.environment\b')
    found = {
        (str(path.relative_to(SRC)), line.strip())
        for path in SRC.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if asks.search(line)
    }

    assert {file for file, _ in found} == {"sizing.py", "settings.py", "executor/default.py", "runtime.py", "database.py", "cli.py"}
    assert {line for file, line in found if file in {"executor/default.py", "runtime.py", "database.py"}} == {
        "environment=settings.environment,"
    }


def test_metrics_page_has_every_metric():
    """Name, kind, labels and sentence."""
    expected = {
        (
            f"`{each.name}{'_total' if each.kind == 'counter' else ''}`",
            each.kind,
            ", ".join(f"`{label}`" for label in each.labels),
            each.sentence,
        )
        for each in (METRICS | FACTS).values()
    }

    assert {row for row in rows("reference/metrics.md") if row[0].startswith("`")} == expected


def test_http_page_names_every_endpoint():
    """Each route of both routers stands on the page with its method."""
    page = (DOCS / "reference/http-system.md").read_text(encoding="utf-8")
    routes = [*system_router(require_admin=lambda: None).routes, *metrics_router(require_scrape=lambda: None).routes]

    assert [route.path for route in routes if f"{next(iter(route.methods))} {route.path}`" not in page] == []


def test_monitoring_page_has_every_rule():
    """The table of alerts names them all, and no other."""
    named = {row[0].strip("`") for row in rows("explanation/monitoring.md") if re.fullmatch(r"`\w+`", row[0])}

    assert named == {rule.name for rule in standard_rules()}


@pytest.mark.parametrize("row", [row for row in rows("howto/resources.md") if re.fullmatch(r"[\d.]+", row[1])], ids=lambda row: row[0])
def test_sizing_page_shows_what_follows(row):
    """Each row of the guide is what the arithmetic gives."""
    _where, cpus, workers, threads, production, development = row
    capacity = Capacity(float(cpus), "a test", 2 << 30, "a test")
    sizes = {environment: size(capacity, environment=environment) for environment in ("production", "development")}

    assert (int(workers), int(threads)) == (sizes["production"].cpu_workers, sizes["production"].io_workers)
    assert production == f"{sizes['production'].db_pool_size} + {sizes['production'].db_max_overflow}"
    assert development == f"{sizes['development'].db_pool_size} + {sizes['development'].db_max_overflow}"


def test_sixteen_core_example_adds_up():
    """The sum in the guide is the arithmetic of four web workers on 16 cores."""
    sizes = size(Capacity(16.0, "a test", 2 << 30, "a test"), environment="production", web_concurrency=4)

    assert (sizes.cpu_workers, sizes.io_workers, sizes.db_pool_size + sizes.db_max_overflow) == (15, 5, 50)
    assert 4 * 50 + 15 + 3 + 3 == 221
