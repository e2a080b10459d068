"""Plans in TOML, and what a mistake in one is answered with."""

from __future__ import annotations

import pytest

from supervisors.chaos import Answers, BlastRadius, Fault, Plan, load_plan, plan_of
from supervisors.errors import InvalidArgumentError, InvalidTypeError

KILL = {"kind": "kill", "rate": 1.0}
PROBE = {"name": "up", "kind": "answers", "target": "front"}


def test_a_plan_has_what_the_file_says(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(
        'title = "t"\nseed = 3\n[system]\nstart = "a.b:c"\n[processes]\ndb = "db.pid"\n'
        '[[steady]]\nname = "up"\nkind = "answers"\ntarget = "front"\n'
        '[[method]]\nkind = "process_kill"\ntargets = ["process:db"]\nat = [1, 2.5]\n'
        "[blast_radius]\nat_once = 2\n[budget]\nfaults = 9\n[stop]\npatience = 1\n[recovery]\nwithin = 2\n"
        '[[rollback]]\nname = "r"\ncall = "a:b"\n'
    )
    plan = load_plan(path)
    assert (plan.title, plan.seed, plan.start, plan.processes) == ("t", 3, "a.b:c", (("db", "db.pid"),))
    assert plan.steady == (Answers(name="up", target="front"),)
    assert plan.faults == (Fault(kind="process_kill", targets=("process:db",), at=(1.0, 2.5)),)
    assert plan.blast_radius == BlastRadius(at_once=2)
    assert (plan.budget.faults, plan.stop.patience, plan.recovery.within) == (9, 1, 2)
    assert [step.call for step in plan.rollback] == ["a:b"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "method"),
        ({"method": {}}, "method"),
        ({"method": [1]}, "method"),
        ({"methods": [KILL]}, "methods"),
        ({"method": [{"rate": 1.0}]}, "method[0].kind"),
        ({"method": [KILL, {"kind": "boom", "rate": 1.0}]}, "method[1].kind"),
        ({"method": [{"kind": "process_refused", "rate": 1.0}]}, "method[0].kind"),
        ({"method": [{"kind": 3, "rate": 1.0}]}, "method[0].kind"),
        ({"method": [{"kind": "kill"}]}, "method[0].rate"),
        ({"method": [{"kind": "kill", "rate": 1.0, "at": [1.0]}]}, "method[0].rate"),
        ({"method": [{"kind": "kill", "rate": 0}]}, "method[0].rate"),
        ({"method": [{"kind": "kill", "rate": float("nan")}]}, "method[0].rate"),
        ({"method": [{"kind": "kill", "rate": True}]}, "method[0].rate"),
        ({"method": [{"kind": "kill", "rate": 1e9}]}, "method[0].rate"),
        ({"method": [{"kind": "kill", "at": [-1.0]}]}, "method[0].at"),
        ({"method": [{"kind": "kill", "at": "now"}]}, "method[0].at"),
        ({"method": [{**KILL, "count": 0}]}, "method[0].count"),
        ({"method": [{**KILL, "often": 1}]}, "method[0].often"),
        ({"method": [{**KILL, "targets": []}]}, "method[0].targets"),
        ({"method": [{**KILL, "targets": [1]}]}, "method[0].targets"),
        ({"method": [{**KILL, "targets": ["pool"]}]}, "method[0].targets"),
        ({"method": [{"kind": "process_kill", "rate": 1.0, "targets": ["process:db"]}]}, "method[0].targets"),
        ({"method": [KILL], "steady": [{"name": "x", "kind": "feels good"}]}, "steady[0].kind"),
        ({"method": [KILL], "steady": [{"name": "x"}]}, "steady[0].kind"),
        ({"method": [KILL], "steady": [{"name": "x", "kind": "answers"}]}, "steady[0].target"),
        ({"method": [KILL], "steady": [PROBE, PROBE]}, "steady"),
        ({"method": [KILL], "steady": [{"name": "c", "kind": "counter", "counter": "rain"}]}, "steady[0].counter"),
        ({"method": [KILL], "steady": [{"name": "c", "kind": "call", "function": "no path"}]}, "steady[0].function"),
        ({"method": [KILL], "blast_radius": {"share": 0}}, "blast_radius.share"),
        ({"method": [KILL], "blast_radius": {"share": 1.1}}, "blast_radius.share"),
        ({"method": [KILL], "blast_radius": {"at_once": True}}, "blast_radius.at_once"),
        ({"method": [KILL], "blast_radius": {"roots": 1}}, "blast_radius.roots"),
        ({"method": [KILL], "blast_radius": 3}, "blast_radius"),
        ({"method": [KILL], "budget": {"seconds": 0}}, "budget.seconds"),
        ({"method": [KILL], "budget": {"faults": 0}}, "budget.faults"),
        ({"method": [KILL], "stop": {"every": 0}}, "stop.every"),
        ({"method": [KILL], "recovery": {"within": float("inf")}}, "recovery.within"),
        ({"method": [KILL], "rollback": [{"name": "r", "call": "nothing"}]}, "rollback[0].call"),
        ({"method": [KILL], "rollback": [{"name": "r"}]}, "rollback[0].call"),
        ({"method": [KILL], "system": {"start": "nothing"}}, "system.start"),
        ({"method": [KILL], "system": {"begin": "a:b"}}, "system.begin"),
        ({"method": [KILL], "processes": {"db": 1.5}}, "processes.db"),
        ({"method": [KILL], "seed": "seven"}, "seed"),
        ({"method": [KILL], "title": 7}, "title"),
    ],
)
def test_a_mistake_names_its_place_and_what_is_allowed(given, field):
    with pytest.raises((InvalidArgumentError, InvalidTypeError)) as caught:
        plan_of(given)
    assert caught.value.field == field
    assert caught.value.allowed
    assert str(caught.value).startswith(field)


def test_all_mistakes_of_a_file_are_told_at_once():
    with pytest.raises((InvalidArgumentError, InvalidTypeError)) as caught:
        plan_of(
            {
                "methods": [],
                "title": 7,
                "method": [{"kind": "boom", "rate": 1.0}, {**KILL, "rate": -1.0, "count": 0, "often": 1}],
                "steady": [{"name": "x"}, {"name": "y", "kind": "answers"}],
                "budget": {"seconds": 0, "faults": True},
                "stop": 3,
                "system": {"start": "nothing"},
            }
        )
    told = [str(caught.value), *caught.value.__notes__]
    fields = [each.partition(":")[0] for each in told]
    assert fields == [
        "methods",
        "method[0].kind",
        "method[1].often",
        "method[1].rate",
        "steady[0].kind",
        "steady[1].target",
        "budget.seconds",
        "budget.faults",
        "stop",
        "title",
        "system.start",
    ]


def test_a_file_that_is_no_toml_is_refused(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_bytes(b"\xff[")
    with pytest.raises(InvalidArgumentError, match="TOML"):
        load_plan(path)


def test_a_plan_is_checked_when_it_is_made_by_hand():
    with pytest.raises(InvalidTypeError) as caught:
        Plan(faults=("kill",))
    assert caught.value.field == "faults"
