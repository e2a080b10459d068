"""The step that asks other people's programs fails when it should; the programs themselves need not be there."""

from __future__ import annotations

import pytest

from tests.outside import verify_outside
from tests.outside.judges import GoJudge, OpenSslJudge

BOTH = frozenset({"signature", "tree"})


class _Judge:
    """Says what a test wants it to say."""

    name = "judge"

    def __init__(self, answer):
        self.judges = dict.fromkeys(("head", "inclusion", "consistency", "handover", "cosignature"), BOTH)
        self.accepts = answer


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Small logs, nothing missing, and nothing installed."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(verify_outside, "_BATCHES", ((1, 2),))
    monkeypatch.setattr(verify_outside, "_missing", dict)


@pytest.fixture
def judged(monkeypatch, capsys):
    """Run the step with one judge; return its code and what it printed."""

    def run(answer):
        monkeypatch.setattr(verify_outside, "_judges", lambda *_: [_Judge(answer)])
        return verify_outside.main([]), capsys.readouterr().out

    return run


def test_right_verdicts_are_success(judged):
    code, printed = judged(lambda case: case.flaw is None)
    assert code == 0
    assert "0 wrong" in printed


def test_a_good_proof_that_is_refused_is_failure(judged):
    code, printed = judged(lambda case: case.flaw is None and "entry 1" not in case.name)
    assert code == 1
    assert "WRONG: judge refused log of 3, entry 1\n" in printed


def test_a_bad_proof_that_is_accepted_is_failure(judged):
    code, printed = judged(lambda case: case.flaw is None or "history rewritten" in case.name)
    assert code == 1
    assert "WRONG: judge accepted log of 3, since 1, history rewritten\n" in printed


def test_a_bad_case_differs_from_every_good_one(judged):
    good, bad = set(), set()
    judged(lambda case: (good if case.flaw is None else bad).add((case.kind, case.text, case.old)))
    # Of a log: 2 heads, 3 entries, 1 older head, 1 cosigned. Of a sealed one twice: head, entry, hand-over.
    assert len(good) == 13
    assert len(bad) > 30
    assert not good & bad


def test_what_is_missing_is_named(monkeypatch, capsys):
    monkeypatch.setattr(verify_outside, "_missing", lambda: {"ask a friend": ["a-program"]})
    monkeypatch.setattr(verify_outside, "_judges", lambda *_: [])
    assert verify_outside.main([]) == 2
    assert verify_outside.main(["--where-possible"]) == 0
    assert capsys.readouterr().out.count("missing: a-program (ask a friend)") == 2


def test_a_build_machine_installs_what_is_missing_and_goes_on(monkeypatch, capsys):
    there = []
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(verify_outside, "_missing", lambda: {} if there else {"ask a friend": ["a-program"]})
    monkeypatch.setattr(verify_outside, "_install", lambda: there.append(True))
    monkeypatch.setattr(verify_outside, "_judges", lambda *_: [_Judge(lambda case: case.flaw is None)])
    assert verify_outside.main(["--where-possible"]) == 0
    assert "missing" not in capsys.readouterr().out


def test_a_build_machine_that_cannot_install_it_fails_and_says_so(monkeypatch, capsys):
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(verify_outside, "_missing", lambda: {"ask a friend": ["a-program"]})
    monkeypatch.setattr(verify_outside, "_install", lambda: None)
    assert verify_outside.main(["--where-possible"]) == 2
    printed = capsys.readouterr().out
    assert "missing: a-program (ask a friend)" in printed
    assert "could not be installed" in printed


def test_an_installation_that_cannot_be_tried_is_no_crash(monkeypatch, capsys):
    monkeypatch.setattr(verify_outside, "_INSTALL_TIMEOUT", 0.01)
    verify_outside._attempt(["no-such-program"])
    verify_outside._attempt(["sleep", "5"])
    assert capsys.readouterr().err.count("verify-outside: ") == 2


def test_a_program_is_missing_if_it_is_not_in_the_path(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "golang-go" in GoJudge.missing()
    assert OpenSslJudge.missing() == ["openssl"]
