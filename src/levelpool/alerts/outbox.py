"""What a channel has not taken yet: sent again at each check until it is taken, newest figures first, beginning before end."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from levelpool.alerts.alert import Alert
from levelpool.alerts.channels import Channel

logger = logging.getLogger(__name__)

SEND_TIMEOUT = 30.0
"""Seconds that one channel has for one alert."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one channel really answered."""

    channel: str
    ok: bool
    answer: str
    seconds: float

    def to_dict(self) -> dict[str, object]:
        """The same as plain values, for JSON."""
        return {"name": self.channel, "ok": self.ok, "answer": self.answer, "seconds": self.seconds}


@dataclass(frozen=True, slots=True)
class _Untaken:
    alert: Alert
    failed: bool = False

    def as_sent(self) -> Alert:
        # Who reads it an hour later must not take it for news.
        if not self.failed:
            return self.alert
        late = f"{self.alert.message} (Sent late: this was at {self.alert.at:%Y-%m-%d %H:%M} UTC, when this channel could not be reached.)"
        return replace(self.alert, message=late)


class Outbox:
    """The alerts that one channel has yet to take, in order for each rule; at most one beginning and one end of each."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._untaken: dict[str, list[_Untaken]] = {}
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._fails = False

    def put(self, alert: Alert) -> None:
        """
        Send *alert* with the next `flush`, after what was put before.

        One that begins takes the place of an earlier one of its rule that nobody took: only the newest counts, however long the channel fails.
        """
        before = self._untaken.get(alert.rule, []) if alert.resolved else []
        self._untaken[alert.rule] = [*(each for each in before if not each.alert.resolved), _Untaken(alert)]

    def refresh(self, alert: Alert) -> None:
        """*alert* still burns: if its beginning was not taken yet, and is not on its way, it goes out with these figures."""
        untaken = self._untaken.get(alert.rule, [])
        if untaken and not untaken[-1].alert.resolved and alert.rule not in self._sending:
            untaken[-1] = _Untaken(alert)

    def drop_untold(self, rule: str) -> bool:
        """Forget a beginning that was not taken; returns whether there was such a thing, so that its end is no news either."""
        untold = any(not each.alert.resolved for each in self._untaken.get(rule, [])) and rule not in self._sending
        if untold:
            del self._untaken[rule]
        return untold

    def flush(self, rule: str) -> None:
        """Send in the background what there is of *rule*, unless that is under way. Called in the loop."""
        if rule in self._sending or not self._untaken.get(rule):
            return
        task = asyncio.get_running_loop().create_task(self._deliver(rule))
        self._sending[rule] = task
        task.add_done_callback(lambda _done: self._sending.pop(rule, None))

    def sending(self) -> Sequence[asyncio.Task[None]]:
        """What is on its way now."""
        return tuple(self._sending.values())

    async def _deliver(self, rule: str) -> None:
        while untaken := self._untaken.get(rule):
            first = untaken[0]
            answer = await send_through(self.channel, first.as_sent())
            if not answer.ok:
                self._tell_of_failure(first.alert, answer)
                self._untaken[rule] = [replace(each, failed=True) for each in self._untaken[rule]]
                return
            if self._fails:
                self._fails = False
                logger.info("alerts go out through %s again", self.channel.name)
            # It may have been replaced while it was on its way: what came in its place is still to be sent.
            self._untaken[rule] = [each for each in self._untaken[rule] if each.alert is not first.alert]

    def _tell_of_failure(self, alert: Alert, answer: Answer) -> None:
        # Once for each outage: it is tried again at each check, maybe for days.
        if not self._fails:
            logger.error(
                "alert %s did not go out through %s: %s; it is sent again at each check", alert.title, self.channel.name, answer.answer
            )
        self._fails = True


async def send_through(channel: Channel, alert: Alert) -> Answer:
    """Send *alert* once and return what the channel answered, or why it did not take it; raises nothing."""
    started = time.monotonic()
    try:
        answer = await asyncio.wait_for(channel.send(alert), SEND_TIMEOUT)
    except TimeoutError:
        return Answer(channel.name, False, f"no answer within {SEND_TIMEOUT:g} s", time.monotonic() - started)
    except Exception as error:  # noqa: BLE001 - whatever a channel raises must not keep the others from sending
        return Answer(channel.name, False, str(error) or type(error).__name__, time.monotonic() - started)
    return Answer(channel.name, True, answer, time.monotonic() - started)
