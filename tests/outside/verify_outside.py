"""Have programs that we did not write verify our audit logs: `make verify-outside`.

Good heads and proofs come from the commands that users have. Bad ones are made
of them: one bit of a signature or of a hash, another place, another root, a
history that was rewritten by somebody who has the key. The step fails if a
program refuses a good one or accepts a bad one, and if one of them had nothing
to accept or to refuse.

Where CI is "true", what the programs need is installed (Debian's packages as root, or
through sudo where that asks for no password), and then it must be there: a check that
is skipped in silence checks nothing. Elsewhere what is missing is named, which is a
failure unless `--where-possible` is given.
"""

# ruff: noqa: T201 - a program: what it finds is printed

from __future__ import annotations

import argparse
import base64
import contextlib
import importlib.util
import io
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from sessionactors.audit.archives import unpacked
from sessionactors.audit.checkpoint import Checkpoint, Signer, open_checkpoint, sign_checkpoint
from sessionactors.audit.handover import read_handovers
from sessionactors.audit.keys import load_key
from sessionactors.audit.log import AuditLog
from sessionactors.audit.record import AuditEvent, kind_of
from sessionactors.audit.statements import split_notes
from sessionactors.cli import main as sessionactors
from tests.outside.judges import Case, Flaw, GoJudge, Judge, Kind, MetamorphicJudge, OpenSslJudge, PymerkleJudge

_ROOT: Final = Path(__file__).parents[2]
_PACKAGES: Final = _ROOT / ".outside"
"""Where the Python packages go: not into .venv, which constraints.txt describes whole."""

_REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")
_INSTALL_TIMEOUT: Final = 240.0
"""Seconds for each step of an installation: a build must not hang on a network that is not there."""

_MODULES: Final = ("metamorphic_log", "pymerkle")
_BATCHES: Final = ((1,), (1, 1), (3, 4), (8, 56), (1, 6, 1, 24, 68))
"""Entries of each commit of each log: full trees, ragged ones, and the smallest."""


def main(arguments: list[str]) -> int:
    """Run everything; return 0 if all verdicts are right, 1 if not, 2 if something is missing."""
    parser = argparse.ArgumentParser(description="Have other people's programs verify our audit logs.")
    parser.add_argument("--where-possible", action="store_true", help="leave out programs that are not installed")
    is_built = os.environ.get("CI") == "true"
    is_lenient = parser.parse_args(arguments).where_possible and not is_built
    sys.path.append(str(_PACKAGES))
    if _missing() and is_built:
        _install()
    missing = _missing()
    for how, names in missing.items():
        print(f"verify-outside: missing: {', '.join(names)} ({how})")
    if missing and is_built:
        print("verify-outside: with CI=true these have to be there, and they could not be installed; see above for why")
    if missing and not is_lenient:
        return 2
    if missing:
        print("verify-outside: going on with the programs that are there")
    with tempfile.TemporaryDirectory() as folder:
        return _verify(Path(folder))


def _verify(folder: Path) -> int:
    key = folder / "key"
    _run("keygen", str(key), "--origin", "example.com/audit")
    verifier = key.with_name("key.pub").read_text().strip()
    judges = list(_judges(folder, verifier))
    cases: list[Case] = []
    for number, batches in enumerate(_BATCHES):
        cases += _cases(folder / f"log-{number}", batches, load_key(key), key)
    _run("keygen", str(folder / "new-key"), "--origin", "example.com/audit-2")
    cases += _sealed_cases(folder / "sealed", load_key(key), folder / "new-key")
    verdicts: Counter[tuple[str, Kind, bool]] = Counter()
    wrong: list[str] = []
    for judge in judges:
        for case in cases:
            if case.kind not in judge.judges or (case.flaw and case.flaw not in judge.judges[case.kind]):
                continue
            is_accepted = judge.accepts(case)
            verdicts[judge.name, case.kind, is_accepted] += 1
            if is_accepted == (case.flaw is not None):
                wrong.append(f"{judge.name} {'accepted' if is_accepted else 'refused'} {case.name}")
        for kind in judge.judges:
            counts = verdicts[judge.name, kind, True], verdicts[judge.name, kind, False]
            print(f"{judge.name:>16}  {kind:<12} accepted {counts[0]:>3}  refused {counts[1]:>3}")
            if not all(counts):
                wrong.append(f"{judge.name} has not both accepted and refused something of kind {kind}")
    for sentence in wrong:
        print(f"WRONG: {sentence}")
    print(f"verify-outside: {sum(verdicts.values())} verdicts of {len(judges)} programs, {len(wrong)} wrong")
    return 1 if wrong else 0


# --- What is judged ---------------------------------------------------------------------------------------------------


