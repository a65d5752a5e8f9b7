"""Tracebacks where something stands in the way of Python's own."""

import sys
from importlib.machinery import ModuleSpec

import pytest

from levelpool import tracebacks


class BrokenLoader:
    """The loader of a module, such as one inside an archive that is gone."""

    @property
    def get_source(self):
        raise RuntimeError("the archive is gone")


def function_of_a_broken_module(tmp_path, source):
    """The function `work` of a module whose loader fails when it is asked for the source."""
    path = tmp_path / "broken.py"
    path.write_text(source)
    loader = BrokenLoader()
    namespace = {"__name__": "broken", "__loader__": loader, "__spec__": ModuleSpec("broken", loader)}
    exec(compile(source, str(path), "exec"), namespace)
    return namespace["work"]


def caught(call):
    with pytest.raises(ValueError, match="no such order") as info:
        call()
    return info.value


def test_an_ordinary_traceback_is_pythons_own():
    """Nothing is added, and nothing left out."""

    def work():
        raise ValueError("no such order")

    text = tracebacks.format_error(caught(work))

    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("\nValueError: no such order\n")


def test_loader_that_fails_costs_neither_lines_nor_causes(tmp_path):
    """The frames with their source, the cause above, the message, and why it is told in brief."""
    source = "def work():\n    try:\n        {}[7]\n    except KeyError as error:\n        raise ValueError('no such order') from error\n"
    text = tracebacks.format_error(caught(function_of_a_broken_module(tmp_path, source)))

    cause, _, error = text.partition("\nwhich led to:\n\n")
    assert cause.startswith("Traceback (most recent call last):\n")
    assert cause.endswith(f'  File "{tmp_path / "broken.py"}", line 3, in work\n    {{}}[7]\nKeyError: 7\n')
    assert "line 5, in work\n    raise ValueError('no such order') from error\nValueError: no such order\n" in error
    assert text.endswith("(told in brief: Python's own traceback of it cannot be made: RuntimeError('the archive is gone'))\n")


def test_circle_of_causes_ends(tmp_path):
    """Each error is told once."""
    error = caught(function_of_a_broken_module(tmp_path, "def work():\n    raise ValueError('no such order')\n"))
    other = KeyError(7)
    error.__cause__, other.__cause__ = other, error

    assert tracebacks.format_error(error).count("no such order\n") == 1


def test_stack_through_a_broken_loader_is_there(tmp_path):
    """Whoever asks what a thread does gets its lines."""
    work = function_of_a_broken_module(tmp_path, "def work(look):\n    return look()\n")

    summary = work(lambda: tracebacks.extract_stack(sys._getframe()))

    assert [(each.name, each.line) for each in summary][-2] == ("work", "return look()")
