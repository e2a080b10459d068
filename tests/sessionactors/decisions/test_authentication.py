from __future__ import annotations

import pytest

from sessionactors.effects import Audit, Refuse, Verdict, Verify
from sessionactors.errors import AuthenticationFailed, AuthenticationPending, InvalidKind, InvalidValue
from sessionactors.lifecycle import (
    ACTIVATE,
    AUTHENTICATE,
    INIT_SESSION,
    LOCK,
    TERMINATE,
    UNLOCK,
    VERDICT,
    WAKE,
    Override,
    accepts_flag,
    decide,
)
from sessionactors.states import ACTIVE, AUTH, NEW, TERMINATED
from tests.sessionactors.session_factory import (
    BAD,
    GOOD,
    all_of,
    audits,
    ends,
    events,
    refusal,
    session_in,
    transition,
    wake,
)

ADMIN = Override("root")


def asked(data, now=101.0):
    """Ask for activation and return the question that goes to the authenticator."""
    (question,) = decide(data, ACTIVATE, now)
    assert isinstance(question, Verify)
    return question


def fail_to_check(context):
    raise OSError("directory server not reachable")


def test_init_session_merges_metadata_and_new_keys_win():
    data = session_in(NEW, metadata={"agent": "curl", "tier": 1})
    decide(data, INIT_SESSION, 101.0, {"tier": 2})
    decide(data, INIT_SESSION, 102.0, {"lang": "en"})
    assert dict(data.metadata) == {"agent": "curl", "tier": 2, "lang": "en"}


def test_init_session_leaves_the_shared_options_alone():
    data = session_in(NEW, metadata={"tier": 1})
    decide(data, INIT_SESSION, 101.0, {"tier": 2})
    assert data.options.metadata == {"tier": 1}


def test_init_session_works_without_metadata():
    data = session_in(NEW)
    decide(data, INIT_SESSION, 101.0)
    assert dict(data.metadata) == {}


def test_init_session_takes_the_user_from_the_metadata():
    data = session_in(NEW)
    decide(data, INIT_SESSION, 101.0, {"user_id": "ada"})
    assert data.user_id == "ada"


@pytest.mark.parametrize(
    ("metadata", "error"),
    [(7, InvalidKind), ({"f": print}, InvalidKind), ({"user_id": 7}, InvalidKind), ({"user_id": "\n"}, InvalidValue)],
)
def test_init_session_with_bad_metadata_changes_nothing(metadata, error):
    data = session_in(NEW)
    before = all_of(data)
    with pytest.raises(error):
        decide(data, INIT_SESSION, 101.0, metadata)
    assert all_of(data) == before


def test_a_pre_authenticated_mark_given_by_init_session_opens_the_door():
    data = session_in(NEW)
    decide(data, INIT_SESSION, 101.0, {"pre_authenticated": True})
    decide(data, ACTIVATE, 102.0)
    assert data.state == ACTIVE
    assert data.authenticated_at == 102.0


@pytest.mark.parametrize("mark", [1, "true", "True", [True]])
def test_only_true_itself_counts_as_the_mark(mark):
    data = session_in(NEW, metadata={"pre_authenticated": mark})
    assert refusal(decide(data, ACTIVATE, 101.0)) == "not_authenticated"


def test_a_session_without_need_of_authentication_counts_as_not_authenticated():
    data = session_in(NEW, auth_required=False)
    decide(data, ACTIVATE, 101.0)
    assert data.authenticated_at is None


def test_authenticate_is_allowed_where_it_is_not_required():
    data = session_in(NEW, auth_required=False)
    decide(data, AUTHENTICATE, 101.0, GOOD)
    assert data.state == AUTH


def test_each_authenticate_is_one_attempt_and_the_audit_log_counts_them():
    data = session_in(NEW)
    numbers = [decide(data, AUTHENTICATE, 101.0, BAD)[0].data for _ in range(3)]
    assert numbers == [{"attempt": 1}, {"attempt": 2}, {"attempt": 3}]


