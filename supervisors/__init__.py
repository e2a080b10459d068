"""OTP for Python, on Pykka: supervised actors by the million.

Start with `ActorSystem` and `Actor`; `docs/` teaches the rest.
"""

from supervisors.actor import Actor
from supervisors.addressee import WrongActorError
from supervisors.application import Application, ApplicationError, Applications
from supervisors.clock import Clock, SettableClock, SystemClock, VirtualClock
from supervisors.entropy import Entropy
from supervisors.errors import (
    Exit,
    IgnoreStart,
    InternalError,
    InvalidArgumentError,
    InvalidTypeError,
    NameTakenError,
    NoActorError,
    Refusal,
    SupervisorsError,
    SystemStoppedError,
    UsageError,
)
from supervisors.exits import KILL, KILLED, NOPROC, NORMAL, SHUTDOWN, Crashed, Shutdown, is_abnormal
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.outcomes import (
    ActorDeadError,
    AskTimeoutError,
    DeadlockError,
    MailboxFullError,
    StartError,
)
from supervisors.runtime.ref import ASK_TIMEOUT, ActorRef
from supervisors.runtime.replies import Reply as OwedReply
from supervisors.runtime.signals import AliasRef, Down, Exited, MonitorRef
from supervisors.server import (
    HIBERNATE,
    IGNORE,
    TIMEOUT,
    Continue,
    NoReply,
    Reply,
    Server,
    Stop,
    Throw,
    call,
    cast,
    get_state,
    replace_state,
    reply,
    stop,
)
from supervisors.statem.machine import StateMachine
from supervisors.supervision.backoff import Backoff
from supervisors.supervision.budget import ShutdownReport, shut_down
from supervisors.supervision.calls import (
    count_children,
    delete_child,
    get_childspec,
    restart_child,
    start_child,
    supervision_tree,
    terminate_child,
    which_children,
)
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.dynamic import DynamicSupervisor
from supervisors.supervision.flags import DynamicFlags, SupervisorFlags
from supervisors.supervision.partition import PartitionDownError, Partitions, PartitionSupervisor, partition_of
from supervisors.supervision.starting import start_named
from supervisors.supervision.supervisor import Supervisor
from supervisors.system import ActorSystem
from supervisors.tasks import TaskSupervisor
from supervisors.timers.service import TimedOut, Timer
from supervisors.typed import Request
from supervisors.via import Via

__all__ = [
    "ASK_TIMEOUT",
    "HIBERNATE",
    "IGNORE",
    "KILL",
    "KILLED",
    "NOPROC",
    "NORMAL",
    "SHUTDOWN",
    "TIMEOUT",
    "Actor",
    "ActorDeadError",
    "ActorRef",
    "ActorSystem",
    "AliasRef",
    "Application",
    "ApplicationError",
    "Applications",
    "AskTimeoutError",
    "Backoff",
    "ChildSpec",
    "Clock",
    "Continue",
    "Crashed",
    "DeadlockError",
    "Down",
    "DynamicFlags",
    "DynamicSupervisor",
    "Entropy",
    "Exit",
    "Exited",
    "IgnoreStart",
    "InternalError",
    "InvalidArgumentError",
    "InvalidTypeError",
    "MailboxFullError",
    "MonitorRef",
    "NameTakenError",
    "NoActorError",
    "NoReply",
    "OwedReply",
    "PartitionDownError",
    "PartitionSupervisor",
    "Partitions",
    "Refusal",
    "Reply",
    "Request",
    "ScheduledFuture",
    "Server",
    "SettableClock",
    "Shutdown",
    "ShutdownReport",
    "StartError",
    "StateMachine",
    "Stop",
    "Supervisor",
    "SupervisorFlags",
    "SupervisorsError",
    "SystemClock",
    "SystemStoppedError",
    "TaskSupervisor",
    "Throw",
    "TimedOut",
    "Timer",
    "UsageError",
    "Via",
    "VirtualClock",
    "WrongActorError",
    "call",
    "cast",
    "count_children",
    "delete_child",
    "get_childspec",
    "get_state",
    "is_abnormal",
    "partition_of",
    "replace_state",
    "reply",
    "restart_child",
    "shut_down",
    "start_child",
    "start_named",
    "stop",
    "supervision_tree",
    "terminate_child",
    "which_children",
]