def _cases(directory: Path, batches: tuple[int, ...], signer: Signer, key: Path) -> Iterator[Case]:
    """Yield good cases from one log, and bad ones made of them."""
    heads = _write_log(directory, batches, key, "first")
    forked = directory.with_name(f"{directory.name}-forked")
    _write_log(forked, batches, key, "rewritten")
    leaves = _leaves(directory)
    name = f"log of {len(leaves)}"
    for note in heads:
        yield from _head_cases(name, note, leaves, signer)
    yield from _cosigned_cases(name, directory, signer)
    yield from _tile_cases(name, directory)
    for index in sorted({0, len(leaves) // 2, len(leaves) - 1}):
        proof = _run("prove", str(directory), str(index))
        yield Case(f"{name}, entry {index}", "inclusion", proof, leaves=leaves)
        for what, bad, flaw in _spoilt_inclusions(proof, index, len(leaves), signer):
            yield Case(f"{name}, entry {index}, {what}", "inclusion", bad, leaves=leaves, flaw=flaw)
    for old in heads[:-1]:
        size = open_checkpoint(old, signer.verifier).size
        file = directory / "old.head"
        file.write_bytes(old)
        proof = _run("consistency", str(directory), str(file))
        yield Case(f"{name}, since {size}", "consistency", proof, old=old)
        for what, bad_old, bad, flaw in _spoilt_consistencies(old, proof, forked, size, signer):
            yield Case(f"{name}, since {size}, {what}", "consistency", bad, old=bad_old, flaw=flaw)


def _sealed_cases(directory: Path, signer: Signer, new_key: Path) -> Iterator[Case]:
    """Yield cases from a log that was sealed twice, the second time for another key."""
    _write_log(directory, (3, 4), directory.with_name("key"), "first")
    _run("seal", str(directory), "--key", str(directory.with_name("key")))
    _write_log(directory, (5,), directory.with_name("key"), "second")
    _run("seal", str(directory), "--key", str(directory.with_name("key")), "--new-key", str(new_key))
    handovers = list(read_handovers(directory / "handovers"))
    with (directory / "handovers").open("rb") as file:
        notes = list(split_notes(file, (directory / "handovers").stat().st_size))
    for number, (handover, note) in enumerate(zip(handovers, notes, strict=True), 1):
        keys = (str(handover.old), str(handover.new))
        yield Case(f"hand-over {number}", "handover", note, keys=keys)
        for at in (1, 2):
            bad = _spoilt_line(note, at - 3)
            yield Case(f"hand-over {number}, spoilt signature {at}", "handover", bad, keys=keys, flaw="signature")
        size = b"\nsize %d\n" % handover.final.size
        bad = note.replace(size, b"\nsize %d\n" % (handover.final.size + 1))
        yield Case(f"hand-over {number}, another size", "handover", bad, keys=keys, flaw="signature")
        # The log that ended lies packed in the archive, and is proved from there under its own name.
        packed = str(directory / "archive" / f"{number:08}.tar.gz")
        own = signer.renamed(handover.old.name)
        title = f"sealed log {number}"
        with unpacked(Path(packed)) as log:
            leaves = _leaves(log)
            last = _head_of(log, len(leaves))
        for case in _head_cases(title, last, leaves, own):
            yield replace(case, keys=keys[:1])
        proof = _run("prove", packed, "1")
        yield Case(f"{title}, entry 1", "inclusion", proof, leaves=leaves, keys=keys[:1])
        for what, bad, flaw in _spoilt_inclusions(proof, 1, len(leaves), own):
            yield Case(f"{title}, entry 1, {what}", "inclusion", bad, leaves=leaves, flaw=flaw, keys=keys[:1])


def _cosigned_cases(name: str, directory: Path, signer: Signer) -> Iterator[Case]:
    """Yield a head that a witness has cosigned, and bad ones made of it."""
    folder = directory.with_name(f"{directory.name}-witness")
    note = _run("witness", str(directory), str(folder), "--name", "example.com/witness")
    (public,) = folder.rglob("witness.pub")
    keys = (str(signer.verifier), public.read_text().strip())
    yield Case(f"{name}, cosigned", "cosignature", note, keys=keys)
    yield Case(f"{name}, spoilt cosignature", "cosignature", _spoilt_line(note, -1), keys=keys, flaw="signature")
    start, _, encoded = note.rpartition(b" ")
    raw = base64.b64decode(encoded)
    later = (int.from_bytes(raw[4:12], "big") + 1).to_bytes(8, "big")
    moved = start + b" " + base64.b64encode(raw[:4] + later + raw[12:]) + b"\n"
    yield Case(f"{name}, cosigned at another time", "cosignature", moved, keys=keys, flaw="signature")
    other = note.replace(b"\n%d\n" % int(note.split(b"\n")[1]), b"\n999\n", 1)
    yield Case(f"{name}, cosigned with another size", "cosignature", other, keys=keys, flaw="signature")


def _tile_cases(name: str, directory: Path) -> Iterator[Case]:
    """Yield the log as tiles, and spoilt copies of them."""
    tiles = directory.with_name(f"{directory.name}-tiles")
    _run("export", str(directory), "--format", "tiles", "--out", str(tiles))
    yield Case(f"{name}, tiles", "tiles", b"", folder=tiles)
    files = sorted(path.relative_to(tiles) for path in tiles.rglob("*") if path.is_file())
    for number, file in enumerate(files):
        for what, spoil in (("altered", lambda raw: raw[:-1] + bytes((raw[-1] ^ 1,))), ("cut", lambda raw: raw[:-1])):
            bad = tiles.with_name(f"{tiles.name}-{number}-{what}")
            shutil.copytree(tiles, bad)
            (bad / file).write_bytes(spoil((bad / file).read_bytes()))
            flaw: Flaw = "signature" if file.name == "checkpoint" else "tree"
            yield Case(f"{name}, tiles with {file} {what}", "tiles", b"", folder=bad, flaw=flaw)


def _spoilt_line(note: bytes, at: int) -> bytes:
    """Return a note with one bit of the signature on one of its lines flipped."""
    lines = note.splitlines(keepends=True)
    start, _, encoded = lines[at].rpartition(b" ")
    raw = base64.b64decode(encoded)
    lines[at] = start + b" " + base64.b64encode(raw[:-1] + bytes((raw[-1] ^ 1,))) + b"\n"
    return b"".join(lines)


def _head_cases(name: str, note: bytes, leaves: tuple[bytes, ...], signer: Signer) -> Iterator[Case]:
    head = open_checkpoint(note, signer.verifier)
    title = f"{name}, head of {head.size}"
    yield Case(title, "head", note, leaves=leaves)
    changed = note.replace(b"\n%d\n" % head.size, b"\n%d\n" % (head.size + 1), 1)
    yield Case(f"{title}, another size", "head", changed, leaves=leaves, flaw="signature")
    yield Case(f"{title}, spoilt signature", "head", _spoilt_signature(note), leaves=leaves, flaw="signature")
    wrong = sign_checkpoint(Checkpoint(head.origin, head.size, _flipped(head.root)), signer)
    yield Case(f"{title}, wrong root", "head", wrong, leaves=leaves, flaw="tree")
    stranger = sign_checkpoint(head, Signer(head.origin, bytes(32)))
    # Under the id of the right key, or nobody would even look at the signature.
    wanted, given = (base64.b64decode(text.rsplit(b" ", 1)[1]) for text in (note, stranger))
    forged = note.rsplit(b" ", 1)[0] + b" " + base64.b64encode(wanted[:4] + given[4:]) + b"\n"
    yield Case(f"{title}, signed by a stranger", "head", forged, leaves=leaves, flaw="signature")


def _spoilt_inclusions(proof: bytes, index: int, size: int, signer: Signer) -> Iterator[tuple[str, bytes, Flaw]]:
    above, _, note = proof.partition(b"\n\n")
    lines = above.split(b"\n")
    yield "spoilt signature", above + b"\n\n" + _spoilt_signature(note), "signature"
    head = open_checkpoint(note, signer.verifier)
    wrong = sign_checkpoint(Checkpoint(head.origin, head.size, _flipped(head.root)), signer)
    yield "wrong root", above + b"\n\n" + wrong, "tree"
    leaf = base64.b64encode(_flipped(base64.b64decode(lines[1].removeprefix(b"extra "))))
    yield "altered entry", b"\n".join([lines[0], b"extra " + leaf, *lines[2:]]) + b"\n\n" + note, "tree"
    if size > 1:
        other = b"index %d" % ((index + 1) % size)
        yield "wrong index", b"\n".join([*lines[:2], other, *lines[3:]]) + b"\n\n" + note, "tree"
        flipped = base64.b64encode(_flipped(base64.b64decode(lines[3])))
        yield "altered hash", b"\n".join([*lines[:3], flipped, *lines[4:]]) + b"\n\n" + note, "tree"
        yield "a hash too few", b"\n".join(lines[:-1]) + b"\n\n" + note, "tree"
    yield "a hash too many", b"\n".join([*lines, base64.b64encode(bytes(32))]) + b"\n\n" + note, "tree"


def _spoilt_consistencies(
    old: bytes, proof: bytes, forked: Path, size: int, signer: Signer
) -> Iterator[tuple[str, bytes, bytes, Flaw]]:
    above, _, note = proof.partition(b"\n\n")
    lines = above.split(b"\n")
    yield "spoilt signature", old, above + b"\n\n" + _spoilt_signature(note), "signature"
    yield "spoilt old signature", _spoilt_signature(old), proof, "signature"
    flipped = base64.b64encode(_flipped(base64.b64decode(lines[-1])))
    yield "altered hash", old, b"\n".join([*lines[:-1], flipped]) + b"\n\n" + note, "tree"
    yield "a hash too few", old, b"\n".join(lines[:-1]) + b"\n\n" + note, "tree"
    head = open_checkpoint(old, signer.verifier)
    wrong = sign_checkpoint(Checkpoint(head.origin, head.size, _flipped(head.root)), signer)
    yield "old head with another root", wrong, proof, "tree"
    # Somebody with the key has rewritten history; the log before is shown by its old head.
    file = forked / "old.head"
    file.write_bytes(_head_of(forked, size))
    yield "history rewritten", old, _run("consistency", str(forked), str(file)), "tree"


def _spoilt_signature(note: bytes) -> bytes:
    """Return a note with one bit of its signature flipped, and the key id as it was."""
    start, _, encoded = note.rpartition(b" ")
    raw = base64.b64decode(encoded)
    return start + b" " + base64.b64encode(raw[:4] + _flipped(raw[4:])) + b"\n"


def _flipped(raw: bytes) -> bytes:
    return bytes((raw[0] ^ 1,)) + raw[1:]


# --- Logs -------------------------------------------------------------------------------------------------------------


def _write_log(directory: Path, batches: Iterable[int], key: Path, actor: str) -> list[bytes]:
    """Write a log with a commit for each batch; return the heads, oldest first."""
    with AuditLog(directory, key_file=key) as log:
        for count in batches:
            first = log.size
            log.append_many(
                AuditEvent(float(at), float(at), f"s{at % 7}", kind_of("auth"), actor, {"n": at})
                for at in range(first, first + count)
            )
            log.commit()
    return [note for (note,) in _rows(directory, "SELECT note FROM heads WHERE size > 0 ORDER BY size")]


def _leaves(directory: Path) -> tuple[bytes, ...]:
    return tuple(leaf for (leaf,) in _rows(directory, "SELECT leaf FROM entries ORDER BY sequence"))


def _head_of(directory: Path, size: int) -> bytes:
    ((note,),) = _rows(directory, f"SELECT note FROM heads WHERE size = {size:d}")
    return bytes(note)


def _rows(directory: Path, sql: str) -> list[tuple[bytes, ...]]:
    with contextlib.closing(sqlite3.connect(directory / "audit.db")) as connection:
        return connection.execute(sql).fetchall()


def _run(*arguments: str) -> bytes:
    """Return what `sessionactors audit` prints."""
    content = io.BytesIO()
    printed = io.TextIOWrapper(content, encoding="utf-8")
    with contextlib.redirect_stdout(printed):
        code = sessionactors(["audit", *arguments])
    if code:
        raise RuntimeError(f"sessionactors audit {' '.join(arguments)} ended with {code}")
    printed.flush()
    return content.getvalue()


# --- What is needed ---------------------------------------------------------------------------------------------------


def _judges(folder: Path, key: str) -> Iterator[Judge]:
    """Yield the programs that are installed."""
    if not GoJudge.missing():
        yield GoJudge(_made(folder / "go"), key)
    if not OpenSslJudge.missing():
        yield OpenSslJudge(_made(folder / "openssl"), key)
    if not _missing_modules():
        yield MetamorphicJudge(folder, key)
        yield PymerkleJudge(folder, key)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _missing() -> dict[str, list[str]]:
    """Return what is not there, under the way to get it."""
    debian = GoJudge.missing() + OpenSslJudge.missing()
    found = {}
    if debian:
        found[f"on Debian: apt-get install {' '.join(debian)}"] = debian
    if modules := _missing_modules():
        where = f"{_PACKAGES.name} -r {_REQUIREMENTS.relative_to(_ROOT)}"
        found[f"pip install --target {where}"] = modules
    return found


def _missing_modules() -> list[str]:
    importlib.invalidate_caches()
    return [name for name in _MODULES if importlib.util.find_spec(name) is None]


def _install() -> None:
    """Install what is missing; what cannot be is named by whoever asked."""
    debian = GoJudge.missing() + OpenSslJudge.missing()
    if debian and shutil.which("apt-get"):
        become_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "Acquire::http::Timeout=30"]
        _attempt([*become_root, *quiet, "update"])
        _attempt([*become_root, *quiet, "install", "-y", "--no-install-recommends", *debian])
    if _missing_modules():
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps"]
        _attempt([*pip, "--upgrade", "--target", str(_PACKAGES), "-r", str(_REQUIREMENTS)])


def _attempt(command: list[str]) -> None:
    """Run a command that may fail; its own message says why."""
    try:
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False, timeout=_INSTALL_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"verify-outside: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