def test_with_two_attempts_the_third_authenticate_ends_the_session():
    data = session_in(NEW, max_auth_attempts=2)
    assert refusal(decide(data, AUTHENTICATE, 101.0, BAD)) is None
    assert refusal(decide(data, AUTHENTICATE, 102.0, BAD)) is None
    effects = decide(data, AUTHENTICATE, 103.0, GOOD)
    assert refusal(effects) == "max_attempts"
    assert ends(effects) == "max_attempts"
    assert data.auth_attempts == 2


def test_authenticate_needs_credentials():
    data = session_in(NEW)
    with pytest.raises(InvalidKind, match="auth_context"):
        decide(data, AUTHENTICATE, 101.0, None)
    assert data.auth_attempts == 0


def test_a_retry_does_not_start_the_timer_again():
    data = session_in(NEW, auth_timeout=30.0)
    assert wake(decide(data, AUTHENTICATE, 101.0, BAD)) == 131.0
    assert wake(decide(data, AUTHENTICATE, 120.0, GOOD)) is None
    effects = decide(data, WAKE, 131.0, 131.0)
    assert transition(effects) == (AUTH, TERMINATED, "session_terminated")


def test_the_auth_timer_tells_the_subscribers_before_the_end():
    data = session_in(AUTH, auth_timeout=30.0)
    effects = decide(data, WAKE, 130.0, 130.0)
    assert audits(effects) == [("auth", "auth_timeout")]
    assert events(effects) == ["session_auth_timeout", "session_terminated"]
    assert ends(effects) == "auth_timeout"


def test_accepted_credentials_make_the_session_active_and_name_the_user():
    data = session_in(AUTH)
    decide(data, ACTIVATE, 101.0, accepts_flag)
    assert (data.state, data.user_id, data.authenticated_at) == (ACTIVE, "ada", 101.0)


@pytest.mark.parametrize(
    ("timeouts", "due"),
    [
        ({"idle_timeout": 300.0}, 401.0),
        ({"idle_timeout": 10.0}, 111.0),
        ({"idle_timeout": 300.0, "absolute_timeout": 60.0}, 160.0),
        ({"idle_timeout": None}, None),
    ],
)
def test_an_acceptance_sets_the_timer_anew_for_what_is_due_first(timeouts, due):
    data = session_in(AUTH, auth_timeout=30.0, **timeouts)
    assert wake(decide(data, ACTIVATE, 101.0, accepts_flag)) == due
    assert data.wake_at == (due or float("inf"))


def test_credentials_do_not_stay_in_memory_after_they_were_accepted():
    data = session_in(AUTH)
    decide(data, ACTIVATE, 101.0, accepts_flag)
    assert data.question is None


def test_credentials_do_not_stay_in_memory_after_the_end():
    data = session_in(AUTH)
    decide(data, TERMINATE, 101.0)
    assert data.question is None


def test_credentials_are_never_shown():
    data = session_in(NEW)
    decide(data, AUTHENTICATE, 101.0, {"password": "hunter2"})
    assert "hunter2" not in repr(data)
    assert "hunter2" not in repr(data.question)
    assert "hunter2" not in repr(Verdict(asked(data), accepted=True))


@pytest.mark.parametrize("answer", [1, "yes", {"user": "eve"}, None])
def test_only_true_itself_is_an_acceptance(answer):
    data = session_in(AUTH)
    assert refusal(decide(data, ACTIVATE, 101.0, lambda _: answer)) == "authentication_failed"


def test_a_check_that_raises_denies_and_the_audit_log_says_why():
    data = session_in(AUTH)
    failed, answer = decide(data, ACTIVATE, 101.0, fail_to_check)
    assert failed == Audit("auth", "auth_failed", "error", {"attempt": 1, "reason": "OSError"})
    assert answer.error.code == "authentication_failed"
    assert "directory server" not in str(answer.error)
    assert data.state == AUTH


def test_rejected_credentials_are_not_asked_about_again():
    # Note (e).
    data = session_in(AUTH)
    decide(data, ACTIVATE, 101.0, lambda _: False)
    calls = []
    effects = decide(data, ACTIVATE, 102.0, calls.append)
    assert calls == []
    assert refusal(effects) == "authentication_failed"
    assert effects[0].data == {"attempt": 1, "reason": "no_credentials"}


