"""Refs of actors that have a thread of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pykka

from supervisors.runtime.cell import PINNED
from supervisors.runtime.pinned import PinnedThread
from supervisors.runtime.ref import ActorRef

if TYPE_CHECKING:
    from supervisors.runtime.contract import Runner
    from supervisors.runtime.fence import Fence

__all__ = ["OnOwnThread", "PinnedRef"]

A = TypeVar("A", bound="pykka.Actor")


class OnOwnThread(ActorRef[A]):
    """What a ref does differently when its actor has a thread of its own; subclasses have the slot `_thread`."""

    __slots__ = ()

    _thread: PinnedThread

    def __init__(self, actor: Any, system: Any, number: int, dispatch: str) -> None:
        super().__init__(actor, system, number, dispatch)
        self._thread = PinnedThread(self, f"supervisors-pinned-{number}", system.scheduler)

    @property
    def runner(self) -> Runner:
        return self._thread

    @property
    def dispatch(self) -> str:
        return PINNED

    def _end_fenced(self, fence: Fence, asked: object) -> None:
        self._thread.close()
        super()._end_fenced(fence, asked)


class PinnedRef(OnOwnThread[A]):
    """Reference to an actor that has a thread of its own."""

    __slots__ = ("_thread",)
