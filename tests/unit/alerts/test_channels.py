"""Channels, against a real HTTP server on this machine."""

import asyncio
import http.server
import json
import threading
from datetime import UTC, datetime

import pytest

from levelpool.alerts.alert import Alert
from levelpool.alerts.channels import ChannelError, LogChannel, open_channels
from levelpool.errors import SettingsError

ALERT = Alert("cpu", "95 % of 2 CPUs", 95.0, 80.0, 70.0, datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))


async def run(call):
    """Run a blocking call beside the loop, as the thread lane does."""
    return await asyncio.get_running_loop().run_in_executor(None, call)


@pytest.fixture
def webhook():
    """A server that takes alerts: (url, what came in, a dict whose `status` is its answer)."""
    got, answer = [], {"status": 200}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answer["status"])
            self.end_headers()

        def log_message(self, *_args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"json://someone:s3cret@127.0.0.1:{server.server_port}/hook", got, answer
        server.shutdown()
        thread.join()


async def test_webhook_gets_title_and_message(webhook):
    """The alert arrives as it was worded, and the name of the channel shows no secret."""
    url, got, _ = webhook
    _, channel = open_channels((url,), run)

    await channel.send(ALERT)

    assert (got[0]["title"], got[0]["message"]) == ("levelpool: cpu burning", "95 % of 2 CPUs")
    assert channel.name == "1 JSON"


async def test_webhook_that_refuses_says_why(webhook):
    """What Apprise logs of the answer is the message of the error."""
    url, _, answer = webhook
    answer["status"] = 500
    _, channel = open_channels((url,), run)

    with pytest.raises(ChannelError, match="500"):
        await channel.send(ALERT)


def test_unknown_scheme_stops_the_start_without_showing_the_url(caplog):
    """The rest of the URL may be a secret."""
    with pytest.raises(SettingsError, match=r"Apprise cannot use URL 1 \(nosuch:\.\.\.\)") as got:
        open_channels(("nosuch://s3cret@host",), run)

    assert "s3cret" not in str(got.value) + caplog.text


async def test_log_is_always_a_channel(caplog):
    """Without any URL alerts are in the log."""
    (channel,) = open_channels((), run)

    assert isinstance(channel, LogChannel)
    await channel.send(ALERT)
    assert "levelpool: cpu burning: 95 % of 2 CPUs" in caplog.text
