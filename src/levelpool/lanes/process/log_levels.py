"""
Which log records the program wants: the levels of its loggers, as a worker process has them too.

A record that the program would drop need not be made and sent; one that it would keep must be. So a worker starts with the program's levels, and hears of
each change with its next call. What a task sets in its own process stays, until the program changes the same.
"""

import logging
from typing import Any

Levels = dict[str, Any]

_OURS = logging.getLogger("levelpool.lanes.process.log_levels")
_MARK = "unchanged since the last look"


def log_levels() -> Levels:
    """The levels now: of the root, of each logger that has one of its own, of all together; their names; whether warnings are logged."""
    known = dict(logging.root.manager.loggerDict)
    loggers = [logger for logger in known.values() if isinstance(logger, logging.Logger)]
    return {
        "root": logging.root.level,
        "levels": {logger.name: logger.level for logger in loggers if logger.level},
        "disabled": [logger.name for logger in loggers if logger.disabled],
        "disable": logging.root.manager.disable,
        "names": {name: level for name, level in logging.getLevelNamesMapping().items() if _PLAIN.get(name) != level},
        "captures_warnings": captures_warnings(),
    }


_PLAIN = {name: getattr(logging, name) for name in ("CRITICAL", "FATAL", "ERROR", "WARN", "WARNING", "INFO", "DEBUG", "NOTSET")}


def captures_warnings() -> bool:
    """Whether `logging.captureWarnings` is in force."""
    return logging._warnings_showwarning is not None  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other way to see it


class _Watch:
    """Notices that a level has changed, at the price of one look into a dictionary: `logging` empties the cache of every logger then."""

    __slots__ = ("_cache", "_captures", "_version")

    def __init__(self) -> None:
        self._cache: dict[Any, bool] = vars(_OURS).get("_cache", {})
        self._version = 0
        self._arm()

    def _arm(self) -> None:
        self._cache[_MARK] = True
        self._captures = captures_warnings()

    def version(self) -> int:
        """Another number after each change."""
        # As `captures_warnings` does it: this is asked with each call.
        if _MARK not in self._cache or (logging._warnings_showwarning is not None) is not self._captures:  # type: ignore[attr-defined]  # noqa: SLF001
            self._version += 1
            self._arm()
        return self._version


levels_version = _Watch().version
"""Another number whenever `log_levels` may have changed since the last time that anybody asked."""


def apply_levels(now: Levels, before: Levels) -> None:
    """In a worker: change what has changed in the program."""
    if now == before:
        return
    if now["root"] != before["root"]:
        logging.root.setLevel(now["root"])
    for name in now["levels"].keys() | before["levels"].keys():
        level = now["levels"].get(name, logging.NOTSET)
        if level != before["levels"].get(name, logging.NOTSET):
            logging.getLogger(name).setLevel(level)
    for name in set(now["disabled"]) ^ set(before["disabled"]):
        logging.getLogger(name).disabled = name in now["disabled"]
    if now["disable"] != before["disable"]:
        logging.disable(now["disable"])
    for name, level in now["names"].items():
        if before["names"].get(name) != level:
            logging.addLevelName(level, name)
    if now["captures_warnings"] != before["captures_warnings"]:
        logging.captureWarnings(now["captures_warnings"])


NO_LEVELS: Levels = {
    "root": logging.WARNING,
    "levels": {},
    "disabled": [],
    "disable": logging.NOTSET,
    "names": {},
    "captures_warnings": False,
}
"""As a fresh interpreter has them."""
