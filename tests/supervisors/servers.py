"""A generic server whose handlers a test brings along."""

from __future__ import annotations

from supervisors.server import NoReply, Reply, Server

__all__ = ["Log", "SharedLog", "deferring", "raising", "returning"]


class Log(Server):
    """Writes down every callback in a list, and returns what the handlers it was given say.

    A handler is called with the server and the content.
    """

    dispatch = "inline"

    def init(self, log=None, *, trap=False, then=None, **handlers):
        self.log = [] if log is None else log
        self.handlers = handlers
        self.trap_exit(trap)
        return then

    def handle_call(self, request):
        return self._told("call", request, Reply(request))

    def handle_cast(self, message):
        return self._told("cast", message, None)

    def handle_info(self, message):
        return self._told("info", message, None)

    def handle_continue(self, content):
        return self._told("continue", content, None)

    def terminate(self, reason):
        self.log.append(("terminate", reason))
        if "terminate" in self.handlers:
            self.handlers["terminate"](self, reason)

    def _told(self, callback, content, usual):
        self.log.append((callback, content))
        handler = self.handlers.get(callback)
        return usual if handler is None else handler(self, content)


class SharedLog(Log):
    dispatch = "shared"


def returning(result):
    return lambda server, content: result


def deferring(owed):
    """Make a handler that puts the reply it owes into a list."""

    def handler(server, content):
        owed.append(server.defer_reply())
        return NoReply()

    return handler


def raising(error):
    def handler(server, content):
        raise error

    return handler
