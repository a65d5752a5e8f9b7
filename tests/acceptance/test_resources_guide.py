"""Every example of the guide to resources: its output is what the code says, and it is started once as it stands there."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from levelpool.capacity.detect import Capacity
from levelpool.cli import main
from levelpool.settings import Settings

GUIDE = (Path(__file__).parents[2] / "docs/howto/resources.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", GUIDE, re.MULTILINE | re.DOTALL))
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
EXPORT = re.compile(r'export (\w+)=(?:"([^"]*)"|(\S+))|\{ name: (\w+), value: "([^"]*)" \}')
SERVED = [name for name, text in SECTIONS.items() if "levelpool serve" in text or "[levelpool, serve]" in text]
SHOWN = [name for name, text in SECTIONS.items() if "```text\nCPUs" in text]


def blocks(section, language):
    return [text for kind, text in BLOCK.findall(SECTIONS[section]) if kind == language]


def environment_of(section):
    """The variables that the section's example sets."""
    return {name or other: quoted or plain or value for name, quoted, plain, other, value in EXPORT.findall(SECTIONS[section])}


def test_guide_covers_every_kind_of_machine():
    """A laptop, a pod with two CPUs, a host with 16 cores, fractional limits, several web workers."""
    assert len(SHOWN) == 4
    assert {"A laptop", "A pod with two CPUs", "Kubernetes with fractional limits", "A 16-core host"} == set(SHOWN)
    assert set(SERVED) == {*SHOWN, "Memory", "Alerts"}


@pytest.mark.parametrize("section", SHOWN)
def test_shown_capacity_is_what_the_command_prints(section, monkeypatch, capsys):
    """`levelpool capacity` on such a machine, with the variables of the example, character for character."""
    shown = blocks(section, "text")[0]
    cpus, cpu_source = re.search(r"^CPUs +(\S+)  \((.+)\)$", shown, re.MULTILINE).groups()
    memory, memory_source = re.search(r"^memory +(\S+) MiB  \((.+)\)$", shown, re.MULTILINE).groups()
    found = Capacity(float(cpus), cpu_source, int(memory.replace(",", "")) << 20, memory_source)
    for name in {each.name for each in Settings.variables()} & set(os.environ):
        monkeypatch.delenv(name)
    for name, value in environment_of(section).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("levelpool.capacity.detect.detect_capacity", lambda: found)
    monkeypatch.setattr(sys, "argv", ["levelpool", "capacity"])
    with pytest.raises(SystemExit):
        main()

    assert capsys.readouterr().out == shown


def container_of(section):
    """What a container as in the example decides, as variables, for a machine that is another one; what the example sets stays as it is set."""
    if section not in SHOWN:
        return {}
    shown = blocks(section, "text")[0]
    web_workers = int(environment_of(section).get("WEB_CONCURRENCY", 1))
    labels = {
        "CPU_EXECUTOR_WORKERS": "worker processes",
        "IO_EXECUTOR_WORKERS": "threads",
        "DB_POOL_SIZE": "DB connections",
        "DB_MAX_OVERFLOW": "more for a burst",
    }
    numbers = {name: int(re.search(rf"^{label} +(\d+)", shown, re.MULTILINE)[1]) for name, label in labels.items()}
    numbers["IO_EXECUTOR_WORKERS"] *= web_workers
    return {name: str(number) for name, number in numbers.items()}


