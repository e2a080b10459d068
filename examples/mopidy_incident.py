"""A broadcaster tells a session that has just died, and the long-lived one must live.

A music player (mopidy/mopidy#1750) has one actor for each client that is connected, and
one frontend that tells all of them what is playing. A client leaves while the frontend
goes through its list: `tell()` raises `ActorDeadError` inside the frontend, which
nobody has thought of, and that is the end of the *frontend*. From then on no client
hears of anything, and nothing starts another one.

This shows it with Pykka by itself, and then three ways in which it ends differently here.

Run it:  python examples/mopidy_incident.py
"""

from __future__ import annotations

import logging
from typing import Any

import pykka

from supervisors import Actor, ActorRef, ActorSystem, ChildSpec, Supervisor, start_named
from supervisors.groups import Groups

logging.getLogger("pykka").setLevel(logging.CRITICAL)  # the crashes are on purpose
logging.getLogger("supervisors").setLevel(logging.CRITICAL)


class PykkaClient(pykka.ThreadingActor):
    """One client that is connected."""

    def on_receive(self, message: Any) -> Any:
        """Show what is playing."""


class PykkaFrontend(pykka.ThreadingActor):
    """Tells all clients."""

    def on_receive(self, message: Any) -> Any:
        """Go through the list; between its making and its end a client may have gone."""
        clients, event = message
        for client in clients:
            client.tell(event)


def in_pykka() -> bool:
    """Return whether the frontend lives when a client has gone."""
    clients = [PykkaClient.start() for _ in range(3)]
    frontend = PykkaFrontend.start()
    clients[1].stop()
    frontend.tell((clients, "next song"))
    frontend.actor_stopped.wait(10.0)  # its error ends it; wait() is over at once when it has
    survived = frontend.is_alive()
    pykka.ActorRegistry.stop_all()
    return survived


class Client(Actor):
    """One client that is connected; remembers what it was told."""

    dispatch = "inline"

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def on_receive(self, message: Any) -> Any:
        """Hear something, or say what was heard."""
        if message == "heard":
            return self.heard
        self.heard.append(message)
        return None


class Frontend(Actor):
    """Tells all clients, in one of three ways."""

    dispatch = "inline"

    def __init__(self, clients: list[ActorRef[Client]], listeners: Groups) -> None:
        super().__init__()
        self.clients = clients
        self.listeners = listeners

    def on_receive(self, message: Any) -> Any:
        """Broadcast an event."""
        how, event = message
        if how == "send":
            # OTP's way: whoever sends is not concerned with who is there. What nobody
            # gets is counted as a dead letter.
            for client in self.clients:
                client.send(event)
        elif how == "group":
            # A group knows by itself who has ended, and gives out nobody who has.
            self.listeners.send("clients", event)
        else:
            # Pykka's way, with Pykka's outcome: this crashes.
            for client in self.clients:
                client.tell(event)


def here(how: str) -> tuple[bool, bool, list[str]]:
    """Broadcast twice, and have a client leave before.

    Returns:
        Whether the first frontend lives, whether there is a frontend, and what the last
        client has heard.
    """
    listeners = Groups()
    with ActorSystem() as system:
        clients = [system.start(Client) for _ in range(3)]
        for client in clients:
            listeners.join("clients", ref=client)
        system.start(Supervisor, [ChildSpec("frontend", start_named, ("frontend", Frontend, clients, listeners))])
        first = system.wait_for_name("frontend")
        clients[1].kill()
        first.send((how, "next song"))
        if how == "tell":
            del clients[1]  # its successor looks at who is there
        system.wait_for_name("frontend").send((how, "another song"))
        return first.is_alive(), system.whereis("frontend") is not None, clients[-1].ask("heard")


def main() -> None:
    """Show all four."""
    print(f"Pykka by itself: frontend alive: {in_pykka()}")
    for how, means in (
        ("send", "send() in place of tell()"),
        ("group", "a group in place of a list"),
        ("tell", "tell(), and a supervisor"),
    ):
        survived, is_there, heard = here(how)
        print(f"{means}: same frontend: {survived}, there is one: {is_there}, a client heard {heard}")


if __name__ == "__main__":
    main()
