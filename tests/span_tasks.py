"""A task that records a span of its own, with an SDK that is set up where it runs."""

from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult


class FileExporter(SpanExporter):
    """Writes name, trace and parent of each span into a file."""

    def __init__(self, path):
        self.path = path

    def export(self, spans):
        with Path(self.path).open("a", encoding="ascii") as file:
            file.writelines(f"{span.name} {span.context.trace_id} {span.parent.span_id}\n" for span in spans)
        return SpanExportResult.SUCCESS


def record(path):
    """Record one span into *path*."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(FileExporter(path)))
    with trace.get_tracer("inside", tracer_provider=provider).start_as_current_span("inside"):
        pass
