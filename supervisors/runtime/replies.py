"""Replies that are owed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from supervisors.runtime.fence import refuse_fenced

if TYPE_CHECKING:
    from supervisors.runtime.futures import ScheduledFuture

__all__ = ["NOBODY", "Reply"]

NOBODY: Final = object()
"""What `_reply_to` is while a message is handled that nobody waits for."""


@final
class Reply:
    """A reply that is still owed (OTP's `From`, SRV-8): give it once, from anywhere.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("future", "ref")

    def __init__(self, ref: Any, future: ScheduledFuture[Any]) -> None:
        self.ref = ref
        self.future = future

    def set(self, value: Any = None) -> bool:
        """Answer with a value; False when there was an outcome already."""
        return self._settle(value, None)

    def refuse(self, error: BaseException) -> bool:
        """Answer with an exception; False when there was an outcome already."""
        return self._settle(None, error)

    def _settle(self, value: Any, error: BaseException | None) -> bool:
        refuse_fenced()
        # dict.pop of one key is atomic, so any thread may do this.
        self.ref.settle_reply(self)
        if self.future.offer(value, error):
            return True
        self.ref.system.dead_letter(self.ref, value if error is None else error)
        return False

    def __repr__(self) -> str:
        return f"<Reply owed by {self.ref}>"
