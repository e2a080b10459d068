"""Aliases: addresses that an actor gives out and can take back (ALIAS-1 to ALIAS-5).

An actor that asks by message and gives up waiting would find the late reply in
its mailbox. It gives out an alias instead of its ref, and takes it back when it
gives up: what is sent afterwards vanishes. What makes this work without a lock
is that a message to an alias is a signal: the owner decides when it arrives
(`AliasMessage`). A call's own future does the same for `ask()` (ALIAS-5, SRV-3).
"""

from __future__ import annotations

from typing import Any

from supervisors.errors import InvalidTypeError
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.signals import AliasRef

__all__ = ["make_alias", "unalias"]


def make_alias(own: ActorRef[Any], *, reply: bool) -> AliasRef:
    """Make an active alias of an actor whose turn it is (ALIAS-2).

    Args:
        own: the owner.
        reply: it ends with the first message that is delivered through it.
    """
    return AliasRef(own, "reply" if reply else "explicit_unalias")


def unalias(own: ActorRef[Any], alias: AliasRef) -> bool:
    """Take an alias back, also one of a monitor; True if it was active (ALIAS-3).

    A message that has arrived stays in the mailbox, one that waits to be taken in
    vanishes. A monitor stays set.
    For everybody but its owner an alias is not there.
    """
    if not isinstance(alias, AliasRef):
        raise InvalidTypeError("alias", alias, "what alias() or monitor() returned")
    if alias.owner is not own:
        return False
    was_active = alias.mode is not None
    alias.mode = None
    return was_active
