"""Programs that we did not write, each asked whether a head or a proof holds."""

from __future__ import annotations

import base64
import importlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias

__all__ = ["Case", "Flaw", "GoJudge", "Judge", "Kind", "MetamorphicJudge", "OpenSslJudge", "PymerkleJudge"]

Kind: TypeAlias = Literal["head", "inclusion", "consistency", "handover", "cosignature", "tiles"]
Flaw: TypeAlias = Literal["signature", "tree"]

_GO_SOURCES: Final = Path("/usr/share/gocode")
_ED25519_DER: Final = bytes.fromhex("302a300506032b6570032100")
_TIMEOUT: Final = 60.0


@dataclass(frozen=True, slots=True)
class Case:
    """Something to judge.

    Attributes:
        name: what it is, for messages.
        kind: what it claims to be.
        text: a checkpoint, or a proof with one below it.
        old: the older head of a consistency proof.
        leaves: all entries of the log, for a judge that makes the tree itself.
        flaw: what is wrong with it; None if it is good.
        keys: public keys, where it is not that of all: of a log that follows another, or two.
        folder: of tiles.
    """

    name: str
    kind: Kind
    text: bytes
    old: bytes = b""
    leaves: tuple[bytes, ...] = ()
    flaw: Flaw | None = None
    keys: tuple[str, ...] = ()
    folder: Path | None = None

    def above(self) -> list[str]:
        """Return the lines of a proof above the checkpoint."""
        return self.text.partition(b"\n\n")[0].decode().split("\n")

    def note(self) -> bytes:
        """Return the checkpoint."""
        return self.text if self.kind == "head" else self.text.partition(b"\n\n")[2]


class Judge(Protocol):
    """Somebody else's program.

    Attributes:
        name: for messages.
        judges: what it can check, and which flaws of that it can see.
    """

    name: str
    judges: dict[Kind, frozenset[Flaw]]

    def accepts(self, case: Case) -> bool: ...


_BOTH: Final[frozenset[Flaw]] = frozenset({"signature", "tree"})


class GoJudge:
    """Go's `golang.org/x/mod/sumdb/note` and `tlog`, which verify Go's checksum database."""

    name = "Go sumdb"

    def __init__(self, folder: Path, key: str) -> None:
        self.judges: dict[Kind, frozenset[Flaw]] = {
            "head": frozenset({"signature"}),
            "inclusion": _BOTH,
            "consistency": _BOTH,
            "handover": frozenset({"signature"}),
            "cosignature": frozenset({"signature"}),
            "tiles": _BOTH,
        }
        self._key = key
        self._folder = folder
        self._program = folder / "verify"
        source = Path(__file__).with_name("verify.go")
        # Without modules, Go finds Debian's sources in a GOPATH and asks no network for anything.
        surroundings = {"GO111MODULE": "off", "GOPATH": str(_GO_SOURCES), "GOFLAGS": "", "CGO_ENABLED": "0"}
        surroundings |= {"GOCACHE": str(folder / "go-cache"), "GOPROXY": "off"}
        command = ["go", "build", "-o", str(self._program), str(source)]
        subprocess.run(command, env=os.environ | surroundings, check=True, timeout=10 * _TIMEOUT)

    @staticmethod
    def missing() -> list[str]:
        """Return the Debian packages that are not there."""
        packages = [] if shutil.which("go") else ["golang-go"]
        there = (_GO_SOURCES / "src/golang.org/x/mod/sumdb/tlog").is_dir()
        return packages if there else [*packages, "golang-golang-x-mod-dev"]

    def accepts(self, case: Case) -> bool:
        text, old = self._folder / "text", self._folder / "old"
        text.write_bytes(case.text)
        old.write_bytes(case.old)
        (self._folder / "key").write_text("".join(f"{key}\n" for key in case.keys or (self._key,)))
        files = [old, text] if case.kind == "consistency" else [case.folder or text]
        command = [str(self._program), case.kind, str(self._folder / "key"), *map(str, files)]
        return _is_success(command, refusals=(1,))


