"""
OpenTelemetry spans around calls, and their way into worker processes; the only door to OpenTelemetry.

A program that has not imported OpenTelemetry has no spans to join: then nothing is imported here either, and a call pays one look into `sys.modules`.
"""

import logging
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


logger = logging.getLogger(__name__)


class Span:
    """The span of one call, from its submission to its outcome; `carrier` takes it to another process."""

    __slots__ = ("_span", "carrier")

    def __init__(self, span: Any, carrier: dict[str, str]) -> None:
        self._span = span
        self.carrier = carrier

    def ran(self, *, wait: float, run: float, worker: int) -> None:
        """Note the seconds that the call waited and ran, and the process id of its worker."""
        self._span.set_attribute("levelpool.wait", wait)
        self._span.set_attribute("levelpool.run", run)
        self._span.set_attribute("levelpool.worker", worker)

    def end(self, outcome: str) -> None:
        """The call ended like this: "succeeded", "failed", "cancelled", "timed_out", "died" or "refused"."""
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - optional

        self._span.set_attribute("levelpool.outcome", outcome)
        if outcome != "succeeded":
            self._span.set_status(StatusCode.ERROR, outcome)
        self._span.end(time.time_ns())


class Tracing:
    """Begins spans, once the program uses OpenTelemetry."""

    __slots__ = ("_tracer",)

    def __init__(self) -> None:
        self._tracer: Tracer | None = None

    def begin(self, task: str) -> Span | None:
        """A span for a call of *task*, below the caller's; None where nobody records."""
        if "opentelemetry.trace" not in sys.modules:
            return None
        try:
            return self._begin(task)
        except Exception:  # a sampler or a processor that fails must not cost the call
            logger.exception("no span for %s", task)
            return None

    def _begin(self, task: str) -> Span | None:
        from opentelemetry import propagate, trace  # noqa: PLC0415 - optional

        if self._tracer is None:
            self._tracer = trace.get_tracer("levelpool")
        span = self._tracer.start_span(task, kind=trace.SpanKind.INTERNAL)
        if not span.is_recording() and not span.get_span_context().is_valid:
            return None
        carrier: dict[str, str] = {}
        propagate.inject(carrier, context=trace.set_span_in_context(span))
        return Span(span, carrier)


def join(carrier: Mapping[str, str]) -> None:
    """In a worker: spans of this context belong to the trace that *carrier* came from."""
    try:
        from opentelemetry import context, propagate  # noqa: PLC0415 - optional
    except ImportError:
        return
    context.attach(propagate.extract(carrier))


def flush() -> None:
    """In a worker that ends: let what it has recorded go out."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is not None:
        force_flush = getattr(trace.get_tracer_provider(), "force_flush", None)
        if force_flush is not None:
            force_flush()
