"""Tasks: functions that run once, as supervised actors (TASK-1 to TASK-10).

::

    tasks = system.start(TaskSupervisor)
    task = async_(tasks, fetch, url)        # runs on a worker from now on
    ...
    page = await_(task)                     # its result, or what went wrong

Everything here works in an actor's turn and on a plain thread. An actor is linked to
its tasks by `async_()`, gets the answers as messages too (`TaskAnswer`, then `Down`),
and can handle them there instead of waiting. A plain thread has no mailbox and
cannot be linked: it has `await_()`, `yield_()` and `shutdown()`.

**What a thread cannot do.** A function that runs is not interrupted. A task that is
told to end does so when its function returns. One that is killed ends at once; its
thread is abandoned, and nothing that the function does to actors counts any more
(`supervisors.runtime.fence`).

Source: Elixir's `Task` and `Task.Supervisor`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, TypeVarTuple, cast, final

from supervisors.actor import Actor
from supervisors.addressee import Addressee, WrongActorError, ref_of
from supervisors.errors import Exit, InvalidArgumentError, InvalidTypeError, Refusal, UsageError
from supervisors.exits import KILLED, NOPROC, NORMAL, SHUTDOWN, Crashed
from supervisors.links import link, unlink
from supervisors.monitors import demonitor, monitor
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.outcomes import AskTimeoutError
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.signals import Signal
from supervisors.runtime.turn import current_ref
from supervisors.supervision import calls
from supervisors.supervision.child_spec import ChildSpec, RestartType, ShutdownBudget
from supervisors.supervision.dynamic import DynamicSupervisor
from supervisors.tasks.handle import Task, TaskAnswer, TaskDone, TaskExited, TaskExitError
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from supervisors.runtime.cell import Cell
    from supervisors.system import ActorSystem

__all__ = [
    "AWAIT_SECONDS",
    "TaskActor",
    "TaskSupervisor",
    "async_",
    "async_nolink",
    "await_",
    "checked_wait",
    "shutdown",
    "start_child",
    "start_task",
    "take_outcome",
    "task_supervisor",
    "yield_",
]

R = TypeVar("R")
Ts = TypeVarTuple("Ts")

AWAIT_SECONDS: Final = 5.0
"""How long a task is waited for by default, seconds."""

SHUTDOWN_SECONDS: Final = 5.0


class TaskSupervisor(DynamicSupervisor):
    """A dynamic supervisor of tasks; takes the same options, such as `max_children` (TASK-1, TASK-8).

    Example:
        >>> from supervisors import ActorSystem
        >>> with ActorSystem() as system:
        ...     tasks = system.start(TaskSupervisor)
        ...     await_(async_(tasks, max, 3, 5))
        5
    """


@final
class _Go(Signal):
    """Lets a task begin; nobody misses it where the task is killed before.

    Attributes:
        task: whose owner says so; None: nobody waits for an answer by message.
    """

    __slots__ = ("task",)

    def __init__(self, task: Task[Any] | None) -> None:
        self.task = task

    def apply(self, ref: Cell) -> object:
        del ref
        return self


@final
class TaskActor(Actor):
    """Runs one function and ends."""

    dispatch: ClassVar[str] = "shared"
    crash_on_ask_error: ClassVar[bool] = True

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], done: ScheduledFuture[Any] | None, *, is_told: bool
    ) -> None:
        super().__init__()
        self._is_told = is_told
        self._function = function
        self._args = args
        self._done = done

    def starting(self) -> None:
        """Go on with the function, unless the owner is to say when. Called by the runtime."""
        if not self._is_told:
            self._actor_ref.put_first(_Go(None))

    def receive_tell(self, message: Any) -> None:
        """Run the function when told to; drop anything else. Called by the runtime."""
        if message.__class__ is not _Go:
            return
        try:
            value = self._function(*self._args)
        except Refusal as refusal:
            # A refusal of somebody whom the function has asked. It is no answer of
            # this task's, and the task has ended by it as by any other exception.
            raise Exit(Crashed(refusal)) from refusal
        task = message.task
        if task is not None and task.monitor is not None:
            # The message first: whoever sees the outcome finds it in the mailbox.
            task.monitor.send(TaskAnswer(task, value))
        if self._done is not None:
            self._done.offer(TaskDone(value))
        raise Exit(NORMAL)

    def ended(self) -> None:
        """Say that no answer will come, if none has. Called by the runtime."""
        if self._done is not None:
            self._done.offer(TaskExited(self._actor_ref.exit_reason))


# -- one task ----------------------------------------------------------------


def start_child(
    supervisor: Addressee,
    function: Callable[[*Ts], object],
    *args: *Ts,
    restart: RestartType = "temporary",
    shutdown: ShutdownBudget = SHUTDOWN_SECONDS,
    system: ActorSystem | None = None,
) -> ActorRef[Any]:
    """Run a function whose result nobody wants; a crash affects nobody (TASK-2).

    Args:
        supervisor: a `TaskSupervisor`, or any dynamic supervisor: its ref, its name, or a `Via`.
        function: called with `args` on a worker thread; it may block.
        args: its arguments.
        restart: as in `ChildSpec`; a restarted task calls the function again.
        shutdown: as in `ChildSpec`.
        system: where to look a name up; not needed inside an actor.

    Raises:
        TooManyChildren: the supervisor is at its limit.
        ActorDeadError: the supervisor is dead.
        WrongActorError: it is no dynamic supervisor.
    """
    ref = task_supervisor(supervisor, system)
    return _start(ref, function, args, None, is_told=False, restart=restart, shutdown=shutdown)


def async_(
    supervisor: Addressee, function: Callable[[*Ts], R], *args: *Ts, system: ActorSystem | None = None
) -> Task[R]:
    """Run a function and have its answer later; the calling actor is linked to it (TASK-3, TASK-10).

    If the task crashes, a calling actor that does not trap exits ends with the same
    reason; if the calling actor ends abnormally, so does the task.

    Args:
        supervisor: a `TaskSupervisor`, or any dynamic supervisor: its ref, its name, or a `Via`.
        function: called with `args` on a worker thread; it may block.
        args: its arguments.
        system: where to look a name up; not needed inside an actor.

    Raises:
        TooManyChildren: the supervisor is at its limit (TASK-8).
        ActorDeadError: the supervisor is dead.
        WrongActorError: it is no dynamic supervisor.
    """
    return start_task(task_supervisor(supervisor, system), function, args, is_linked=True)


def async_nolink(
    supervisor: Addressee, function: Callable[[*Ts], R], *args: *Ts, system: ActorSystem | None = None
) -> Task[R]:
    """Do as `async_()` without the link: neither side's end affects the other (TASK-4)."""
    return start_task(task_supervisor(supervisor, system), function, args, is_linked=False)