def test_new_credentials_get_a_new_chance():
    data = session_in(AUTH)
    decide(data, ACTIVATE, 101.0, lambda _: False)
    decide(data, AUTHENTICATE, 102.0, GOOD)
    decide(data, ACTIVATE, 103.0, accepts_flag)
    assert data.state == ACTIVE


def test_a_rejection_tells_how_many_attempts_are_left():
    data = session_in(AUTH, max_auth_attempts=3)
    error = decide(data, ACTIVATE, 101.0, lambda _: False)[-1].error
    assert isinstance(error, AuthenticationFailed)
    assert error.attempts_left == 2


def test_a_refused_activation_is_no_activity():
    data = session_in(AUTH)
    decide(data, ACTIVATE, 105.0, lambda _: False)
    assert data.last_activity == 100.0


def test_a_slow_authenticator_is_asked_by_an_effect_and_the_state_stays():
    data = session_in(AUTH)
    question = asked(data)
    assert question.context == GOOD
    assert data.state == AUTH


def test_an_accepting_verdict_makes_the_session_active():
    data = session_in(AUTH)
    effects = decide(data, VERDICT, 105.0, Verdict(asked(data), accepted=True))
    assert transition(effects) == (AUTH, ACTIVE, "auth_success")
    assert data.last_activity == 105.0


def test_a_rejecting_verdict_is_answered_like_a_rejecting_check():
    data = session_in(AUTH)
    assert refusal(decide(data, VERDICT, 105.0, Verdict(asked(data), accepted=False))) == "authentication_failed"


def test_a_verdict_with_a_failure_denies_even_if_it_says_accepted():
    data = session_in(AUTH)
    effects = decide(data, VERDICT, 105.0, Verdict(asked(data), accepted=True, failure="deadline passed"))
    assert refusal(effects) == "authentication_failed"
    assert effects[0].severity == "error"
    assert effects[0].data == {"attempt": 1, "reason": "deadline passed"}


def test_the_authenticator_may_know_the_user_better_than_the_credentials():
    data = session_in(AUTH)
    decide(data, VERDICT, 105.0, Verdict(asked(data), accepted=True, user_id="ada@example.org"))
    assert data.user_id == "ada@example.org"


def test_a_user_whom_the_authenticator_has_not_named_is_not_believed():
    data = session_in(NEW)
    decide(data, AUTHENTICATE, 101.0, {"token": "of mallory", "user_id": "root"})
    effects = decide(data, VERDICT, 105.0, Verdict(asked(data), accepted=True))
    assert (data.state, data.user_id) == (ACTIVE, "anonymous")
    assert effects[0].data["user_id"] == "anonymous"


def test_a_user_whom_the_program_has_named_before_stays_the_user():
    data = session_in(NEW, metadata={"user_id": "ada"})
    decide(data, INIT_SESSION, 101.0, {"user_id": "ada"})
    decide(data, AUTHENTICATE, 101.0, {"token": "of ada", "user_id": "root"})
    decide(data, VERDICT, 105.0, Verdict(asked(data), accepted=True))
    assert data.user_id == "ada"


@pytest.mark.parametrize("user_id", ["", "a\nb", 7])
def test_a_user_that_cannot_be_named_is_not_let_in(user_id):
    data = session_in(NEW)
    decide(data, AUTHENTICATE, 101.0, {"authenticated": True, "user_id": user_id})
    assert refusal(decide(data, ACTIVATE, 102.0, accepts_flag)) == "authentication_failed"
    assert data.user_id == "anonymous"


@pytest.mark.parametrize(("operation", "argument"), [(ACTIVATE, None), (ACTIVATE, accepts_flag), (AUTHENTICATE, GOOD)])
def test_nothing_else_is_tried_while_the_authenticator_is_at_it(operation, argument):
    data = session_in(AUTH)
    question = asked(data)
    with pytest.raises(AuthenticationPending) as refused:
        decide(data, operation, 102.0, argument)
    assert refused.value.code == "authentication_pending"
    assert data.question is question
    assert data.auth_attempts == 1


