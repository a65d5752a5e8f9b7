"""What `make run` starts: the service, with a sample inbox on the first run."""

import os
import signal
import sys
from pathlib import Path

import make_inbox
from levelpool.errors import SettingsError
from levelpool.settings import Settings


def main() -> None:
    """Write the sample inbox unless there is an inbox already, then become `levelpool serve`."""
    try:
        settings = Settings.read()
    except SettingsError as error:
        sys.exit(f"levelpool: {error}")
    inbox = settings.inbox or settings.data_dir / "inbox"
    if not inbox.exists():
        make_inbox.main(inbox)
        print(f"sample files written to {inbox}", flush=True)
    _take_the_terminal()
    os.execv(Path(sys.executable).with_name("levelpool"), ["levelpool", "serve"])


def _take_the_terminal() -> None:
    """
    Let Ctrl-C reach the service alone, as a shell does for the job in front.

    make would die of the same Ctrl-C and end with its status instead of the service's.
    """
    if not sys.stdin.isatty():
        return
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.setpgid(0, 0)
    os.tcsetpgrp(sys.stdin.fileno(), os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)


if __name__ == "__main__":
    main()
