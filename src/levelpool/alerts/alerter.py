"""The alerter: looks at each snapshot, holds, cools down, resolves, silences, and sends through its channels."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from levelpool.alerts.alert import Alert
from levelpool.alerts.channels import Channel
from levelpool.alerts.rules import Rule
from levelpool.monitoring.snapshot import Snapshot

logger = logging.getLogger(__name__)

COOL_DOWN = 600.0
"""Seconds after a message about a rule in which the same rule is not told to begin again."""
SEND_TIMEOUT = 30.0
"""Seconds that one channel has for one alert."""
_REMEMBERED = 200


@dataclass(frozen=True, slots=True)
class RuleState:
    """What is known of one rule between two snapshots."""

    above: int = 0
    """Checks in a row above `enter`."""
    since: datetime | None = None
    burning: Alert | None = None
    told: bool = False
    """Whether somebody was told that it burns."""
    told_at: datetime | None = None


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


def advance(rule: Rule, state: RuleState, snapshot: Snapshot, *, silenced: bool, cool_down: float) -> tuple[RuleState, Alert | None]:
    """The state of *rule* after *snapshot*, and what is to be sent. Pure."""
    value = rule.measure(snapshot)
    if state.burning is not None and value <= rule.leave:
        ended = replace(state.burning, value=value, at=snapshot.at, message=rule.describe(snapshot, value), resolved=True)
        return RuleState(told_at=state.told_at), ended if state.told else None
    if state.burning is None and value <= rule.enter:
        return RuleState(told_at=state.told_at), None
    since = state.since or snapshot.at
    above = state.above + 1
    if state.burning is None and above < rule.hold:
        return replace(state, above=above, since=since), None
    burning = Alert(rule.name, rule.describe(snapshot, value), value, rule.enter, rule.leave, since, snapshot.at)
    cooling = state.told_at is not None and snapshot.at - state.told_at < timedelta(seconds=cool_down)
    if state.told or silenced or cooling:
        return replace(state, above=above, since=since, burning=burning), None
    return RuleState(above, since, burning, told=True, told_at=snapshot.at), burning


class Alerter:
    """
    Holds the state of all rules; `observe` is its one entrance, called in the loop.

    *may_tell* says whether this process is the one that tells of the whole host (one of several web workers does).
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        channels: Sequence[Channel],
        *,
        cool_down: float = COOL_DOWN,
        may_tell: Callable[[], bool] = lambda: True,
    ) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._channels = tuple(channels)
        self._cool_down = cool_down
        self._may_tell = may_tell
        self._states = {name: RuleState() for name in self._rules}
        self._silenced: dict[str, datetime] = {}
        self._past: deque[Alert] = deque(maxlen=_REMEMBERED)
        self._sending: set[asyncio.Task[tuple[Answer, ...]]] = set()

    def observe(self, snapshot: Snapshot) -> None:
        """Hold every rule against *snapshot*; what is to be told is sent in the background."""
        for name, rule in self._rules.items():
            before = self._states[name]
            silenced = self.silenced_until(name, snapshot.at) is not None or (rule.scope == "host" and not self._may_tell())
            after, alert = advance(rule, before, snapshot, silenced=silenced, cool_down=self._cool_down)
            self._states[name] = after
            if before.burning is not None and after.burning is None:
                self._past.appendleft(replace(before.burning, at=snapshot.at, resolved=True))
            if alert is not None:
                self._send_later(alert)

    def burning(self) -> tuple[Alert, ...]:
        """What burns now, told or not."""
        return tuple(state.burning for state in self._states.values() if state.burning is not None)

    def past(self) -> tuple[Alert, ...]:
        """What was resolved, newest first."""
        return tuple(self._past)

    def silence(self, rule: str, seconds: float) -> datetime:
        """Send nothing about *rule* for so many seconds (0 ends a silence); returns until when. Raises `LookupError` for an unknown rule."""
        if rule not in self._rules:
            raise LookupError(f"there is no rule {rule!r}: the rules are {', '.join(self._rules)}")
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        self._silenced[rule] = until
        return until

    def silenced_until(self, rule: str, now: datetime) -> datetime | None:
        """The end of the silence of *rule*; None when it is not silenced."""
        until = self._silenced.get(rule)
        return until if until is not None and until > now else None

    async def test(self) -> tuple[Answer, ...]:
        """Send a test alert through every channel and return what each really answered."""
        now = datetime.now(UTC)
        return await self._send(Alert("test", "This is a test: alerts of this service arrive here.", 0.0, 0.0, 0.0, now, now))

    async def drain(self, seconds: float = 5.0) -> None:
        """Wait for what is being sent; give up after so many seconds."""
        if self._sending:
            _done, late = await asyncio.wait(self._sending, timeout=seconds)
            for task in late:
                task.cancel()

    def to_dict(self) -> dict[str, Any]:
        """The answer of `GET /api/system/alerts`."""
        now = datetime.now(UTC)
        burning, past = self.burning(), self.past()
        return {
            "burning": [alert.to_dict() for alert in burning],
            "past": [alert.to_dict() for alert in past],
            "total": len(burning) + len(past),
            "rules": [self._rule_to_dict(rule, now) for rule in self._rules.values()],
            "channels": [channel.name for channel in self._channels],
        }

    def _rule_to_dict(self, rule: Rule, now: datetime) -> dict[str, object]:
        until = self.silenced_until(rule.name, now)
        return {"rule": rule.name, "enter": rule.enter, "leave": rule.leave, "silenced_until": until.isoformat() if until else None}

    # -- sending

    def _send_later(self, alert: Alert) -> None:
        task = asyncio.get_running_loop().create_task(self._send(alert))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, alert: Alert) -> tuple[Answer, ...]:
        return tuple(await asyncio.gather(*(_send_through(channel, alert) for channel in self._channels)))


async def _send_through(channel: Channel, alert: Alert) -> Answer:
    started = time.monotonic()
    try:
        answer = await asyncio.wait_for(channel.send(alert), SEND_TIMEOUT)
    except TimeoutError:
        ok, answer = False, f"no answer within {SEND_TIMEOUT:g} s"
    except Exception as error:  # noqa: BLE001 - whatever a channel raises must not keep the others from sending
        ok, answer = False, str(error) or type(error).__name__
    else:
        ok = True
    if not ok:
        logger.error("alert %s did not go out through %s: %s", alert.title, channel.name, answer)
    return Answer(channel.name, ok, answer, time.monotonic() - started)
