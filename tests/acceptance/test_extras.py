"""Each extra of the wheel, alone: an environment that holds what its metadata asks for, and nothing else, runs its first command."""

import subprocess

import httpx
import pytest

import machine
import wheels
from first_commands import FIRST, ORDERS, PATIENCE, Installed, serving
from levelpool.extras import EXTRA_OF
from levelpool.service import assets

# Each is seconds of work for several processes; how long that takes on a machine that does much else is no truth about the wheel.
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(sdist, wheel) as `make wheel` makes them of a clean clone."""
    folder = tmp_path_factory.mktemp("built")
    made = wheels.make_wheel(wheels.copy_clone(folder / "clone", with_scripts=True), folder / "dist")
    assert made.returncode == 0, made.stdout + made.stderr
    return next(folder.glob("dist/*.tar.gz")), next(folder.glob("dist/*.whl"))


@pytest.fixture(scope="module")
def wheel(built, tmp_path_factory):
    """The wheel, unpacked."""
    return wheels.Wheel.unpack(built[1], tmp_path_factory.mktemp("wheel"))


def try_extra(wheel, extra, folder):
    """Run the first commands of an extra in an environment of its own."""
    assert extra in FIRST, f"the extra {extra!r} has no first command: write one in tests/first_commands.py"
    folder.mkdir()
    python = wheels.link_environment(wheel, extra, folder / "environment")
    for first in FIRST[extra]:
        first(Installed(python, folder))


@pytest.mark.parametrize("extra", sorted(FIRST), ids=lambda extra: extra or "base")
def test_what_an_extra_is_for_works_with_nothing_else(wheel, extra, tmp_path):
    """The first command of the base, and of each extra."""
    try_extra(wheel, extra, tmp_path / "alone")


@pytest.mark.wheels
@pytest.mark.parametrize(("extra", "command"), [("", ("capacity",)), ("[sheets]", ("inspect", "orders.csv"))], ids=["base", "sheets"])
def test_pip_installs_it_and_its_command_runs(built, extra, command, tmp_path):
    """For real, into an empty environment, with the pinned versions."""
    python = wheels.empty_environment(tmp_path / "environment")
    (tmp_path / "orders.csv").write_bytes(ORDERS)

    wheels.install(f"{built[1]}{extra}", python, machine.WHEELS)
    done = subprocess.run(
        [python.with_name("levelpool"), *command], cwd=tmp_path, env=wheels.clean_environment(), capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_every_extra_of_the_metadata_is_tried(wheel):
    """A later one too, or whoever adds it reads what is missing."""
    assert set(FIRST) == {"", *wheel.extras}, "each extra, and no other, needs a first command: see FIRST in tests/first_commands.py"


def test_the_extra_that_is_named_brings_the_package(wheel):
    """What a person is told to install is what helps."""
    for package, extra in EXTRA_OF.items():
        brought = {name for installed in wheel.closure(extra).values() for name in wheels.modules_of(installed)}
        assert package in brought, f"{package} does not come with levelpool[{extra}]"


def test_sdist_and_wheel_hold_the_scripts_of_the_page(built):
    """They come from npm, and git does not know them."""
    assert [assets.FILES.keys() - assets.names_in(archive) for archive in built] == [set(), set()]


def test_without_the_scripts_make_wheel_fails_and_the_service_says_what_is_missing(tmp_path):
    """Whoever builds reads a sentence; whoever installs a bare clone all the same has the library, and a service that says so."""
    made = wheels.make_wheel(wheels.copy_clone(tmp_path / "clone", with_scripts=False), tmp_path / "dist")
    assert made.returncode != 0
    assert "does not hold the page's scripts (htmx.LICENSE.txt, htmx.min.js," in made.stderr

    bare = wheels.Wheel.unpack(next(tmp_path.glob("dist/*.whl")), tmp_path / "wheel")
    at = Installed(wheels.link_environment(bare, "service", tmp_path / "environment"), tmp_path)
    with serving(at) as url:
        assert httpx.get(f"{url}/readyz", timeout=PATIENCE).status_code == 200
    assert "the page's scripts are missing" in at.log.read_text()
    assert "'make assets' builds them" in at.log.read_text()
