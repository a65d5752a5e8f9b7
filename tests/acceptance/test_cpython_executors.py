"""CPython's own tests of executors, run against the drop-in executors of both lanes."""

import unittest

import pytest

import cpython_suite
from levelpool import ExecutorManager

if cpython_suite.why_not():
    pytest.skip(cpython_suite.why_not(), allow_module_level=True)

suite = cpython_suite.load()

NOT_APPLICABLE = {
    "test_interpreter_shutdown": "its program imports the executor from concurrent.futures; ours is tried in test_lane_life",
    "test_submit_after_interpreter_shutdown": "its program imports the executor from concurrent.futures",
    "test_hang_gh83386": "its program imports the executor from concurrent.futures, with an mp_context",
    "test_max_workers_negative": "executors are not made from a number here; ExecutorManager refuses it in its own words",
    "test_max_workers_too_large": "a limit of Windows, and made from a number",
    "test_killed_child": "expects BrokenProcessPool: here a death costs one call, tried in test_process_lane",
    "test_traceback": "looks at a private class of concurrent.futures; the worker's traceback is tried in test_process_lane",
    "test_ressources_gced_in_workers": "needs an mp_context for a manager process",
    "test_saturation": "looks at private attributes",
    "test_idle_process_reuse_one": "looks at private attributes",
    "test_idle_process_reuse_multiple": "looks at private attributes",
    "test_max_tasks_per_child": "needs an mp_context; worker_max_tasks is tried in test_process_lane",
    "test_max_tasks_per_child_defaults_to_spawn_context": "looks at private attributes",
    "test_max_tasks_early_shutdown": "needs an mp_context",
}
"""Tests of private attributes, of names inside concurrent.futures, and of mp_context, each with its reason."""

SHARED = [suite.ExecutorShutdownTest, suite.WaitTests, suite.AsCompletedTests]


def lane_mixin(door):
    """What the suite's own mixins do: an executor of five workers for each test."""

    class LaneMixin(suite.ExecutorMixin):
        @staticmethod
        def executor_type(max_workers):
            executor = getattr(ExecutorManager(cpu_workers=max_workers, io_workers=max_workers, preload=["cpython_suite"]), door)
            # Some tests expect that a call begins the moment it is submitted, so the first worker has to be there.
            executor.submit(int).result()
            return executor

    return LaneMixin


def test_case(name, mixin, tests):
    """The test case of *tests* for one lane, without what is not applicable."""
    skipped = {test: unittest.skip(reason)(lambda self: None) for test, reason in NOT_APPLICABLE.items() if hasattr(tests, test)}
    return type(name, (mixin, tests, suite.BaseTestCase), skipped)


test_case.__test__ = False

for door in ("cpu_executor", "io_executor"):
    for tests in (*SHARED, suite.ProcessPoolExecutorTest if door == "cpu_executor" else suite.ExecutorTest):
        name = f"Test_{door}_{tests.__name__}"
        globals()[name] = test_case(name, lane_mixin(door), tests)
