"""The whole service as its users meet it: a process of its own, and a real browser."""

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

import machine
from running import start_service

CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """One service for all tests of a file; it must end with status 0 and without a traceback."""
    running = start_service(tmp_path_factory.mktemp("service") / "var")
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log.read_text()


@pytest.fixture
def start():
    """`start_service` for this test; what a test that fails has left running is stopped."""
    started = []

    def begin(*arguments, **settings):
        started.append(start_service(*arguments, **settings))
        return started[-1]

    yield begin
    for running in started:
        if running.process.poll() is None:
            running.stop()
        running.process.stdout.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser():
    """A real Chromium with a fresh profile."""
    chromium = machine.find("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(chromium), args=CHROMIUM_FLAGS, env=machine.environment())
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser, service):
    """A page of a new visitor; whatever its console complains about fails the test."""
    context = await browser.new_context(base_url=service.url)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.complaints = complaints
    page.set_default_timeout(15_000)
    yield page
    await context.close()
    assert not complaints
