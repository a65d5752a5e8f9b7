"""Channels: how an alert reaches a person. The only door to Apprise, which knows mail, SMS, chat and webhooks."""

import functools
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from levelpool.alerts.alert import Alert
from levelpool.errors import SettingsError

logger = logging.getLogger(__name__)


class Channel(Protocol):
    """One way to a person."""

    @property
    def name(self) -> str:
        """What an operator calls it; never a secret."""
        ...

    async def send(self, alert: Alert) -> str:
        """Send it and return what the other side answered. Raises when it did not take it."""
        ...


class ChannelError(Exception):
    """The other side did not take the alert; the message is what it said."""


class LogChannel:
    """Writes alerts to the log; always there."""

    name = "log"

    async def send(self, alert: Alert) -> str:
        """Write one line: a warning, or an info when it is resolved."""
        logger.log(logging.INFO if alert.resolved else logging.WARNING, "alert %s: %s", alert.title, alert.message)
        return "written"


Run = Callable[[Callable[[], str]], Awaitable[str]]
"""Runs a blocking call elsewhere, such as `manager.run_io_intensive`."""


class AppriseChannel:
    """One Apprise URL. Its services block on the network, so each send goes through *run*."""

    def __init__(self, service: Any, name: str, run: Run) -> None:
        self.name = name
        self._service = service
        self._run = run

    async def send(self, alert: Alert) -> str:
        """Send it. Raises `ChannelError` with what Apprise said when it was not taken."""
        return await self._run(functools.partial(_notify, self._service, alert))


def open_channels(urls: tuple[str, ...], run: Run) -> tuple[Channel, ...]:
    """
    The log, and a channel for each Apprise URL.

    Raises `SettingsError` for a URL that Apprise does not know (only its scheme is shown: the rest may be a secret),
    and when Apprise is not installed.
    """
    found = open_services(urls)
    return (LogChannel(), *(AppriseChannel(each, f"{number} {each.service_name}", run) for number, each in enumerate(found, 1)))


def open_services(urls: tuple[str, ...]) -> list[Any]:
    """The Apprise service of each URL. Raises as `open_channels`."""
    if not urls:
        return []
    try:
        import apprise  # noqa: PLC0415 - the door
    except ModuleNotFoundError:
        raise SettingsError("LEVELPOOL_ALERT_URLS is set, but Apprise is not installed: pip install 'levelpool[alerts]'") from None
    # Apprise would log the whole URL that it does not know.
    log = logging.getLogger("apprise")
    was_disabled, log.disabled = log.disabled, True
    try:
        services = [apprise.Apprise.instantiate(url) for url in urls]
    finally:
        log.disabled = was_disabled
    if None in services:
        number = services.index(None) + 1
        scheme = urls[number - 1].partition(":")[0]
        raise SettingsError(f"LEVELPOOL_ALERT_URLS: Apprise cannot use URL {number} ({scheme}:...): see its list of services")
    return services


def _notify(service: Any, alert: Alert) -> str:
    said = _Said()
    log = logging.getLogger("apprise")
    log.addHandler(said)
    try:
        taken = service.notify(title=alert.title, body=alert.message)
    finally:
        log.removeHandler(said)
    if not taken:
        raise ChannelError("; ".join(said.lines) or "not taken; Apprise did not say why")
    return "; ".join(said.lines) or "taken"


class _Said(logging.Handler):
    """What Apprise logs in this thread: it answers with true or false only, and logs the reason."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.lines.append(record.getMessage())
