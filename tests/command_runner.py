"""
Runs commands one after another, as a shell would, and stops at the first that fails: `python command_runner.py < COMMANDS`, one a line.

Commands of `levelpool` run in this one process: each has the options, the output and the exit status of the program, without a second for its
imports. Everything else goes to a shell.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from levelpool.cli import main

CURL = 'curl() { command curl --silent --show-error --fail-with-body "$@"; }\n'
"""curl ends with an error where the service refuses; it would print the refusal and end with 0."""


def run(command: str) -> int:
    """The exit status of *command*."""
    if command.startswith("levelpool ") and not re.search(r"[|&;<>$`]", command):
        sys.argv = shlex.split(command)
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
    return subprocess.run(["bash", "-euc", CURL + command], check=False, stdin=subprocess.DEVNULL).returncode


if __name__ == "__main__":
    for line in Path("/dev/stdin").read_text(encoding="utf-8").splitlines():
        print(f"$ {line}", flush=True)
        status = run(line)
        if status:
            sys.exit(f"that ended with {status}: {line}")
