"""
Tracebacks as text, whatever stands in their way.

To show its lines of source, Python asks loaders and specs of other people's modules, and what those raise comes through. From 3.15 on a
module without a spec, such as a worker's copy of the main program, is a DeprecationWarning there: under `-W error` an exception.
"""

import linecache
import traceback
from collections.abc import Iterator
from types import FrameType


def format_error(error: BaseException) -> str:
    """The traceback of *error*, as `traceback.format_exception` says it; plainer, with the reason below, where that fails."""
    try:
        return "".join(traceback.format_exception(error))
    except Exception as broken:  # noqa: BLE001 - the error of a task arrives, whatever its program has done to modules
        return f"{_plainly(error)}(told in brief: Python's own traceback of it cannot be made: {broken!r})\n"


def extract_stack(frame: FrameType) -> traceback.StackSummary:
    """The stack down to *frame*, the innermost last, as `traceback.extract_stack` has it, or without carets where that fails."""
    try:
        return traceback.extract_stack(frame)
    except Exception:  # noqa: BLE001 - as above
        outwards = [(each.f_code.co_filename, number, each.f_code.co_name, None) for each, number in traceback.walk_stack(frame)]
        return traceback.StackSummary.from_list(outwards[::-1])


def type_name(error: BaseException) -> str:
    """The name of its type, with its module unless that is builtins."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def message_of(error: BaseException) -> str:
    """What it says of itself."""
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - a `__str__` that fails must not hide the error itself
        return f"(its message cannot be shown: {broken!r})"


def _plainly(error: BaseException) -> str:
    """*error* and what led to it, the first one at the top, without what needs a module's own loader."""
    chain = [error]
    while (earlier := _earlier(chain[-1])) is not None and not any(earlier is each for each in chain):
        chain.append(earlier)
    return "\nwhich led to:\n\n".join("".join(_lines(each)) for each in reversed(chain))


def _earlier(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _lines(error: BaseException) -> Iterator[str]:
    yield "Traceback (most recent call last):\n"
    for frame, number in traceback.walk_tb(error.__traceback__):
        yield f'  File "{frame.f_code.co_filename}", line {number}, in {frame.f_code.co_name}\n'
        source = linecache.getline(frame.f_code.co_filename, number).strip()
        if source:
            yield f"    {source}\n"
    yield f"{type_name(error)}: {message_of(error)}\n"
