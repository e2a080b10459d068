"""Actors to look at, and a way to hold one."""

from __future__ import annotations

import threading

from supervisors import Actor, Server


class Quick(Actor):
    """Answers at once, on the asking thread."""

    dispatch = "inline"

    def on_receive(self, message):
        if message == "crash":
            raise ValueError(message)
        return message


class Held(Actor):
    """Stays in its turn until a test lets it go on."""

    dispatch = "shared"

    def __init__(self, entered: threading.Event, let_go: threading.Event):
        super().__init__()
        self.entered = entered
        self.let_go = let_go

    def on_receive(self, message):
        self.entered.set()
        self.let_go.wait(30.0)


class HeldServer(Server):
    """A server that hangs in its first message, on whatever thread runs it."""

    dispatch = "inline"

    def init(self, entered, let_go):
        self.entered = entered
        self.let_go = let_go

    def handle_info(self, message):
        self.entered.set()
        self.let_go.wait(30.0)


class Counter(Server):
    """Counts."""

    def init(self, start=0):
        self.count = start
        self.password = "hunter2"

    def handle_cast(self, message):
        self.count += message
