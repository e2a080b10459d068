"""Names with values, watches and heirs against a model: two dicts, and what each act does to them at once.

After each act both must agree on every holder and value, on what each actor has, on what
was raised, and on every message that a watcher was sent about a name, in its order.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from supervisors import ActorDeadError, ActorRef, ActorSystem, InvalidArgumentError, NameTakenError, VirtualClock
from supervisors.names import FailedOver, Migrated, Names, NameWatch, Registered, Unregistered
from tests.supervisors.actors import Recorder

NAMES = ("a", "b", "c")

names = st.sampled_from(NAMES)
actors = st.integers(0, 3)  # counted from the latest: mostly living ones, and one or the other that was one
values = st.integers(0, 9)
modes = st.sampled_from(["once", "standby", "follow"])


class Model:
    """Who has which name with which value, and who watches it; actors and watches are numbers."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[int, Any]] = {}
        self.watches: dict[int, tuple[str, int, str]] = {}  # in order of watching
        self.dead: set[int] = set()
        self.told: list[tuple[Any, ...]] = []

    def tell(self, name: str, kind: str, *facts: Any, modes: tuple[str, ...] = ("once", "standby", "follow")) -> None:
        for number, (watched, who, mode) in self.watches.items():
            if watched == name and mode in modes:
                self.told.append((who, kind, number, *facts))

    def register(self, who: int, given: dict[str, Any]) -> str:
        if any(name in self.held for name in given):
            return "taken"
        if who in self.dead:
            return "dead"
        for name, value in given.items():
            self.held[name] = (who, value)
            self.tell(name, "registered", who, modes=("follow",))
        return "ok"

    def ensure(self, who: int, name: str, value: Any) -> str:
        if self.held.get(name, (None,))[0] == who:
            self.held[name] = (who, value)
            return "updated"
        return self.register(who, {name: value})

    def unregister(self, name: str) -> str:
        if name not in self.held:
            return "invalid"
        del self.held[name]
        self.tell_gone(name)
        return "ok"

    def tell_gone(self, name: str) -> None:
        self.tell(name, "unregistered")
        for number, (watched, _, mode) in list(self.watches.items()):
            if watched == name and mode == "once":
                del self.watches[number]

    def give_away(self, name: str, to: int) -> str:
        if name not in self.held:
            return "invalid"
        if to in self.dead:
            self.unregister(name)
            return "gone"
        self.held[name] = (to, self.held[name][1])
        self.tell(name, "migrated", to)
        return "ok"

    def let_go(self, name: str) -> None:
        """Free the name of a dead holder, or let the first that stands by inherit it."""
        value = self.held.pop(name)[1]
        for number, (watched, who, mode) in self.watches.items():
            if watched == name and mode == "standby":
                self.inherit(number, name, who, value)
                return
        self.tell_gone(name)

    def inherit(self, heir: int, name: str, who: int, value: Any) -> None:
        self.held[name] = (who, value)
        self.tell(name, "failed over", who)
        del self.watches[heir]

    def watch(self, number: int, name: str, who: int, mode: str) -> None:
        self.watches[number] = (name, who, mode)
        if name in self.held:
            return
        if mode == "standby":
            self.inherit(number, name, who, None)
        else:
            self.told.append((who, "unregistered", number))
            if mode == "once":
                del self.watches[number]

    def end(self, who: int) -> None:
        self.dead.add(who)
        self.watches = {number: each for number, each in self.watches.items() if each[1] != who}
        for name in [name for name, (holder, _) in self.held.items() if holder == who]:
            self.let_go(name)


class NamesAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.system = ActorSystem(clock=VirtualClock())
        self.names = Names()
        self.model = Model()
        self.refs: list[ActorRef[Recorder]] = [self.system.start(Recorder) for _ in range(3)]
        self.watches: list[NameWatch] = []
        self.seen = 0

    def teardown(self) -> None:
        self.system.stop()

    def actor(self, number: int) -> int:
        """Return the actor that a number stands for."""
        return len(self.refs) - 1 - number % len(self.refs)

    def outcome(self, call: Any, *given: Any) -> str:
        try:
            answer = call(*given)
        except NameTakenError:
            return "taken"
        except ActorDeadError:
            return "dead"
        except InvalidArgumentError:
            return "invalid"
        return "ok" if answer is not False else "updated"

    def told(self) -> list[tuple[Any, ...]]:
        """Return what the watchers have been told, actor by actor."""
        kinds = {
            Registered: "registered",
            Unregistered: "unregistered",
            Migrated: "migrated",
            FailedOver: "failed over",
        }
        found = []
        for who, ref in enumerate(self.refs):
            for message in ref.ask("seen") if ref.is_alive() else ():
                to = getattr(message, "to", getattr(message, "ref", None))
                facts = () if to is None else (self.refs.index(to),)
                found.append((who, kinds[type(message)], self.watches.index(message.watch), *facts))
        return found

    @rule(who=actors, name=names, value=values)
    def register(self, who, name, value):
        who = self.actor(who)
        expected = self.model.register(who, {name: value})
        assert self.outcome(self.names.register, name, self.refs[who], value) == expected

    @rule(who=actors, given=st.dictionaries(names, values, max_size=3))
    def register_all(self, who, given):
        who = self.actor(who)
        if not given and who in self.model.dead:
            return
        assert self.outcome(self.names.register_all, given, self.refs[who]) == self.model.register(who, given)

    @rule(who=actors, name=names, value=values)
    def ensure(self, who, name, value):
        who = self.actor(who)
        expected = self.model.ensure(who, name, value)
        assert self.outcome(self.names.ensure, name, value, self.refs[who]) == expected

    @rule(name=names)
    def unregister(self, name):
        assert self.outcome(self.names.unregister, name) == self.model.unregister(name)

    @rule(name=names, to=actors)
    def give_away(self, name, to):
        to = self.actor(to)
        expected = self.model.give_away(name, to)
        if expected == "invalid":
            assert self.outcome(self.names.give_away, name, self.refs[to]) == expected
        else:
            assert self.names.give_away(name, self.refs[to]) is (self.refs[to] if expected == "ok" else None)

    @rule(name=names, who=actors, mode=modes)
    def watch(self, name, who, mode):
        self.watch_one(name, self.actor(who), mode)

    def watch_one(self, name: str, who: int, mode: Any) -> None:
        if who in self.model.dead:
            assert self.outcome(self.names.watch, name, mode, self.refs[who]) == "dead"
            return
        self.model.watch(len(self.watches), name, who, mode)
        # The number of a watch is known only when it is there: messages are read later.
        self.watches.append(self.names.watch(name, mode, self.refs[who]))

    @rule(number=st.integers(0, 5))
    @precondition(lambda self: self.watches)
    def unwatch(self, number):
        number = len(self.watches) - 1 - number % len(self.watches)
        assert self.names.unwatch(self.watches[number]) == (self.model.watches.pop(number, None) is not None)

    @rule(who=actors)
    def end(self, who):
        self.end_one(self.actor(who))

    def end_one(self, who: int) -> None:
        if who not in self.model.dead:
            self.model.end(who)
            self.refs[who].kill()
            self.refs.append(self.system.start(Recorder))

    @rule(name=names, heirs=st.lists(actors, min_size=1, max_size=2), follower=actors)
    @precondition(lambda self: self.model.held)
    def end_a_holder_who_has_heirs(self, name, heirs, follower):
        """Do what chance alone would seldom put together."""
        for who in heirs:
            self.watch_one(name, self.actor(who), "standby")
        self.watch_one(name, self.actor(follower), "follow")
        if name in self.model.held:
            self.end_one(self.model.held[name][0])

    @invariant()
    def both_agree(self):
        model = self.model
        for name in NAMES:
            holder = model.held.get(name)
            assert self.names.whereis(name) is (None if holder is None else self.refs[holder[0]])
            if holder is not None:
                assert self.names.value(name) == holder[1]
        assert len(self.names) == len(model.held)
        for who, ref in enumerate(self.refs):
            assert set(self.names.names(ref)) == {name for name, (holder, _) in model.held.items() if holder == who}
        living = [message for message in model.told if message[0] not in model.dead]
        assert self.by_name(self.told()) == self.by_name(living)

    def by_name(self, told: list[tuple[Any, ...]]) -> dict[tuple[int, Any], list[Any]]:
        """Sort messages by who was told about which name: between names there is no order."""
        found: dict[tuple[int, Any], list[Any]] = {}
        for who, kind, number, *facts in told:
            found.setdefault((who, self.watches[number].name), []).append((kind, number, *facts))
        return found


TestNamesAgainstModel = NamesAgainstModel.TestCase
TestNamesAgainstModel.settings = settings(stateful_step_count=30)
