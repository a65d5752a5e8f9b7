"""A real Prometheus scrapes the service with a token that opens nothing else."""

import contextlib
import socket
import subprocess
import time

import httpx
import pytest

import machine

pytestmark = pytest.mark.monitoring

CONFIGURATION = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: levelpool
    authorization: {{credentials: {token}}}
    static_configs: [{{targets: ['{target}']}}]
"""


@pytest.fixture
def prometheus(service, tmp_path):
    """A Prometheus on a free port of loopback that scrapes the service; a client of its API."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    configuration = tmp_path / "prometheus.yml"
    configuration.write_text(CONFIGURATION.format(token=service.token("scrape"), target=service.url.removeprefix("http://")))
    command = [
        str(machine.find("prometheus")),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=machine.environment())
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
        yield client
    process.terminate()
    process.wait(20)


def ask(client: httpx.Client, query: str, limit: float = 30.0) -> dict[str, str]:
    """The labels and value of the first series that answers *query*, as soon as there is one."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        found = []
        with contextlib.suppress(httpx.TransportError):
            answer = client.get("/api/v1/query", params={"query": query})
            if answer.is_success:  # 503 while it starts
                found = answer.json()["data"]["result"]
        if found:
            return {**found[0]["metric"], "value": found[0]["value"][1]}
        time.sleep(0.2)
    pytest.fail(f"no answer to {query} within {limit:.0f} s")


def test_prometheus_scrapes_the_service(prometheus):
    """The target is up, and what the container allows arrives as a number."""
    assert ask(prometheus, 'up{job="levelpool"} == 1')["value"] == "1"
    assert float(ask(prometheus, "levelpool_cpus")["value"]) > 0


def test_page_of_metrics_passes_its_linter(service):
    """`promtool check metrics` has nothing to say of it, once a file was loaded and one refused."""
    with service.client(service.token("operator")) as client:
        for name, content in {"lint.csv": b"order,amount\n1,2.50\n2,3.50\n", "lint.xlsx": b"no workbook"}.items():
            service.settled(client.post("/api/files", files={"file": (name, content)}).json()["id"])
    with service.client(service.token("scrape")) as client:
        text = client.get("/metrics").text

    promtool = machine.find("prometheus").with_name("promtool")
    done = subprocess.run(
        [promtool, "check", "metrics"], check=False, input=text, capture_output=True, text=True, env=machine.environment(), timeout=30
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_files_and_their_dataset_are_told(prometheus, service):
    """How many came to what end since the start, when the last one of the dataset came, and what lies on the disk."""
    began = time.time()
    with service.client(service.token("operator")) as client:
        service.settled(client.post("/api/files", files={"file": ("told.csv", b"order,amount\n7,2.50\n8,3.50\n")}).json()["id"])

    assert float(ask(prometheus, 'levelpool_files_total{outcome="loaded"} > 0')["value"]) >= 1
    assert float(ask(prometheus, 'levelpool_file_rows_total{state="loaded"} > 1')["value"]) >= 2
    assert float(ask(prometheus, 'levelpool_file_seconds_count{stage="loading"} > 0')["value"]) >= 1
    last = ask(prometheus, 'levelpool_dataset_last_file_timestamp_seconds{dataset="told"}')
    assert "web_worker" not in last
    assert began - 1 < float(last["value"]) < time.time() + 1
    assert {
        each for each in ("originals", "database", "free") if float(ask(prometheus, f'levelpool_disk_bytes{{what="{each}"}}')["value"]) > 0
    } == {
        "originals",
        "database",
        "free",
    }
