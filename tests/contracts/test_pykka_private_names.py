"""Every private name of Pykka's that we use, pinned.

`supervisors.runtime.pykka_adapter` is the only module that touches them. When a
Pykka release changes one, the test that fails here says what to look at.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pykka
import pytest
from pykka import ActorRegistry, _introspection, messages

ROOT = Path(__file__).parents[2]

ADAPTER = "supervisors/runtime/pykka_adapter.py"


def test_the_stop_message_has_its_private_name():
    assert hasattr(messages, "_ActorStop"), f"pykka.messages._ActorStop is gone; StopMessage in {ADAPTER} is made of it"
    assert messages._ActorStop() is not None


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("ProxyCall", ["attr_path", "args", "kwargs"]),
        ("ProxyGetAttr", ["attr_path"]),
        ("ProxySetAttr", ["attr_path", "value"]),
    ],
)
def test_proxy_messages_have_the_fields_that_perform_reads(name, fields):
    found = list(inspect.signature(getattr(messages, name)).parameters)
    assert found == fields, f"pykka.messages.{name} has the fields {found}; perform() in {ADAPTER} reads {fields}"


def test_get_attr_directly_reads_a_path_of_names():
    class Holder:
        inner = (1, 2)

    assert _introspection.get_attr_directly(Holder(), ("inner",)) == (1, 2), f"perform() in {ADAPTER} relies on this"


def test_the_registry_keeps_its_refs_in_a_list_under_a_lock():
    hint = f"AllRefs in {ADAPTER} takes the place of ActorRegistry._actor_refs under ActorRegistry._actor_refs_lock"
    assert isinstance(vars(ActorRegistry).get("_actor_refs"), list), hint
    lock = vars(ActorRegistry).get("_actor_refs_lock")
    assert hasattr(lock, "__enter__"), hint


def test_the_registry_uses_its_list_only_in_ways_that_our_view_has():
    source = inspect.getsource(ActorRegistry)
    uses = set(re.findall(r"cls\._actor_refs(?!_lock)([.\[]\w*:?\]?)?", source))
    assert uses <= {"", "[:]", ".append", ".remove"}, f"AllRefs in {ADAPTER} does not have {uses}"


@pytest.mark.parametrize("name", ["_create_actor_inbox", "_create_future", "_start_actor_loop"])
def test_the_hooks_that_our_actor_overrides_are_pykkas_abstract_ones(name):
    assert name in pykka.Actor.__abstractmethods__, f"pykka.Actor.{name} is no abstract hook any more; see Actor"


def test_a_proxy_finds_the_actor_through_the_ref_as_through_a_weak_reference():
    source = inspect.getsource(pykka._proxy)
    assert "_actor_weakref()" in source, "ActorRef._actor_weakref() stands in for what pykka.ActorProxy calls"


def test_the_future_keeps_its_hook_in_get_hook():
    assert "_get_hook" in vars(pykka.Future())


def test_no_other_module_of_ours_touches_what_is_private_in_pykka():
    pattern = re.compile(r"from pykka\._|import pykka\._|ActorRegistry\._|messages\._")
    found = [
        str(path.relative_to(ROOT))
        for package in ("supervisors", "sessionactors")
        for path in (ROOT / package).rglob("*.py")
        for line in path.read_text().splitlines()
        if pattern.search(line) and "_types" not in line
    ]
    assert set(found) <= {ADAPTER}


def test_importing_leaves_the_registry_alone_and_starts_no_thread():
    code = (
        "import threading, pykka, supervisors\n"
        "assert type(pykka.ActorRegistry._actor_refs) is list\n"
        "assert threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_registrys_broadcast_takes_what_ours_takes():
    found = re.findall(r"def broadcast\(\s*cls,\s*(\w+)[^,]*,\s*(\w+)[^,]*,?\s*\)", inspect.getsource(ActorRegistry))
    assert found == [("message", "target_class")], f"_broadcast() in {ADAPTER} takes the place of broadcast()"
