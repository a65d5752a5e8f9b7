"""Alerts that come once, end once, and do not flap."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from levelpool.alerts.alerter import Alerter, RuleState, advance
from levelpool.alerts.rules import Rule, standard_rules

RULE = Rule("cpu", 80.0, 70.0, lambda snapshot: snapshot.resources.cpu.percent, lambda _snapshot, value: f"{value:g} %")


class Recorder:
    """A channel that remembers; the first *failures* sendings fail, or with an *error* all of them."""

    name = "recorder"

    def __init__(self, error=None, failures=0):
        self.sent = []
        self.error = error
        self.failures = failures

    async def send(self, alert):
        if self.failures or self.error:
            self.failures -= 1
            raise self.error or ConnectionError("no route to host")
        self.sent.append(alert)
        return "thank you"


def walk(snapshot, values, rule=RULE, *, step=60, cool_down=600, silenced=()):
    """What is sent while the CPU use takes *values*, one each *step* seconds; *silenced* are the indices that fall into a silence."""
    state, sent = RuleState(), []
    for index, value in enumerate(values):
        now = snapshot(cpu=value)
        now = replace(now, at=now.at + timedelta(seconds=index * step))
        state, alert = advance(rule, state, now, monotonic=index * step, silenced=index in silenced, cool_down=cool_down)
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


async def watch(alerter, snapshots):
    for each in snapshots:
        alerter.observe(each)
        await alerter.drain()


@pytest.mark.parametrize(
    ("values", "failures", "sent"),
    [
        ([90, 91, 92, 10], 1, ["91 %", "10 %"]),
        ([90, 91, 92, 10], 3, ["92 % late", "10 %"]),
        ([90, 10, 10], 2, ["90 % late", "10 % late"]),
        ([90, 10, 91, 92], 3, ["92 %"]),
        ([90, 10, 91, 10, 10], 4, ["91 % late", "10 % late"]),
    ],
    ids=["begins", "ended meanwhile", "both ended", "begins again", "twice"],
)
async def test_alert_that_a_channel_did_not_take_is_sent_again(snapshot, values, failures, sent):
    """With the figures of now while it burns; what is over says when it was, and no end comes without its beginning."""
    broken, good = Recorder(failures=failures), Recorder()
    await watch(Alerter([RULE], [broken, good], cool_down=0), [snapshot(cpu=value) for value in values])

    assert [
        each.message.replace(" (Sent late: this was at 2026-11-01 00:00 UTC, when this channel could not be reached.)", " late")
        for each in broken.sent
    ] == sent
    assert good.sent[0].message == "90 %"


async def test_channel_that_fails_is_told_once_in_the_log(snapshot, caplog):
    """However long the outage is, and that it is over."""
    caplog.set_level("INFO")
    await watch(Alerter([RULE], [Recorder(failures=3)]), [snapshot(cpu=90.0)] * 5)

    assert [record.message for record in caplog.records] == [
        "alert levelpool: cpu burning did not go out through recorder: no route to host; it is sent again at each check",
        "alerts go out through recorder again",
    ]


async def test_silence_holds_back_what_is_sent_again(snapshot):
    """As it does what is sent first; what still burns after it is told."""
    channel = Recorder(failures=1)
    alerter = Alerter([RULE], [channel])
    await watch(alerter, [snapshot(cpu=90.0)])
    alerter.silence("cpu", 3600)
    await watch(alerter, [snapshot(cpu=91.0)])
    assert channel.sent == []

    alerter.silence("cpu", 0)
    await watch(alerter, [snapshot(cpu=92.0)])
    assert [each.message for each in channel.sent] == ["92 %"]


async def test_alert_that_ends_within_a_silence_and_was_taken_nowhere_is_never_told(snapshot):
    """Neither its beginning nor its end, also when the channel works again."""
    channel = Recorder(failures=1)
    alerter = Alerter([RULE], [channel])
    await watch(alerter, [snapshot(cpu=90.0)])
    alerter.silence("cpu", 3600)
    await watch(alerter, [snapshot(), snapshot()])
    alerter.silence("cpu", 0)
    await watch(alerter, [snapshot()])

    assert channel.sent == []


async def test_alert_on_its_way_is_not_sent_a_second_time(snapshot):
    """A channel that takes longer than a check gets each alert once."""
    gate = asyncio.Event()

    class Slow(Recorder):
        async def send(self, alert):
            await gate.wait()
            return await super().send(alert)

    channel = Slow()
    alerter = Alerter([RULE], [channel])
    for value in (90.0, 91.0, 10.0):
        alerter.observe(snapshot(cpu=value))
        await asyncio.sleep(0)
    gate.set()
    await alerter.drain()

    assert [each.message for each in channel.sent] == ["90 %", "10 %"]


@pytest.mark.parametrize("set_by", [timedelta(0), timedelta(days=-1), timedelta(minutes=-5)], ids=["same", "a day back", "minutes back"])
async def test_clock_that_is_set_back_keeps_no_alert_silent(snapshot, set_by):
    """The cool-down counts on the clock that nobody sets; what is sent again waits for no clock."""
    channel, seconds = Recorder(failures=1), 0.0
    alerter = Alerter([RULE], [channel], clock=lambda: seconds)
    quiet = snapshot()
    await watch(alerter, [snapshot(cpu=90.0), replace(snapshot(cpu=91.0), at=quiet.at + set_by), replace(quiet, at=quiet.at + set_by)])
    seconds = 600.0
    await watch(alerter, [replace(snapshot(cpu=92.0), at=quiet.at + set_by)])

    assert [each.message for each in channel.sent] == ["91 %", "10 %", "92 %"]


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