def await_(task: Task[R], timeout: float | None = AWAIT_SECONDS) -> R:
    """Wait for the answer of a task and return it (TASK-3).

    The answer and the `Down` of the task are taken out of the caller's mailbox
    (TASK-5). A task can be awaited once, also if the time was up: then its answer is
    dropped. To look again later there is `yield_()`.

    Args:
        task: started by the caller.
        timeout: seconds to wait; None: without end.

    Raises:
        TaskExitError: it has ended without an answer.
        Exit: likewise, where it is linked to a calling actor that does not trap
            exits: the caller ends with the same reason.
        AskTimeoutError: the time is up; the task runs on.
        UsageError: somebody else has started it, or it was awaited before.
        InvalidArgumentError: the timeout is negative, not a number, or endless; None is without end.
    """
    own = _checked_owner(task)
    if not task.outcome.settle(checked_wait(timeout)):
        _settle(task, own)
        raise AskTimeoutError(cast("float", timeout), task.ref)
    outcome = take_outcome(task, own)
    if isinstance(outcome, TaskDone):
        return outcome.value
    raise TaskExitError(outcome.reason)


def yield_(task: Task[R], timeout: float | None = AWAIT_SECONDS) -> TaskDone[R] | TaskExited | None:
    """Wait for the outcome of a task; None if it still runs, and may be asked again (TASK-6).

    Args:
        task: started by whoever calls this.
        timeout: seconds to wait; None: without end.

    Raises:
        Exit: it has crashed, and is linked to a calling actor that does not trap exits.
        UsageError: somebody else has started it, or its outcome was taken before.
    """
    own = _checked_owner(task)
    if not task.outcome.settle(checked_wait(timeout)):
        return None
    return take_outcome(task, own)


def shutdown(task: Task[R], timeout: ShutdownBudget = SHUTDOWN_SECONDS) -> TaskDone[R] | TaskExited | None:
    """End a task (TASK-6).

    Args:
        task: started by the caller.
        timeout: seconds between the exit signals `shutdown` and `kill`; `infinity`:
            never `kill`; `brutal_kill`: `kill` at once.

    Returns:
        Its answer if that was there first; how it had ended if it had ended
        otherwise; None: it was told to end.

    Raises:
        UsageError: somebody else has started it.
        InvalidArgumentError: the timeout is neither seconds, 0 or more, nor one of the words.
        InvalidTypeError: likewise, for a value of another kind.
    """
    if isinstance(timeout, str):
        if timeout not in ("brutal_kill", "infinity"):
            raise InvalidArgumentError("timeout", timeout, "seconds, 0 or more; 'infinity'; 'brutal_kill'")
    else:
        timeout = checked_delay("timeout", timeout)
    if isinstance(task, Task) and task.is_taken:
        return TaskExited(NOPROC)
    own = _checked_owner(task)
    if own is not None and task.is_linked:
        unlink(own, task.ref, flush=True)  # its end is wanted, and no reason to end as well
        task.is_linked = False
    if timeout == "brutal_kill":
        task.ref.kill()
        task.outcome.settle(None)
    else:
        task.ref.exit(SHUTDOWN)
        if not task.outcome.settle(None if timeout == "infinity" else timeout):
            task.ref.kill()
            task.outcome.settle(None)
    outcome = task.outcome.get()
    _settle(task, own)
    if isinstance(outcome, TaskExited) and isinstance(outcome.reason, str) and outcome.reason in (SHUTDOWN, KILLED):
        return None
    return cast("TaskDone[R] | TaskExited | None", outcome)


