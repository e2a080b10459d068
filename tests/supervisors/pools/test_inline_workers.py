"""Workers without a thread: whatever happens in one, the pool goes on."""

from __future__ import annotations

import pytest

from supervisors.pools import PoolFailedError, WorkerPool


class Odd(BaseException):
    """Not an `Exception`."""


def raise_it(error):
    raise error


@pytest.mark.parametrize("error", [Odd("odd"), SystemExit(3), GeneratorExit()])
def test_whatever_a_task_raises_is_its_outcome_and_the_next_one_runs(error):
    with WorkerPool(None, 1, kind="inline") as pool:
        assert pool.submit(raise_it, error).exception(timeout=0) is error
        assert pool.submit(int).result(timeout=0) == 0


def test_ctrl_c_in_a_task_goes_to_whoever_has_submitted_it_and_the_next_one_runs():
    with WorkerPool(None, 1, kind="inline") as pool:
        with pytest.raises(KeyboardInterrupt):
            pool.submit(raise_it, KeyboardInterrupt())
        assert pool.submit(int).result(timeout=10) == 0  # a thread of the pool's system may go on with it
        facts = pool.statistics()
    assert (facts.submitted, facts.done, facts.failed) == (2, 1, 1)


def test_what_lies_ready_when_ctrl_c_comes_is_done_by_somebody_else():
    with WorkerPool(None, 1, kind="inline") as pool:

        def submit_and_break():
            later.append(pool.submit(int))  # it runs after this one
            raise KeyboardInterrupt

        later = []
        with pytest.raises(KeyboardInterrupt):
            pool.submit(submit_and_break)
        assert later[0].result(timeout=10) == 0


@pytest.mark.parametrize("hook", ["setup", "reset"])
def test_a_hook_that_raises_whatever_it_may_is_told(hook):
    class Worker:
        def handle(self):
            raise ValueError("its task fails")

    def raise_odd(_self):
        raise Odd(hook)

    setattr(Worker, hook, raise_odd)
    with WorkerPool(Worker, 1, kind="inline", start_failures_max=1) as pool:
        if hook == "setup":
            with pytest.raises(PoolFailedError, match="Odd"):
                pool.submit().result(timeout=10)
        else:
            for _ in range(2):  # by a worker, and by its successor
                with pytest.raises(ValueError, match="its task"):
                    pool.submit().result(timeout=10)
            assert pool.statistics().died >= 1
