"""A module with an exception, which takes a moment to import."""

import time

time.sleep(0.3)


class SlowError(Exception):
    """Its module is imported by whoever gets it."""
