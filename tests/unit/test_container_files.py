"""Containerfile, compose.yaml and the manifests, held against their schemas and against the service; `make test-container` runs the image."""

import http.server
import json
import re
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import httpx
import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from ruamel.yaml import YAML

from levelpool.service.app import create_app
from levelpool.settings import Settings

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONTAINERFILE = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
COMPOSE = YAML(typ="safe").load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["levelpool"]
MANIFESTS = {
    each["kind"]: each
    for path in sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
    for each in YAML(typ="safe").load_all(path.read_text(encoding="utf-8"))
}
POD = MANIFESTS["Deployment"]["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]
OUTSIDE = {"LEVELPOOL_ADMIN_TOKEN": "of-at-least-thirty-two-characters", "POSTGRES_PASSWORD": "secret"}


def filled_in(variables: dict[str, str]) -> dict[str, str]:
    """*variables* with what Compose takes from outside."""
    return {name: re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: OUTSIDE[found[1]], value) for name, value in variables.items()}


def said(instruction: str) -> list[str]:
    """What the image's stage of the Containerfile says after each *instruction*."""
    return re.findall(rf"^{instruction} (.*)$", CONTAINERFILE.rpartition("\nFROM ")[2], re.MULTILINE)


def image_variables() -> dict[str, str]:
    """What ENV sets."""
    return dict(word.split("=", 1) for line in said("ENV") for word in line.split())


def probe() -> list[str]:
    """The command of HEALTHCHECK."""
    return json.loads(re.search(r"CMD (\[.*\])$", said("HEALTHCHECK")[0])[1])


@pytest.mark.parametrize(
    "command",
    [
        ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"],
        ["kubernetes-validate", "--strict", *(str(path) for path in sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml")))],
        ["hadolint", "Containerfile"],
    ],
    ids=lambda command: command[0],
)
def test_files_have_the_form_that_their_readers_ask_for(command):
    """The schemas of Compose and of Kubernetes, unknown fields refused, and the linter of Containerfiles."""
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "variables",
    [
        {name: value for name, value in image_variables().items() if name != "PATH"},
        COMPOSE["environment"],
        MANIFESTS["ConfigMap"]["data"],
        MANIFESTS["Secret"]["stringData"],
    ],
    ids=["Containerfile", "compose.yaml", "ConfigMap", "Secret"],
)
def test_every_variable_is_a_setting_and_its_value_is_taken(variables):
    """A variable with a wrong name would be passed over without a word."""
    assert variables.keys() <= {each.name for each in Settings.variables()}
    Settings.read(filled_in(variables))


def test_no_secret_stands_in_a_file():
    """Passwords and tokens come from outside; what the Secret has is empty, which counts as not set."""
    secrets = [text for name, text in COMPOSE["environment"].items() if name in {"LEVELPOOL_DATABASE_URL", "LEVELPOOL_ADMIN_TOKEN"}]

    assert all("${" in text for text in secrets)
    assert set(MANIFESTS["Secret"]["stringData"].values()) == {""}


def test_all_name_one_port_one_user_and_one_volume():
    port, user = said("EXPOSE")[0], said("USER")[0]
    container_port = CONTAINER["ports"][0]

    assert image_variables()["LEVELPOOL_PORT"] == port == str(container_port["containerPort"])
    assert COMPOSE["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert MANIFESTS["Service"]["spec"]["ports"][0]["targetPort"] == container_port["name"]
    security = POD["securityContext"]
    assert COMPOSE["user"] == user == f"{security['runAsUser']}:{security['runAsGroup']}"
    assert security["fsGroup"] == security["runAsGroup"]
    folder = image_variables()["LEVELPOOL_DATA_DIR"]
    assert said("VOLUME") == [json.dumps([folder])]
    assert COMPOSE["volumes"] == [f"data:{folder}"]
    assert {mount["mountPath"] for mount in CONTAINER["volumeMounts"]} == {folder, *COMPOSE["tmpfs"]}


def test_kubernetes_does_not_set_our_port():
    """It would set LEVELPOOL_PORT to tcp://..., after the Service named levelpool, and the service would refuse to start."""
    assert MANIFESTS["Service"]["metadata"]["name"] == "levelpool"
    assert POD["enableServiceLinks"] is False


async def test_probes_ask_paths_that_need_no_token(tmp_path):
    """A service that has not opened yet is alive and not ready; elsewhere whoever has no token is sent away."""
    asked = {name: CONTAINER[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    transport = httpx.ASGITransport(create_app(Settings(data_dir=tmp_path)))
    async with httpx.AsyncClient(transport=transport, base_url="http://pod") as client:
        statuses = {name: (await client.get(path)).status_code for name, path in asked.items()}

    assert statuses == {"startupProbe": 200, "livenessProbe": 200, "readinessProbe": 503}


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (401, 1)])
def test_health_check_tells_by_its_exit_status(status, code):
    """It needs nothing but the image's own Python, and asks no proxy."""
    asked = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_said: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        environment = {"LEVELPOOL_PORT": str(server.server_port), "http_proxy": "http://127.0.0.1:9"}
        done = subprocess.run([sys.executable, *probe()[1:]], env=environment, capture_output=True, check=False)
        server.shutdown()

    assert (done.returncode, asked) == (code, ["/livez"])


def test_compose_checks_health_as_the_image_does():
    assert COMPOSE["healthcheck"]["test"] == ["CMD", *probe()]


def test_whoever_stops_it_waits_longer_than_it_drains():
    """A kill in the middle of draining would lose what the drain is for."""
    pod, compose = (
        Settings.read(variables).shutdown_timeout for variables in (MANIFESTS["ConfigMap"]["data"], filled_in(COMPOSE["environment"]))
    )

    assert POD["terminationGracePeriodSeconds"] >= pod + 5
    assert float(COMPOSE["stop_grace_period"].removesuffix("s")) >= compose + 5
    assert said("STOPSIGNAL") == ["SIGTERM"]
    assert (said("ENTRYPOINT"), said("CMD")) == (['["levelpool"]'], ['["serve"]'])


def test_base_has_a_python_that_the_package_takes():
    version = re.search(r"^ARG BASE=\S*python:(3\.\d+)", CONTAINERFILE, re.MULTILINE)[1]

    assert Version(version) in SpecifierSet(PROJECT["requires-python"])


def test_image_installs_extras_that_exist_with_a_pip_that_heeds_the_hashes():
    """Hashes of a constraints file count from pip 26 on; the Containerfile takes the pinned pip out of requirements.txt."""
    extras = re.search(r"levelpool\[([\w,]+)\]", CONTAINERFILE)[1].split(",")
    pip = re.search(r"^pip==(\S+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)[1]

    assert {"service", "arrow", "encrypted"} == set(extras) <= PROJECT["optional-dependencies"].keys()
    assert Version(pip) >= Version("26")


def test_build_sees_the_sources_and_nothing_that_is_made():
    """What `.dockerignore` lets in exists; all else of the folder, .venv and var among it, stays out."""
    lines = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    let_in = {line[1:] for line in lines if line.startswith("!")}

    assert lines[0] == "*"
    assert {"src", "pyproject.toml", "requirements.txt", PROJECT["readme"], *PROJECT["license-files"]} <= let_in
    assert not [name for name in let_in if not (ROOT / name).exists()]
