"""The only file that touches Pykka's private names.

`tests/contracts/test_pykka_private_names.py` pins each of them, so that a Pykka
release that changes one says so by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pykka._introspection import get_attr_directly
from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr, _ActorStop

from supervisors.errors import Exit

if TYPE_CHECKING:
    import pykka

__all__ = ["PYKKA_MESSAGES", "StopMessage", "StopNow", "perform"]

StopMessage = _ActorStop


class StopNow(Exit):
    """Ends the running actor because of a stop message; its sender gets an answer."""


PYKKA_MESSAGES = frozenset({_ActorStop, ProxyCall, ProxyGetAttr, ProxySetAttr})
"""The message classes that Pykka's refs and proxies send."""


def perform(actor: pykka.Actor, message: Any) -> Any:
    """Do what a proxy asks of an actor, in the actor's own turn."""
    if isinstance(message, _ActorStop):
        raise StopNow
    if isinstance(message, ProxyCall):
        return get_attr_directly(actor, message.attr_path)(*message.args, **message.kwargs)
    if isinstance(message, ProxyGetAttr):
        return get_attr_directly(actor, message.attr_path)
    parent = get_attr_directly(actor, message.attr_path[:-1])
    setattr(parent, message.attr_path[-1], message.value)
    return None
