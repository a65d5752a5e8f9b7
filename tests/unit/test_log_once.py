"""What goes wrong again and again."""

import logging

from levelpool.log_once import LogOnce


def test_the_same_is_said_once_until_it_is_over(caplog):
    """Something else is news, and so is the same after it went well."""
    log = LogOnce(logging.getLogger("levelpool.test"))
    for sentence in ("away", "away", "full", "full"):
        log.say(sentence)
    log.is_over()
    log.say("full", ValueError("why"))

    assert [record.getMessage() for record in caplog.records] == ["away", "full", "full"]
    assert "ValueError: why" in caplog.text
