"""A refusal that reaches a task ends it, like any other exception (TASK-3, TASK-4)."""

from __future__ import annotations

import pytest

from supervisors import Crashed, DynamicSupervisor, Refusal, count_children
from supervisors.tasks import TaskSupervisor, async_nolink, await_
from supervisors.tasks.handle import TaskExitError


class NotNow(Refusal):
    code = "not_now"


def refuse():
    raise NotNow("later")


def test_a_task_that_meets_a_refusal_has_crashed_by_it(real):
    tasks = real.start(TaskSupervisor)
    task = async_nolink(tasks, refuse)
    with pytest.raises(TaskExitError) as caught:
        await_(task)
    assert isinstance(caught.value.reason, Crashed)
    assert isinstance(caught.value.reason.error, NotNow)


def test_nothing_of_it_is_left(real):
    tasks = real.start(TaskSupervisor)
    task = async_nolink(tasks, refuse)
    task.ref.join(timeout=5)
    assert count_children(tasks).active == 0
    assert isinstance(tasks.actor_class, type)
    assert issubclass(tasks.actor_class, DynamicSupervisor)
