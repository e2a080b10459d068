"""What an experiment has shown: as a value, as JSON, and as JUnit's XML for build servers."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final
from xml.sax.saxutils import escape, quoteattr

from supervisors.chaos.record import ChaosEvent
from supervisors.errors import SupervisorsError

__all__ = ["ChaosFailedError", "ChaosReport", "ChaosVerdict", "ProbeResult", "counted"]

ChaosVerdict: TypeAlias = Literal["ok", "unsteady", "violated", "not recovered", "error"]
"""How an experiment ended: *unsteady*: the steady state did not hold before anything was
done; *violated*: it was broken for too long while faults happened, so the method was given
up; *not recovered*: it did not come back in time; *error*: the experiment itself went wrong."""


@final
@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What became of one probe.

    Attributes:
        name: of the probe.
        failure: what was wrong when it was looked at last, or when it decided; empty if all is well.
        looks: how often it was looked at.
        failed_looks: how often something was wrong.
    """

    name: str
    failure: str
    looks: int
    failed_looks: int


@final
@dataclass(frozen=True, slots=True)
class ChaosReport:
    """The result of one experiment.

    Attributes:
        title: of the plan.
        seed: what moments, victims and lengths were drawn from.
        verdict: how it ended.
        what: the reason in a sentence; empty if all is well.
        seconds: how long it took.
        recovery_seconds: from the end of the faults until every probe passed; None: they did not.
        struck: how often each kind has happened.
        missed: how many faults were laid and have not happened.
        spared: how many found nobody whom they might hit.
        probes: what became of each.
        events: everything, in order.
    """

    title: str
    seed: int | str
    verdict: ChaosVerdict
    what: str
    seconds: float
    recovery_seconds: float | None
    struck: tuple[tuple[str, int], ...]
    missed: int
    spared: int
    probes: tuple[ProbeResult, ...]
    events: tuple[ChaosEvent, ...]

    @property
    def failed(self) -> bool:
        """Tell whether anything was wrong."""
        return self.verdict != "ok"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "title": self.title,
            "seed": self.seed,
            "verdict": self.verdict,
            "what": self.what,
            "seconds": round(self.seconds, 3),
            "recovery_seconds": None if self.recovery_seconds is None else round(self.recovery_seconds, 3),
            "struck": dict(self.struck),
            "missed": self.missed,
            "spared": self.spared,
            "probes": [
                {"name": each.name, "failure": each.failure, "looks": each.looks, "failed_looks": each.failed_looks}
                for each in self.probes
            ],
            "events": [
                {
                    "at": round(each.at, 3),
                    "event": each.event,
                    "kind": each.kind,
                    "target": each.target,
                    "what": each.what,
                }
                for each in self.events
            ],
        }

    def as_json(self) -> str:
        """Return it as one JSON object."""
        return json.dumps(self.as_dict(), indent=2, ensure_ascii=False) + "\n"

    def as_junit(self) -> str:
        """Return it as the XML that build servers read: a case for each probe, and one for the verdict."""
        cases = [(each.name, each.failure) for each in self.probes]
        cases.append(("verdict", "" if not self.failed else f"{self.verdict}: {self.what}"))
        failures = sum(1 for _, failure in cases if failure)
        numbers = f"tests={_quoted(len(cases))} failures={_quoted(failures)} errors={_quoted(0)}"
        lines = [
            '<?xml version="1.0" encoding="utf-8"?>',
            f"<testsuite name={_quoted(self.title)} {numbers} time={_quoted(f'{self.seconds:.3f}')}>",
            f'  <properties><property name="seed" value={_quoted(self.seed)}/></properties>',
        ]
        for name, failure in cases:
            head = f"  <testcase classname={_quoted(f'chaos.{self.title}')} name={_quoted(name)}"
            if failure:
                lines += [f"{head}>", f"    <failure message={_quoted(failure)}/>", "  </testcase>"]
            else:
                lines.append(f"{head}/>")
        record = "\n".join(str(each) for each in self.events)
        lines += [f"  <system-out>{escape(_printable(record))}</system-out>", "</testsuite>"]
        return "\n".join(lines) + "\n"

    def __str__(self) -> str:
        faults = sum(count for _, count in self.struck)
        text = f"{self.title}: {self.verdict}, {faults} faults in {self.seconds:.1f} s, seed {self.seed}"
        if self.recovery_seconds is not None:
            text += f", well again after {self.recovery_seconds:.1f} s"
        return f"{text}\n  {self.what}" if self.what else text


class ChaosFailedError(SupervisorsError, AssertionError):
    """An experiment that a program has embedded has failed.

    Attributes:
        report: all about it.
    """

    def __init__(self, report: ChaosReport) -> None:
        self.report = report
        record = "\n".join(f"  {each}" for each in report.events[-_SHOWN:])
        super().__init__(f"{report}\n{record}")


_SHOWN = 40


def counted(events: tuple[ChaosEvent, ...]) -> tuple[tuple[str, int], ...]:
    """Return how often each kind has happened, by name."""
    return tuple(sorted(Counter(each.kind for each in events if each.event == "struck").items()))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def _quoted(value: object) -> str:
    return quoteattr(_printable(str(value)))
