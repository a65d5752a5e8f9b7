"""The alerter: looks at each snapshot, holds, cools down, resolves, silences, and hands to the outbox of each channel."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from levelpool.alerts.alert import Alert
from levelpool.alerts.channels import Channel
from levelpool.alerts.outbox import Answer, Outbox, send_through
from levelpool.alerts.rules import Rule
from levelpool.monitoring.snapshot import Snapshot

COOL_DOWN = 600.0
"""Seconds after a message about a rule in which the same rule is not told to begin again."""
_REMEMBERED = 200


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment on both clocks of the machine."""

    wall: datetime
    monotonic: float

    def is_over(self, seconds: float, now: "Moment") -> bool:
        """
        Whether so many seconds have gone by.

        The monotonic clock decides, as nobody sets it; but it stands still while a machine is suspended, and then the wall clock tells of
        that time. A wall clock that was set back ends the wait: one message more, where waiting for the old time to come again keeps silent.
        """
        by_wall = (now.wall - self.wall).total_seconds()
        return now.monotonic - self.monotonic >= seconds or not 0 <= by_wall < seconds


@dataclass(frozen=True, slots=True)
class RuleState:
    """What is known of one rule between two snapshots."""

    above: int = 0
    """Checks in a row above `enter`."""
    since: datetime | None = None
    burning: Alert | None = None
    told: bool = False
    """Whether somebody was told that it burns."""
    told_at: Moment | None = None


@dataclass(frozen=True, slots=True)
class _Silence:
    monotonic: float
    until: datetime


def advance(
    rule: Rule, state: RuleState, snapshot: Snapshot, *, monotonic: float, silenced: bool, cool_down: float
) -> tuple[RuleState, Alert | None]:
    """The state of *rule* after *snapshot*, taken at *monotonic* (seconds of that clock), and what is to be sent. Pure."""
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
    now = Moment(snapshot.at, monotonic)
    cooling = state.told_at is not None and not state.told_at.is_over(cool_down, now)
    if state.told or silenced or cooling:
        return replace(state, above=above, since=since, burning=burning), None
    return RuleState(above, since, burning, told=True, told_at=now), burning


class Alerter:
    """
    Holds the state of all rules; `observe` is its one entrance, called in the loop.

    What a channel does not take is sent to it again at each `observe` until it does.
    *may_tell* says whether this process is the one that tells of the whole host (one of several web workers does).
    *clock* counts seconds as `time.monotonic` does.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        channels: Sequence[Channel],
        *,
        cool_down: float = COOL_DOWN,
        may_tell: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._outboxes = tuple(Outbox(channel) for channel in channels)
        self._cool_down = cool_down
        self._may_tell = may_tell
        self._clock = clock
        self._states = {name: RuleState() for name in self._rules}
        self._silenced: dict[str, _Silence] = {}
        self._past: deque[Alert] = deque(maxlen=_REMEMBERED)

    def observe(self, snapshot: Snapshot) -> None:
        """Hold every rule against *snapshot*; what is to be told is sent in the background."""
        for name, rule in self._rules.items():
            before = self._states[name]
            silenced = self.silenced_until(name) is not None or (rule.scope == "host" and not self._may_tell())
            after, alert = advance(rule, before, snapshot, monotonic=self._clock(), silenced=silenced, cool_down=self._cool_down)
            self._states[name] = after
            if before.burning is not None and after.burning is None:
                self._past.appendleft(replace(before.burning, at=snapshot.at, resolved=True))
            for outbox in self._outboxes:
                _tell(outbox, rule, alert, after.burning, silenced=silenced)

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
        self._silenced[rule] = _Silence(self._clock() + seconds, until)
        return until

    def silenced_until(self, rule: str) -> datetime | None:
        """The end of the silence of *rule*, by the wall clock when it began; None when it is not silenced."""
        silence = self._silenced.get(rule)
        return silence.until if silence is not None and silence.monotonic > self._clock() else None

    async def test(self) -> tuple[Answer, ...]:
        """Send a test alert through every channel and return what each really answered."""
        now = datetime.now(UTC)
        alert = Alert("test", "This is a test: alerts of this service arrive here.", 0.0, 0.0, 0.0, now, now)
        return tuple(await asyncio.gather(*(send_through(outbox.channel, alert) for outbox in self._outboxes)))

    async def drain(self, seconds: float = 5.0) -> None:
        """Wait for what is being sent; give up after so many seconds."""
        if sending := [task for outbox in self._outboxes for task in outbox.sending()]:
            _done, late = await asyncio.wait(sending, timeout=seconds)
            for task in late:
                task.cancel()

    def to_dict(self) -> dict[str, Any]:
        """The answer of `GET /api/system/alerts`."""
        burning, past = self.burning(), self.past()
        return {
            "burning": [alert.to_dict() for alert in burning],
            "past": [alert.to_dict() for alert in past],
            "total": len(burning) + len(past),
            "rules": [self._rule_to_dict(rule) for rule in self._rules.values()],
            "channels": [outbox.channel.name for outbox in self._outboxes],
        }

    def _rule_to_dict(self, rule: Rule) -> dict[str, object]:
        until = self.silenced_until(rule.name)
        return {"rule": rule.name, "enter": rule.enter, "leave": rule.leave, "silenced_until": until.isoformat() if until else None}


def _tell(outbox: Outbox, rule: Rule, alert: Alert | None, burning: Alert | None, *, silenced: bool) -> None:
    ended = alert is not None and alert.resolved
    if ended and silenced and outbox.drop_untold(rule.name):
        return  # what ends within a silence, and was told nowhere, is never told
    if alert is not None:
        outbox.put(alert)
    elif burning is not None:
        outbox.refresh(burning)
    if alert is not None or not silenced:
        outbox.flush(rule.name)
