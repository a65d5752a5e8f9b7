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