@pytest.mark.postgres
@pytest.mark.timeout(120)
@pytest.mark.parametrize("section", SERVED)
def test_service_of_the_example_starts_with_what_it_promises(section, tmp_path, postgres_url, start):
    """Executors, pools, monitor and alert channels are as the example says."""
    settings = container_of(section) | environment_of(section) | {"LEVELPOOL_HOST": "127.0.0.1"}
    if "LEVELPOOL_DATABASE_URL" in settings:
        settings["LEVELPOOL_DATABASE_URL"] = postgres_url
    service = start(tmp_path / "var", **settings)
    client = service.client()
    lanes = client.get("/api/system/executor-stats").raise_for_status().json()["lanes"]
    (pool,) = client.get("/api/system/db-pool-stats").raise_for_status().json()["pools"]
    alerts = client.get("/api/system/alerts").raise_for_status().json()
    expected = Settings.read(settings)
    log = service.log.read_text()

    if expected.cpu_executor_workers:
        assert lanes["cpu"]["max_workers"] == expected.cpu_executor_workers
    if expected.io_executor_workers:
        assert lanes["io"]["max_workers"] == expected.io_executor_workers // expected.web_concurrency
    if section == "A 16-core host":
        assert blocks(section, "text")[1].strip() in log
        assert pool["size"] == 7
    elif expected.db_pool_size:
        assert (pool["size"], pool["max_overflow"]) == (expected.db_pool_size, expected.db_max_overflow)
    levels = {rule["rule"]: rule["enter"] for rule in alerts["rules"]}
    assert (levels["cpu"], levels["memory"]) == (expected.monitor_cpu_threshold, expected.monitor_memory_threshold)
    assert levels["loop_lag"] == expected.loop_lag_threshold
    assert len(alerts["channels"]) == 1 + len(expected.alert_urls)  # the log is always one
    assert service.stop() == 0


@pytest.mark.timeout(120)
def test_several_web_workers_of_ones_own_service(tmp_path):
    """The example is written to a file and served by uvicorn with its variables; both web workers answer, and know of each other."""
    section = "Several web workers of your own service"
    (tmp_path / "shop.py").write_text(blocks(section, "python")[0])
    command = re.search(r"^uvicorn .*$", blocks(section, "sh")[0], re.MULTILINE)[0].replace("8000", "0").split()
    variables = environment_of(section)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEVELPOOL_")} | variables
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", *command], cwd=tmp_path, env={**environment, "PYTHONPATH": str(tmp_path)}, stderr=log
        ) as server,
    ):
        try:
            address = wait_for_address(tmp_path / "log")
            admin = {"Authorization": f"Bearer {variables['LEVELPOOL_ADMIN_TOKEN']}"}
            with httpx.Client(base_url=address, headers=admin, timeout=20) as client:
                orders = client.get("/orders/count").raise_for_status().json()
                lanes = client.get("/api/system/executor-stats").raise_for_status().json()["lanes"]
                (pool,) = client.get("/api/system/db-pool-stats").raise_for_status().json()["pools"]
                refused = httpx.get(f"{address}/api/system/executor-stats", timeout=20)
                numbers = wait_for_web_workers(client, 2)
        finally:
            server.terminate()
            server.wait(30)

    assert orders == {"orders": 42}
    assert (lanes["cpu"]["max_workers"], lanes["io"]["max_workers"]) == (2, 4)
    assert (pool["name"], pool["size"], pool["max_overflow"]) == ("shop", 4, 2)
    assert refused.status_code == 401
    assert numbers == {"0", "1"}
    assert "Traceback" not in (tmp_path / "log").read_text()


def wait_for_address(log):
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        text = log.read_text()
        found = re.search(r"running on (http://\S+)", text)
        if found and text.count("Application startup complete") == 2:
            return found[1]
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def wait_for_web_workers(client, count):
    """The web workers that a scrape tells of."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        numbers = set(re.findall(r'^levelpool_cpus\{web_worker="(\d+)"', client.get("/metrics").raise_for_status().text, re.MULTILINE))
        if len(numbers) == count:
            return numbers
        time.sleep(0.2)
    raise AssertionError(json.dumps(sorted(numbers)))


def test_manager_without_any_environment_runs_as_shown(tmp_path):
    """The last example, in a program of its own."""
    lines = blocks("Without any environment", "python")[0].splitlines()
    body = "\n".join(f"    {line}" for line in lines[1:] if line)
    program = f"import asyncio\n{lines[0]}\nasync def main():\n{body}\nif __name__ == '__main__':\n    asyncio.run(main())\n"
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run([sys.executable, str(tmp_path / "program.py")], capture_output=True, text=True, timeout=50, check=False)

    assert (done.stdout, done.stderr) == ("1024\n", "")
