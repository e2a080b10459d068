"""Worker pools that lose no task silently and never get stuck; start with `WorkerPool`."""

from supervisors.pools.contract import PoolWorker
from supervisors.pools.errors import (
    CheckoutTimeoutError,
    LeaseOverError,
    PoisonTaskError,
    PoolCrashedError,
    PoolError,
    PoolFailedError,
    PoolFullError,
    PoolStoppedError,
    RemoteTaskError,
    TaskError,
    TaskReturnedError,
    TaskShedError,
    TaskTimeoutError,
    TransportError,
    WorkerDiedError,
)
from supervisors.pools.executor import PoolExecutor
from supervisors.pools.future import PoolFuture
from supervisors.pools.lease import Lease
from supervisors.pools.options import Backlog, PoolOptions, Recycle, Retry, Sizing
from supervisors.pools.pool import WorkerPool
from supervisors.pools.report import PoolReport, ReturnedTask
from supervisors.pools.stream import Results
from supervisors.pools.tally import PoolStatistics

__all__ = [
    "Backlog",
    "CheckoutTimeoutError",
    "Lease",
    "LeaseOverError",
    "PoisonTaskError",
    "PoolCrashedError",
    "PoolError",
    "PoolExecutor",
    "PoolFailedError",
    "PoolFullError",
    "PoolFuture",
    "PoolOptions",
    "PoolReport",
    "PoolStatistics",
    "PoolStoppedError",
    "PoolWorker",
    "Recycle",
    "RemoteTaskError",
    "Results",
    "Retry",
    "ReturnedTask",
    "Sizing",
    "TaskError",
    "TaskReturnedError",
    "TaskShedError",
    "TaskTimeoutError",
    "TransportError",
    "WorkerDiedError",
    "WorkerPool",
]
