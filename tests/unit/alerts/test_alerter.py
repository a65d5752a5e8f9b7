"""Alerts that come once, end once, and do not flap."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from levelpool.alerts.alerter import Alerter, RuleState, advance
from levelpool.alerts.rules import Rule, standard_rules

RULE = Rule("cpu", 80.0, 70.0, lambda snapshot: snapshot.resources.cpu.percent, lambda _snapshot, value: f"{value:g} %")


class Recorder:
    """A channel that remembers."""

    name = "recorder"

    def __init__(self, error=None):
        self.sent = []
        self.error = error

    async def send(self, alert):
        if self.error:
            raise self.error
        self.sent.append(alert)
        return "thank you"


def walk(snapshot, values, rule=RULE, *, step=60, cool_down=600, silenced=()):
    """What is sent while the CPU use takes *values*, one each *step* seconds; *silenced* are the indices that fall into a silence."""
    state, sent = RuleState(), []
    for index, value in enumerate(values):
        now = snapshot(cpu=value)
        now = replace(now, at=now.at + timedelta(seconds=index * step))
        state, alert = advance(rule, state, now, silenced=index in silenced, cool_down=cool_down)
        if alert:
            sent.append((index, "resolved" if alert.resolved else "burning"))
    return sent


@pytest.mark.parametrize(
    ("values", "sent"),
    [
        ([10, 79, 80], []),
        ([10, 81, 90, 95], [(1, "burning")]),
        ([90, 75, 90, 75, 71], [(0, "burning")]),
        ([90, 70], [(0, "burning"), (1, "resolved")]),
        ([90, 10, 90, 10, 90], [(0, "burning"), (1, "resolved")]),
        ([90, 10, *[20] * 9, 90], [(0, "burning"), (1, "resolved"), (11, "burning")]),
        ([90, 10, 90, *[90] * 9], [(0, "burning"), (1, "resolved"), (10, "burning")]),
    ],
    ids=["below", "once", "trembling", "ends", "cools down", "comes back later", "still burning after the cool-down"],
)
def test_what_is_sent_over_time(snapshot, values, sent):
    """One message when it begins, one when it ends; a return within the cool-down waits until that is over."""
    assert walk(snapshot, values) == sent


def test_hold_waits_for_a_second_look(snapshot):
    """A single peak is no alert for a rule that holds."""
    rule = replace(RULE, hold=2)

    assert walk(snapshot, [90, 10, 90, 90], rule) == [(3, "burning")]


def test_silence_keeps_quiet_and_tells_afterwards_what_still_burns(snapshot):
    """What ends within the silence is never told."""
    assert walk(snapshot, [90, 90, 90], silenced={0, 1}) == [(2, "burning")]
    assert walk(snapshot, [90, 90, 10], silenced={0, 1, 2}) == []


async def test_alert_goes_through_every_channel(snapshot):
    """A channel that fails does not keep the others from sending."""
    good, bad = Recorder(), Recorder(ConnectionError("refused"))
    alerter = Alerter([RULE], [bad, good])

    alerter.observe(snapshot(cpu=95.0))
    await alerter.drain()

    assert [alert.message for alert in good.sent] == ["95 %"]
    assert [alert.rule for alert in alerter.burning()] == ["cpu"]


async def test_past_alerts_are_remembered(snapshot):
    """An alert that ended is in the past with its highest figures' record, and burns no more."""
    alerter = Alerter([RULE], [])
    alerter.observe(snapshot(cpu=95.0))
    alerter.observe(snapshot(cpu=5.0))
    await alerter.drain()

    assert alerter.burning() == ()
    assert [(alert.rule, alert.value, alert.resolved) for alert in alerter.past()] == [("cpu", 95.0, True)]
    assert alerter.to_dict()["total"] == 1


async def test_test_says_what_each_channel_answered():
    """The answer, or the error, of every channel."""
    answers = await Alerter([], [Recorder(), Recorder(ConnectionError("refused"))]).test()

    assert [(answer.ok, answer.answer) for answer in answers] == [(True, "thank you"), (False, "refused")]


async def test_silenced_rule_is_not_sent(snapshot):
    """Silence is per rule, for so many seconds; an unknown rule is named."""
    channel = Recorder()
    alerter = Alerter([RULE], [channel])
    until = alerter.silence("cpu", 3600)
    alerter.observe(replace(snapshot(cpu=95.0), at=datetime.now(UTC)))
    await alerter.drain()

    assert channel.sent == []
    assert alerter.to_dict()["rules"][0]["silenced_until"] == until.isoformat()
    with pytest.raises(LookupError, match="there is no rule 'disk': the rules are cpu"):
        alerter.silence("disk", 1)


async def test_only_one_web_worker_tells_of_the_host(snapshot):
    """A worker that is not the leader tells of its own process only."""
    channel = Recorder()
    own = replace(RULE, name="own", scope="process")
    alerter = Alerter([RULE, own], [channel], may_tell=lambda: False)

    alerter.observe(snapshot(cpu=95.0))
    await alerter.drain()

    assert [alert.rule for alert in channel.sent] == ["own"]
    assert len(alerter.burning()) == 2


async def test_slow_channel_does_not_hold_up_the_loop(snapshot):
    """Sending goes on in the background."""
    gate = asyncio.Event()

    class Slow(Recorder):
        async def send(self, alert):
            await gate.wait()
            return await super().send(alert)

    channel = Slow()
    alerter = Alerter([RULE], [channel])
    alerter.observe(snapshot(cpu=95.0))
    await asyncio.sleep(0)
    assert channel.sent == []
    gate.set()
    await alerter.drain()

    assert len(channel.sent) == 1


@pytest.mark.parametrize(
    ("rule", "changes"),
    [("cpu", {"cpu": 96.0}), ("memory", {"memory": 90.0}), ("throttling", {"throttled": 30.0})],
)
def test_standard_rules_measure_and_word(snapshot, rule, changes):
    """Each rule burns on what it is for, says so with the figure, and not on a quiet service."""
    rules = {each.name: each for each in standard_rules()}
    burning = snapshot(**changes)
    value = rules[rule].measure(burning)

    assert value > rules[rule].enter
    assert f"{value:.0f} %" in rules[rule].describe(burning, value)
    assert rules[rule].measure(snapshot()) <= rules[rule].leave


def test_leave_level_is_never_above_the_enter_level():
    """Otherwise an alert would flap by itself."""
    assert all(rule.leave <= rule.enter for rule in standard_rules())