def test_the_session_can_be_terminated_while_the_authenticator_is_at_it():
    data = session_in(AUTH)
    question = asked(data)
    assert ends(decide(data, TERMINATE, 102.0)) == "requested"
    assert decide(data, VERDICT, 103.0, Verdict(question, accepted=True)) == ()
    assert data.state == TERMINATED


def test_the_auth_timer_ends_the_session_while_the_authenticator_is_at_it():
    data = session_in(AUTH, auth_timeout=30.0)
    question = asked(data)
    decide(data, WAKE, 130.0, 130.0)
    assert decide(data, VERDICT, 131.0, Verdict(question, accepted=True)) == ()
    assert data.state == TERMINATED


def test_a_verdict_about_other_credentials_is_ignored():
    data = session_in(AUTH)
    first = asked(data)
    decide(data, VERDICT, 102.0, Verdict(first, accepted=False))
    decide(data, AUTHENTICATE, 103.0, BAD)
    asked(data, 104.0)
    assert decide(data, VERDICT, 105.0, Verdict(first, accepted=True)) == ()
    assert data.state == AUTH


def test_a_verdict_that_nobody_asked_for_is_ignored():
    data = session_in(AUTH)
    assert decide(data, VERDICT, 102.0, Verdict(data.question, accepted=True)) == ()
    assert data.state == AUTH


@pytest.mark.parametrize("said", [None, True, "accepted"])
def test_what_is_no_verdict_opens_nothing(said):
    data = session_in(AUTH)
    asked(data)
    assert decide(data, VERDICT, 102.0, said) == ()
    assert data.state == AUTH


def test_a_verdict_about_nothing_is_ignored():
    data = session_in(AUTH)
    decide(data, VERDICT, 102.0, Verdict(asked(data), accepted=False))
    assert decide(data, VERDICT, 103.0, Verdict(None, accepted=True)) == ()
    assert data.state == AUTH


def test_a_lock_out_blocks_credentials_that_were_given_before():
    data = session_in(AUTH)
    decide(data, LOCK, 101.0, ADMIN)
    assert refusal(decide(data, ACTIVATE, 102.0, accepts_flag)) == "auth_blocked"
    assert refusal(decide(data, AUTHENTICATE, 103.0, GOOD)) == "auth_blocked"
    assert data.auth_attempts == 1


def test_a_lock_out_that_comes_before_the_verdict_wins():
    data = session_in(AUTH)
    question = asked(data)
    decide(data, LOCK, 102.0, ADMIN)
    effects = decide(data, VERDICT, 103.0, Verdict(question, accepted=True))
    assert refusal(effects) == "auth_blocked"
    assert data.state == AUTH
    assert data.question is None


def test_unlock_gives_all_attempts_back():
    data = session_in(AUTH, max_auth_attempts=1)
    decide(data, LOCK, 101.0, ADMIN)
    decide(data, UNLOCK, 102.0, ADMIN)
    assert refusal(decide(data, AUTHENTICATE, 103.0, GOOD)) is None
    assert data.auth_attempts == 1


def test_the_strict_variant_ends_the_session_at_the_first_rejection():
    data = session_in(AUTH, strict_authentication=True, max_auth_attempts=5)
    effects = decide(data, ACTIVATE, 101.0, lambda _: False)
    assert ends(effects) == "authentication_failed"
    assert isinstance(effects[-1], Refuse)
    assert effects[-1].error.attempts_left == 0


@pytest.mark.parametrize("context", [{}, {"authenticated": 1}, {"authenticated": "True"}, "authenticated", None, 7])
def test_the_default_check_rejects_everything_but_the_flag(context):
    assert not accepts_flag(context)


def test_the_default_check_accepts_the_flag():
    assert accepts_flag({"authenticated": True})


class Fickle(dict):
    """Credentials that are good until they are asked whose they are."""

    def get(self, key, default=None):
        if key == "user_id":
            raise RuntimeError("no")
        return super().get(key, default)


def test_credentials_that_raise_when_they_are_asked_for_the_user_are_rejected():
    data = session_in(AUTH)
    data.question.context = Fickle(authenticated=True)
    effects = decide(data, ACTIVATE, 101.0, accepts_flag)
    assert refusal(effects) == "authentication_failed"
    assert effects[0].data["reason"] == "RuntimeError"
    assert data.state == AUTH
