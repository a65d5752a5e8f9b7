"""OpenTelemetry across the boundary, with the real SDK: one trace from the request to what a worker records."""

import subprocess
import sys
import textwrap

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import lane_tasks
import span_tasks
from levelpool import ExecutorManager, WorkerDied


@pytest.fixture(scope="module")
def exporter():
    """Where the spans of this process go."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture(autouse=True)
def _clean(exporter):
    exporter.clear()


async def test_call_has_a_span_below_the_callers(exporter):
    """The span of a call is a child of the span it was made in, and says how long it waited and ran, where, and how it ended."""
    async with ExecutorManager(cpu_workers=1, io_workers=1) as manager:
        with trace.get_tracer("test").start_as_current_span("request") as request:
            await manager.run_cpu_intensive(lane_tasks.add, 1, 2)
        pid = manager.worker_pids()[0]
    call, outer = exporter.get_finished_spans()

    assert (call.name, outer.name) == ("lane_tasks.add", "request")
    assert call.parent.span_id == request.get_span_context().span_id
    assert call.attributes["levelpool.outcome"] == "succeeded"
    assert call.attributes["levelpool.worker"] == pid
    assert call.attributes["levelpool.wait"] >= 0 < call.attributes["levelpool.run"]


async def test_span_of_a_worker_is_below_the_call(exporter, tmp_path):
    """What a task records itself, with the SDK that its own module sets up, belongs to the same trace, below the call."""
    file = tmp_path / "spans"
    async with ExecutorManager(cpu_workers=1, io_workers=1) as manager:
        await manager.run_cpu_intensive(span_tasks.record, str(file))
    (call,) = exporter.get_finished_spans()

    name, trace_id, parent_id = file.read_text().split()
    assert name == "inside"
    assert int(trace_id) == call.context.trace_id
    assert int(parent_id) == call.context.span_id


async def test_span_says_how_a_call_failed(exporter):
    """A call whose worker dies has a span with its outcome and an error status."""
    async with ExecutorManager(cpu_workers=1, io_workers=1) as manager:
        with pytest.raises(WorkerDied):
            await manager.run_cpu_intensive(lane_tasks.leave, 3)
    (call,) = exporter.get_finished_spans()

    assert call.attributes["levelpool.outcome"] == "died"
    assert not call.status.is_ok


def test_nothing_is_imported_where_nobody_traces():
    """A program without OpenTelemetry pays nothing: neither it nor its workers import it."""
    program = textwrap.dedent("""
        import asyncio, sys
        import lane_tasks
        from levelpool import ExecutorManager

        async def main():
            async with ExecutorManager(cpu_workers=1, io_workers=1) as manager:
                await manager.run_cpu_intensive(lane_tasks.add, 1)
                there = await manager.run_cpu_intensive(lane_tasks.has_module, "opentelemetry")
                print(there, "opentelemetry" in sys.modules)

        if __name__ == "__main__":
            asyncio.run(main())
    """)
    environment = {"PYTHONPATH": "tests", "PATH": "/usr/bin:/bin"}

    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