class OpenSslJudge:
    """OpenSSL, for the raw Ed25519 signature under a head."""

    name = "OpenSSL"

    def __init__(self, folder: Path, key: str) -> None:
        self.judges: dict[Kind, frozenset[Flaw]] = dict.fromkeys(
            ("head", "handover", "cosignature"), frozenset({"signature"})
        )
        self._folder = folder
        self._key = key

    @staticmethod
    def missing() -> list[str]:
        """Return the Debian packages that are not there."""
        return [] if shutil.which("openssl") else ["openssl"]

    def accepts(self, case: Case) -> bool:
        above, _, below = case.text.rpartition(b"\n\n")
        body = above + b"\n"
        # After the dash and the name: four bytes that name the key, and the signature.
        lines = [base64.b64decode(line.split()[2])[4:] for line in below.splitlines()]
        keys = case.keys or (self._key,)
        if case.kind == "cosignature":
            time = int.from_bytes(lines[1][:8], "big")
            return self._holds(keys[0], body, lines[0]) and self._holds(
                keys[1], b"cosignature/v1\ntime %d\n" % time + body, lines[1][8:]
            )
        return all(self._holds(key, body, line) for key, line in zip(keys, lines, strict=True))

    def _holds(self, key: str, signed: bytes, signature: bytes) -> bool:
        # What follows the name and the key id is one byte for the algorithm, and the key.
        (self._folder / "key.der").write_bytes(_ED25519_DER + base64.b64decode(key.split("+", 2)[2])[1:])
        (self._folder / "body").write_bytes(signed)
        (self._folder / "signature").write_bytes(signature)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-rawin", "-keyform", "DER"]
        for option, name in (("-inkey", "key.der"), ("-in", "body"), ("-sigfile", "signature")):
            command += [option, str(self._folder / name)]
        return _is_success(command, refusals=(1,))


class MetamorphicJudge:
    """`metamorphic-log` from PyPI: a verifier of C2SP notes, checkpoints and RFC 6962 proofs in Rust."""

    name = "metamorphic-log"

    def __init__(self, _: Path, key: str) -> None:
        self.judges: dict[Kind, frozenset[Flaw]] = {
            "head": frozenset({"signature"}),
            "inclusion": _BOTH,
            "consistency": _BOTH,
            "handover": frozenset({"signature"}),
        }
        self._library: Any = importlib.import_module("metamorphic_log")
        # It has no hash of its own for leaves of any form; one of pymerkle's will do.
        self._hasher: Any = importlib.import_module("pymerkle.hasher").MerkleHasher("sha256")
        self._key = key

    def accepts(self, case: Case) -> bool:
        note, above = case.note().decode(), case.above()
        keys = list(case.keys or (self._key,))
        try:
            if case.kind == "handover":
                for key in keys:  # each for itself: one good signature of several would do otherwise
                    self._library.verify_signed_note(case.text.decode(), [key])
                return True
            if case.kind == "head":
                self._library.checkpoint_verify(note, keys)
            elif case.kind == "inclusion":
                leaf = self._hasher.hash_buff(base64.b64decode(above[1].removeprefix("extra ")))
                index = int(above[2].removeprefix("index "))
                self._library.checkpoint_verify_inclusion(note, keys, index, leaf, _hashes(above[3:]))
            else:
                old = case.old.decode()
                self._library.checkpoint_verify_consistency(old, note, keys, _hashes(above[1:]))
        except self._library.VerifyError:
            return False
        return True


class PymerkleJudge:
    """`pymerkle` from PyPI: makes the tree from the entries itself, and checks paths in it; no signatures."""

    name = "pymerkle"

    def __init__(self, _: Path, __: str) -> None:
        self.judges: dict[Kind, frozenset[Flaw]] = {"head": frozenset({"tree"}), "inclusion": frozenset({"tree"})}
        self._library: Any = importlib.import_module("pymerkle")

    def accepts(self, case: Case) -> bool:
        tree = self._library.InmemoryTree("sha256")
        for leaf in case.leaves:
            tree.append_entry(leaf)
        _, size, encoded = case.note().decode().split("\n")[:3]
        root = base64.b64decode(encoded)
        if case.kind == "head":
            return int(size) <= len(case.leaves) and tree.get_state(int(size)) == root
        above = case.above()
        place = int(above[2].removeprefix("index ")) + 1
        leaf = tree.hash_buff(base64.b64decode(above[1].removeprefix("extra ")))
        # The path is ours. Which hash stands left and which right is for pymerkle to say.
        proof = tree.prove_inclusion(place, int(size))
        proof.path = [leaf, *_hashes(above[3:])]
        try:
            self._library.verify_inclusion(leaf, root, proof, index=place, size=int(size), algorithm="sha256")
        except self._library.InvalidProof:
            return False
        return True


def _is_success(command: list[str], refusals: tuple[int, ...]) -> bool:
    """Return whether a program says yes; anything but yes and no is an error of the program."""
    result = subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT)
    if result.returncode and result.returncode not in refusals:
        raise RuntimeError(f"{command[0]} ended with {result.returncode}: {result.stderr!r}")
    return result.returncode == 0


def _hashes(lines: list[str]) -> list[bytes]:
    return [base64.b64decode(line) for line in lines]
