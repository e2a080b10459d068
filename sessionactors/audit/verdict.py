"""What the verification of a log has found, and what that proves."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["EXIT_CODES", "FINDINGS_MAX", "Finding", "Outcome", "Part", "Verification"]

Outcome: TypeAlias = Literal["valid", "tampered", "torn", "usage", "key"]
Part: TypeAlias = Literal[
    "entry", "head", "checkpoints", "hashes", "index", "tip", "database", "key", "handovers", "log", "personal"
]

EXIT_CODES: Final[dict[Outcome, int]] = {"valid": 0, "tampered": 1, "torn": 2, "usage": 3, "key": 4}
"""What a command that verifies ends with."""

FINDINGS_MAX: Final = 10
"""How many findings a result holds."""

_SHOWN_MAX: Final = 300

_TITLES: Final[dict[Outcome, str]] = {
    "valid": "valid",
    "tampered": "TAMPERED",
    "torn": "interrupted, but consistent",
    "usage": "no audit log",
    "key": "the key does not fit",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was signed.

    Attributes:
        part: what it is about. `entry`: an entry. `head`: a signed head in the
            database. `checkpoints`, `hashes`: the files. `index`: the session
            index. `tip`: the writer's own row. `database`: the file as such.
            `key`: a key. `handovers`: how this log follows another. `log`: all of it.
            `personal`: what opens the commitment of an entry, or the mark that it was erased.
        position: the entry, or the size of the head; None where there is none.
        expected: what should be there.
        found: what is there.
        unproved_from: None if `position` is the first that is bad. Otherwise
            the entries from here on may be bad as well: nothing that is signed
            vouches for them, because their hashes were rewritten or are gone.
    """

    part: Part
    position: int | None
    expected: str
    found: str
    unproved_from: int | None = None

    @property
    def is_exact(self) -> bool:
        """Whether `position` is certain to be the first that is bad."""
        return self.unproved_from is None

    def __str__(self) -> str:
        place = self.part if self.position is None else f"{self.part} {self.position}"
        doubt = "" if self.unproved_from is None else f" (nothing is proved from entry {self.unproved_from} on)"
        return f"{place}{doubt}: expected {_shown(self.expected)}; found {_shown(self.found)}"


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of verifying a log.

    Attributes:
        outcome: `valid`: everything is as it was signed. `tampered`: it is
            not. `torn`: a writer was interrupted; all that was committed is
            there and as it was signed, and opening the log completes the rest.
            `usage`: there is no log here. `key`: the key is missing,
            unreadable, or not the one that signed.
        size: entries of the log.
        root: the root hash over the last head that is good, in hexadecimal.
        last_good_head: size of that head, or None if there is none.
        heads: signed heads that were checked.
        findings: what is wrong, the decisive one first; at most ten.
        origin: the name that the log signs under.
        public_key: the key that the signatures were checked with.
        is_key_given: whether that key came from the caller and not from the log.
        is_head_given: whether the caller gave a head to be found in the log.
        is_live: whether a writer had the log open meanwhile.
        handovers: over how many hand-overs the key that was given leads to the
            one that signed.
        sealed: logs of the row that were sealed before this one.
        goes_on_as: the name of the log that follows it, if it was sealed itself.
        personal_open: commitments to personal data that what is kept beside the log opens.
        personal_erased: those whose data were erased, as the log says.
        personal_absent: those of which nothing is at hand: the file is not beside the log.
    """

    outcome: Outcome
    size: int = 0
    root: str = ""
    last_good_head: int | None = None
    heads: int = 0
    findings: tuple[Finding, ...] = ()
    origin: str | None = None
    public_key: str | None = None
    is_key_given: bool = False
    is_head_given: bool = False
    is_live: bool = False
    handovers: int = 0
    sealed: int = 0
    goes_on_as: str | None = None
    personal_open: int = 0
    personal_erased: int = 0
    personal_absent: int = 0

    @property
    def title(self) -> str:
        """The outcome as a few words."""
        return _TITLES[self.outcome]

    @property
    def exit_code(self) -> int:
        """What a command ends with: 0 valid, 1 tampered, 2 torn, 3 usage, 4 key."""
        return EXIT_CODES[self.outcome]

    @property
    def first_bad(self) -> int | None:
        """The position of the first bad entry or head, if the decisive finding has one."""
        return self.findings[0].position if self.findings else None

    def proves(self) -> list[str]:
        """Return what follows from the result, as sentences."""
        if self.last_good_head is None:
            return []
        covered = f"The first {self.last_good_head} entries are bit for bit what the key of {self.origin} signed"
        return [
            f"{covered}, in the same order, with none removed or inserted.",
            f"So says each of the {self.heads} signed heads that were checked."
            if self.outcome in ("valid", "torn")
            else "Nothing is proved about the entries behind them.",
            *(
                [f"The key that was given leads to the log's own over {self.handovers} hand-overs, signed by both."]
                if self.handovers
                else []
            ),
            *(
                [f"This log was sealed with {self.size} entries and goes on as {self.goes_on_as}."]
                if self.goes_on_as and self.outcome in ("valid", "torn")
                else []
            ),
            *(
                [f"{self.personal_open} personal values beside the log are those that were logged."]
                if self.personal_open
                else []
            ),
        ]

    def does_not_prove(self) -> list[str]:
        """Return what does not follow from the result, as sentences."""
        if self.last_good_head is None:
            return []
        limits = ["That what was logged is true: the holder of the private key can sign anything."]
        if not self.is_key_given:
            limits.append(
                "That the key is the right one: it lies in the log's own directory. Compare it with another copy."
            )
        if not self.is_head_given:
            limits.append(
                "That nothing was cut off: whoever can write every file here can go back to an earlier head. "
                "Compare with a head that is kept elsewhere."
            )
        if self.sealed:
            limits.append(f"Anything about the {self.sealed} logs that were sealed before this one: see --sealed.")
        if self.goes_on_as:
            limits.append(f"Anything about {self.goes_on_as}, with which it goes on.")
        if self.personal_erased:
            limits.append("That no copy is left elsewhere of what was erased: it is gone from beside this log.")
        if self.personal_absent:
            limits.append("Anything about the personal data: they are not beside this log.")
        return limits

    def to_dict(self) -> dict[str, object]:
        """Return everything as plain values, for JSON."""
        return {
            **asdict(self),
            "exit_code": self.exit_code,
            "first_bad": self.first_bad,
            "findings": [asdict(finding) for finding in self.findings],
            "proves": self.proves(),
            "does_not_prove": self.does_not_prove(),
        }

    def describe(self) -> str:
        """Return the result as lines for people."""
        lines = [f"{self.title}: {self.size} entries, {self.heads} signed heads"]
        lines += [f"  {finding}" for finding in self.findings]
        if self.last_good_head is not None:
            lines.append(f"last good head: {self.last_good_head} entries, root {self.root}")
        if self.public_key is not None:
            source = "given" if self.is_key_given else "from the log's own directory"
            lines.append(f"public key ({source}): {self.public_key}")
        if self.personal_open or self.personal_erased or self.personal_absent:
            lines.append(
                f"commitments to personal data: {self.personal_open} open, {self.personal_erased} erased, "
                f"{self.personal_absent} not at hand"
            )
        for title, sentences in (("This proves:", self.proves()), ("It does not prove:", self.does_not_prove())):
            if sentences:
                lines += [title, *(f"  - {sentence}" for sentence in sentences)]
        return "\n".join(lines)


def _shown(text: str) -> str:
    """Return text that may come from a forger so that it can do nothing to a terminal."""
    shown = "".join(character if character.isprintable() else "?" for character in text[:_SHOWN_MAX])
    return shown if len(text) <= _SHOWN_MAX else f"{shown}..."
