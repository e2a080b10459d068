"""Run the standard library's own tests of executors with ours in place of its own.

    python tests/contracts/futures_suite.py [unittest arguments]

They come from the package `test` of the interpreter that runs this; some installations leave
it out, and before Python 3.12 it is one file, which does not let itself be taken apart.
What differs on purpose is left out by name, with the reason; the same table stands in
`docs/explanation/pools.md`.
"""

from __future__ import annotations

import importlib
import sys
import unittest
from functools import partial
from typing import Any

from supervisors.pools import PoolExecutor, TaskError

PACKAGE = "test.test_concurrent_futures"

DIFFERENT = {
    # Both kinds.
    "test_max_workers_negative": "the error is an InvalidArgumentError, a ValueError with other words",
    "test_hang_issue12364": "looks at private attributes",
    "test_interpreter_shutdown": "starts a program with the standard library's executor",
    "test_submit_after_interpreter_shutdown": "starts a program with the standard library's executor",
    "test_hang_gh94440": "replaces the standard library's call queue",
    "test_cancel_futures": "looks at private attributes",
    "test_hang_gh83386": "starts a program with the standard library's executor",
    # Threads.
    "test_default_workers": "looks at private attributes",
    "test_saturation": "looks at private attributes",
    "test_idle_thread_reuse": "looks at private attributes",
    "test_hang_global_shutdown_lock": "is about the standard library's executors alone",
    # Processes.
    "test_map_chunksize": "tasks are given to processes in batches by themselves; a chunk size changes nothing",
    "test_traceback": "the traceback of the process is a note of the exception, not its cause",
    "test_killed_child": "a dead process costs its own task; the pool goes on, as it should",
    "test_error_during_result_pickle_on_worker": "a TransportError, which tells that it was the result, and why",
    "test_exit_during_result_pickle_on_worker": "a TransportError, which tells that it was the result, and why",
    "test_max_workers_too_large": "is about Windows",
    "test_idle_process_reuse_one": "looks at private attributes",
    "test_idle_process_reuse_multiple": "looks at private attributes",
    "test_max_tasks_per_child": "looks at private attributes; here it is recycle=Recycle(tasks=...)",
    "test_max_tasks_per_child_defaults_to_spawn_context": "looks at private attributes",
    "test_max_tasks_early_shutdown": "an argument that is not offered: recycle=Recycle(tasks=...)",
    "test_python_finalization_error": "replaces what the standard library's executor calls",
    "test_shutdown_deadlock_pickle": "looks at private attributes",
    "test_gh105829_should_not_deadlock_if_wakeup_pipe_full": "replaces a part of the standard library's executor",
}


def main(arguments: list[str]) -> int:
    """Run the suite; return 0 if all is well, 1 if not, 2 if it is not there."""
    try:
        shared = importlib.import_module(f"{PACKAGE}.executor")
        waiting = importlib.import_module(f"{PACKAGE}.test_wait")
        completed = importlib.import_module(f"{PACKAGE}.test_as_completed")
        shutdown = importlib.import_module(f"{PACKAGE}.test_shutdown")
        initializing = importlib.import_module(f"{PACKAGE}.test_init")
        threads = importlib.import_module(f"{PACKAGE}.test_thread_pool")
        processes = importlib.import_module(f"{PACKAGE}.test_process_pool")
        deadlock = importlib.import_module(f"{PACKAGE}.test_deadlock")
        util = importlib.import_module(f"{PACKAGE}.util")
    except ModuleNotFoundError:
        print(f"this Python {sys.version.split()[0]} has no package {PACKAGE}", file=sys.stderr)  # noqa: T201
        return 2
    # A dead process costs its own task here, so a task's error stands where the pool's does there.
    deadlock.BrokenProcessPool = TaskError
    both = (
        shared.ExecutorTest,
        waiting.WaitTests,
        completed.AsCompletedTests,
        shutdown.ExecutorShutdownTest,
        initializing.InitializerMixin,
    )
    suite = unittest.TestSuite()
    for kind, own in (
        ("thread", (_own_tests(threads.ThreadPoolExecutorTest),)),
        ("process", (_own_tests(processes.ProcessPoolExecutorTest), deadlock.ExecutorDeadlockTest)),
    ):
        facts: dict[str, Any] = {"executor_type": staticmethod(partial(_make, kind)), "ctx": "spawn"}
        mixin = type(f"{kind.title()}Mixin", (util.ExecutorMixin,), facts)
        for cases in (*both, *own):
            name = f"{kind.title()}{cases.__name__}"
            case = type(name, (mixin, cases, util.BaseTestCase), {"__module__": __name__, **facts})
            for test in unittest.defaultTestLoader.getTestCaseNames(case):
                if test not in DIFFERENT:
                    suite.addTest(case(test))
    wanted = [each for each in arguments if not each.startswith("-")]
    if wanted:
        suite = unittest.TestSuite(test for test in suite if any(each in test.id() for each in wanted))
    result = unittest.TextTestRunner(verbosity=2 if "-v" in arguments else 1).run(suite)
    return 0 if result.wasSuccessful() and result.testsRun else 1


def _own_tests(case: Any) -> type:
    """Return the tests that a case has of its own, without those that it inherits."""
    return type(case.__name__, (), {name: value for name, value in vars(case).items() if name.startswith("test")})


def _make(kind: Any, max_workers: int | None = None, mp_context: object = None, **options: Any) -> PoolExecutor:
    del mp_context  # processes are always started anew
    return PoolExecutor(max_workers, kind=kind, **options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