# -- behind them ---------------------------------------------------------------


def task_supervisor(supervisor: Addressee, system: ActorSystem | None) -> ActorRef[Any]:
    """Return the dynamic supervisor that is meant."""
    allowed = "a TaskSupervisor or another DynamicSupervisor"
    ref = ref_of(supervisor, calls.Call, allowed, field="supervisor", system=system)
    if not issubclass(ref.actor_class, DynamicSupervisor):
        raise WrongActorError("supervisor", ref, allowed)
    return ref


def start_task(
    supervisor: ActorRef[Any],
    function: Callable[..., R],
    args: tuple[Any, ...],
    *,
    is_linked: bool,
    dispatch: str = TaskActor.dispatch,
) -> Task[R]:
    """Start a task for the calling actor or thread; what the two ways of `async` have in common.

    Args:
        supervisor: a dynamic supervisor.
        function: called with `args`.
        args: its arguments.
        is_linked: whether an end of one side ends the other.
        dispatch: `"pinned"` is a thread of its own: the function starts, and can be killed, also
            while all workers are busy.
    """
    own = cast("ActorRef[Any] | None", current_ref())
    done: ScheduledFuture[Any] = ScheduledFuture(supervisor.system.scheduler)
    ref = _start(supervisor, function, args, done, is_told=own is not None, dispatch=dispatch)
    done.target = ref
    task: Task[R] = Task(ref, own, done)
    if own is None:
        return task
    # The task waits to be told: its owner must be linked and watching by then.
    try:
        if is_linked:
            link(own, ref)
            task.is_linked = True
        task.monitor = monitor(own, ref, cast("ActorSystem", own.system).whereis, alias="demonitor")
    except BaseException:
        ref.kill()
        raise
    ref.signal(_Go(task))
    return task


def _start(
    supervisor: ActorRef[Any],
    function: Callable[..., Any],
    args: tuple[Any, ...],
    done: ScheduledFuture[Any] | None,
    *,
    is_told: bool,
    restart: RestartType = "temporary",
    shutdown: ShutdownBudget = SHUTDOWN_SECONDS,
    dispatch: str = TaskActor.dispatch,
) -> ActorRef[Any]:
    if not callable(function):
        raise InvalidTypeError("function", function, "a function")
    how = (function, args, done, is_told, dispatch)
    spec = ChildSpec("task", _start_actor, how, restart=restart, shutdown=shutdown)
    return cast("ActorRef[Any]", calls.start_child(supervisor, spec).ref)


def _start_actor(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    done: ScheduledFuture[Any] | None,
    is_told: bool,
    dispatch: str,
) -> ActorRef[TaskActor]:
    """Start a task, linked to the running supervisor, without waiting for a worker to take it."""
    current = current_ref()
    assert current is not None, "a start function runs in its supervisor's turn"
    system = cast("ActorSystem", current.system)
    return system.spawn(
        TaskActor, (function, args, done), {"is_told": is_told}, link=True, report=False, dispatch=dispatch
    )


def checked_wait(timeout: float | None) -> float | None:
    """Return seconds to wait, or None for no limit, or raise what names the field."""
    return None if timeout is None else checked_delay("timeout", timeout)


def _checked_owner(task: Task[Any]) -> ActorRef[Any] | None:
    if not isinstance(task, Task):
        raise InvalidTypeError("task", task, "what async_() returned")
    own = cast("ActorRef[Any] | None", current_ref())
    if own is not task.owner:
        who = "a plain thread" if task.owner is None else str(task.owner)
        raise UsageError(f"{task} can be awaited by who has started it only: {who}")
    if task.is_taken:
        raise UsageError(f"the outcome of {task} has been taken already, or given up")
    return own


def _settle(task: Task[Any], own: ActorRef[Any] | None) -> None:
    """Take what the task has sent out of the owner's mailbox; what it sends from now on is dropped."""
    task.is_taken = True
    if own is not None and task.monitor is not None:
        own.take()  # what waits arrives now, as in a receive; later it would find no monitor
        demonitor(own, task.monitor, flush=True)
        own.withdraw(lambda item: isinstance(item, TaskAnswer) and item.task is task)


def take_outcome(task: Task[R], own: ActorRef[Any] | None) -> TaskDone[R] | TaskExited:
    """Return the outcome that is there; end the caller where it has to end with the task."""
    _settle(task, own)
    outcome = task.outcome.get()
    if isinstance(outcome, TaskExited) and own is not None and task.is_linked and not own.traps_exits:
        reason = outcome.reason
        if not (isinstance(reason, str) and reason == NORMAL):
            # The exit signal is on its way, or here already, with the same reason.
            raise Exit(reason)
    return cast("TaskDone[R] | TaskExited", outcome)
