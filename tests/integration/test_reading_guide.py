"""Every example of the guide to reading in Python, run as it stands there, in its order."""

import ast
import re
from pathlib import Path

import httpx
import pytest
import xlsxwriter

from levelpool.executor import ExecutorManager

PAGE = Path(__file__).parents[2] / "docs/howto/read-in-python.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def workbook(tmp_path, monkeypatch):
    """The workbook of the guide, in the folder that the program is started in."""
    with xlsxwriter.Workbook(tmp_path / "Orders.xlsx") as book:
        for name in ("Orders", "May"):
            sheet = book.add_worksheet(name)
            sheet.write(0, 0, "Orders of the week")
            sheet.write_row(2, 0, ["Order No", "Placed", "Amount"])
            sheet.write_row(3, 0, ["000184", "2026-11-01", 12.5])
            sheet.write_row(4, 0, ["000185", "2026-11-02", 7.25])
    monkeypatch.chdir(tmp_path)
    return tmp_path / "Orders.xlsx"


@pytest.fixture
def manager(workbook):
    """Its workers begin in the folder of the workbook."""
    manager = ExecutorManager(cpu_workers=1, io_workers=2)
    yield manager
    manager.shutdown(timeout=10.0)


async def test_examples_of_the_guide_do_what_they_say(workbook, manager, monkeypatch, capsys):
    """All of them, one after the other, in one program."""
    monkeypatch.setattr("levelpool.get_executor_manager", lambda: manager)
    monkeypatch.setattr("levelpool.ingest.session.get_executor_manager", lambda: manager)
    names = {"__name__": "guide"}
    for text in EXAMPLES:
        waiting = eval(compile(text, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        if waiting is not None:
            await waiting

    assert list(names["by_sheet"]) == ["Orders", "May"]
    assert capsys.readouterr().out.endswith("loaded orders 4\n")
    assert [row["order_no"] for row in names["rows"]] == ["000184", "000184", "000185", "000185"]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(names["app"]), base_url="http://guide") as client:
        answer = await client.post("/orders", files={"file": ("Orders.xlsx", workbook.read_bytes())})
    assert answer.json() == {"rows": 2, "columns": ["order_no", "placed", "amount"]}
