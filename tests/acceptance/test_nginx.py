"""A real nginx with our configuration in front of the service: TLS, uploads, refusals, streams, and whose word it takes."""

import json
import os
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

import machine
from running import ADMIN_TOKEN, RunningService, start_service

pytestmark = pytest.mark.nginx

CONFIGURATION = machine.HERE / "deploy" / "nginx" / "levelpool.conf"
LIMIT = 3_000_000
HOST = "tables.example"

MAIN = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log warn;
{user}
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/levelpool.conf;
}}
"""


@dataclass(frozen=True)
class Proxied:
    """The service, and the two addresses of the nginx in front of it."""

    service: RunningService
    http: int
    https: int
    certificate: Path

    def client(self, token: str | None = ADMIN_TOKEN, **options) -> httpx.Client:
        """A client that trusts the certificate of this test, and asks for the host that the configuration names."""
        headers = {"Host": HOST} | ({"Authorization": f"Bearer {token}"} if token else {})
        trust = ssl.create_default_context(cafile=str(self.certificate))
        return httpx.Client(base_url=f"https://127.0.0.1:{self.https}", headers=headers, verify=trust, timeout=20, **options)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def make_certificate(folder: Path) -> Path:
    """A key and a certificate for 127.0.0.1, of this test alone."""
    certificate = folder / "fullchain.pem"
    names = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST},IP:127.0.0.1"]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    files = ["-keyout", str(folder / "privkey.pem"), "-out", str(certificate)]
    subprocess.run(["openssl", "req", *kind, *names, *files], check=True, capture_output=True)
    return certificate


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    """Our configuration with other ports, another certificate, and not a line besides; both programs end without a complaint."""
    folder = tmp_path_factory.mktemp("nginx")
    service = start_service(folder / "var", LEVELPOOL_MAX_UPLOAD_BYTES=str(LIMIT))
    http, https = free_port(), free_port()
    certificate = make_certificate(folder)
    text = CONFIGURATION.read_text(encoding="utf-8")
    ours = {
        "listen 80;": f"listen 127.0.0.1:{http};",
        "listen 443 ": f"listen 127.0.0.1:{https} ",
        "127.0.0.1:8000": service.url.removeprefix("http://"),
        "/etc/ssl/levelpool": str(folder),
    }
    for written, here in ours.items():
        assert written in text
        text = text.replace(written, here)
    (folder / "levelpool.conf").write_text(text)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user="user root;" if os.geteuid() == 0 else ""))
    command = [str(machine.find("nginx")), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False, env=machine.environment())
    assert checked.returncode == 0, checked.stderr
    with subprocess.Popen(command, env=machine.environment()) as nginx:
        proxied = Proxied(service, http, https, certificate)
        wait_until_it_listens(https)
        yield proxied
        nginx.terminate()
    assert service.stop() == 0
    assert "Traceback" not in service.log.read_text()


def wait_until_it_listens(port: int) -> None:
    deadline = time.monotonic() + 20
    with socket.socket() as probe:
        while probe.connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.05)


def rows_of(size: int) -> bytes:
    """A table of about so many bytes."""
    return b"Order No,Amount\n" + b"".join(b"%08d,%08d.25\n" % (number, number) for number in range(size // 21))


def test_upload_over_tls_that_nginx_alone_would_refuse_is_loaded(proxied):
    """Two megabytes; nginx by itself takes one."""
    with proxied.client() as client:
        sent = client.post("/api/files", files={"file": ("orders.csv", rows_of(2_000_000))}).raise_for_status().json()
    record = proxied.service.settled(sent["id"])

    assert (record["status"], record["rows_loaded"]) == ("loaded", 2_000_000 // 21)


@pytest.mark.parametrize("is_declared", [True, False], ids=["declared", "in chunks"])
def test_upload_over_our_limit_is_refused_in_our_words(proxied, is_declared):
    """413 as JSON with the limit and its variable, though nginx is still sending."""
    with proxied.client() as client:
        request = client.build_request("POST", "/api/files", files={"file": ("large.csv", rows_of(3 * LIMIT))})
        body = request.read()
        content = body if is_declared else (body[at : at + 65536] for at in range(0, len(body), 65536))
        answer = client.post("/api/files", content=content, headers={"Content-Type": request.headers["Content-Type"]})

    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too_large"
    assert "LEVELPOOL_MAX_UPLOAD_BYTES" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/events", "/api/system/stream"])
def test_streams_come_through_piece_by_piece(proxied, path):
    """Three pieces arrive while the answer goes on."""
    with proxied.client() as client, client.stream("GET", path) as answer:
        pieces = answer.iter_raw()
        first = [next(pieces) for _ in range(3)]

    assert answer.status_code == 200
    assert all(first)


def test_change_is_seen_in_the_stream_while_it_is_open(proxied):
    """A file that is uploaded meanwhile is told of."""
    with proxied.client() as client, client.stream("GET", "/events") as answer:
        pieces = answer.iter_lines()
        next(pieces)
        sent = httpx.post(
            f"{proxied.service.url}/api/files",
            files={"file": ("visits.csv", b"day,visits\n2026-11-01,5\n2026-11-02,6\n")},
            headers={"Authorization": f"Bearer {ADMIN_TOKEN}"},
        ).json()
        told = next(line for line in pieces if f'"id": {sent["id"]},' in line)

    assert sent["id"] in {each["id"] for each in json.loads(told.removeprefix("data: "))}


def test_plain_http_is_sent_to_https(proxied):
    answer = httpx.get(f"http://127.0.0.1:{proxied.http}/files?status=failed", headers={"Host": HOST})

    assert (answer.status_code, answer.headers["Location"]) == (301, f"https://{HOST}/files?status=failed")


def test_session_cookie_is_secure_and_the_way_back_stays_on_the_host(proxied):
    """Over TLS the cookie is marked Secure, which it is not on a plain connection; redirects keep scheme and host."""
    form = {"token": ADMIN_TOKEN, "next": "/files"}
    with proxied.client(token=None) as client:
        sent_away = client.get("/files", headers={"Accept": "text/html"})
        signed_in = client.post("/sign-in", data=form)
        with_slash = client.get("/files/")
    plain = httpx.post(f"{proxied.service.url}/sign-in", data=form)

    assert sent_away.headers["Location"].startswith("/sign-in")
    assert (signed_in.status_code, signed_in.headers["Location"]) == (303, "/files")
    assert with_slash.headers["Location"] == f"https://{HOST}/files"
    assert "; Secure" in signed_in.headers["Set-Cookie"]
    assert "; Secure" not in plain.headers["Set-Cookie"]


def test_visitor_cannot_choose_the_address_that_its_failures_are_counted_for(proxied):
    """A header of its own does not help it to a sixth try, nor does it to a plain scheme."""
    with proxied.client(token=None) as client:
        answers = [
            client.post("/sign-in", data={"token": "wrong"}, headers={"X-Forwarded-For": f"198.51.100.{number}"}).status_code
            for number in range(6)
        ]

    assert answers == [401] * 5 + [429]
