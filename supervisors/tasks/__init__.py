"""Tasks: supervised functions, awaited or not, one or very many."""

from supervisors.tasks.handle import Task, TaskAnswer, TaskDone, TaskExited, TaskExitError
from supervisors.tasks.stream import async_stream, async_stream_nolink
from supervisors.tasks.task import (
    TaskActor,
    TaskSupervisor,
    async_,
    async_nolink,
    await_,
    shutdown,
    start_child,
    yield_,
)

__all__ = [
    "Task",
    "TaskActor",
    "TaskAnswer",
    "TaskDone",
    "TaskExitError",
    "TaskExited",
    "TaskSupervisor",
    "async_",
    "async_nolink",
    "async_stream",
    "async_stream_nolink",
    "await_",
    "shutdown",
    "start_child",
    "yield_",
]
