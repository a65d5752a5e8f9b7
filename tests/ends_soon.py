"""Preloaded where a test waits for a worker that does not end: its time for that is short."""

import atexit

from levelpool.lanes.process import exit_functions

exit_functions.EXIT_TIMEOUT = 0.2

# What is registered here belongs to the process that imports this, and no worker runs it.
atexit.register(print, "a worker has run what the fork server has registered", flush=True)
