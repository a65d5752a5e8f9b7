"""What goes wrong again and again is said once in the log, until it is something else or over."""

import logging


class LogOnce:
    """Says a sentence when it is another than the one before."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._said = ""

    def say(self, sentence: str, error: BaseException | None = None, *, cause: str = "") -> None:
        """Say *sentence*, with the traceback of *error* if there is one, unless its *cause* (or, without one, itself) was said last."""
        if (cause or sentence) != self._said:
            self._logger.warning("%s", sentence, exc_info=error)
        self._said = cause or sentence

    def is_over(self) -> None:
        """It went well: the same sentence is news again."""
        self._said = ""
