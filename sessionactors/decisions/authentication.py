"""From new to active: who is it, and do we believe it?

The authenticator may be slow, so `activate_auth` only returns a `Verify`, and the
answer comes back as a verdict. Meanwhile the state stays auth, and nothing but
the end of the session can happen. Rejected credentials are thrown away at once:
repeating the call cannot make the authenticator work again. Whatever goes wrong
on the way, nobody gets in by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import inf
from typing import Final, TypeAlias

from sessionactors import bounds
from sessionactors.decisions.activity import become_active
from sessionactors.decisions.moves import MAX_ATTEMPTS, REQUESTED, end, move, wake_by
from sessionactors.effects import (
    NOTHING,
    Audit,
    Effects,
    Identify,
    Notify,
    Refuse,
    Severity,
    Step,
    Transition,
    Verdict,
    Verify,
    numbered,
)
from sessionactors.errors import (
    AuditUnavailable,
    AuthBlocked,
    AuthenticationFailed,
    AuthenticationPending,
    InvalidKind,
    InvalidValue,
    MaxAttempts,
    NotAuthenticated,
)
from sessionactors.metadata import NO_METADATA, check_metadata, merge_metadata
from sessionactors.operations import ACTIVATE, AUTHENTICATE
from sessionactors.session_data import SessionData, deadline
from sessionactors.states import ACTIVE, AUTH, NEW

__all__ = ["QuickCheck", "accepts_flag", "activate_auth", "activate_new", "authenticate", "init_session", "verdict"]

QuickCheck: TypeAlias = Callable[[object], bool]

_INITIALIZED: Final = Step(numbered(Audit("lifecycle", "session_initialized")), Notify("session_initialized"))
_BLOCKED: Final = numbered(Audit("security", "auth_blocked", "warning"))
_PRE_AUTHENTICATION: Final = numbered(Transition(NEW, ACTIVE, "pre_authenticated", "activated_pre_auth"))
_NO_AUTHENTICATION: Final = numbered(Transition(NEW, ACTIVE, "auth_not_required", "activated_pre_auth"))
_ACTIVATED: Final = Notify("session_activated")
_PRE_AUTHENTICATED: Final = Step(_PRE_AUTHENTICATION, _ACTIVATED)
_NOT_REQUIRED: Final = Step(_NO_AUTHENTICATION, _ACTIVATED)
_ACTIVATION_DENIED: Final = numbered(Audit("auth", "activation_denied", "warning"))
_AUTH_BEGUN: Final = numbered(Transition(NEW, AUTH, REQUESTED, "auth_attempt"))
_AUTHENTICATED: Final = numbered(Transition(AUTH, ACTIVE, "authenticated", "auth_success"))


def accepts_flag(context: object) -> bool:
    """Accept credentials in which the embedding program itself says `authenticated: True`.

    This is no security boundary: it trusts whoever calls `authenticate`. Programs
    that receive credentials from outside pass an authenticator of their own.
    """
    return isinstance(context, Mapping) and context.get("authenticated") is True


def init_session(data: SessionData, now: float, given: object) -> Effects:
    """Merge metadata; new keys win."""
    checked = NO_METADATA if given is None else check_metadata("metadata", given)
    merged = merge_metadata(data.metadata, checked)
    previous = data.user_id
    if "user_id" in checked:
        data.user_id = bounds.text("metadata.user_id", checked["user_id"])
    data.metadata = merged
    data.last_activity = now
    return _INITIALIZED if data.user_id == previous else (*_INITIALIZED, Identify(previous))


def authenticate(data: SessionData, now: float, context: object) -> Effects:
    """Take credentials, in new or again in auth."""
    if data.verifying:
        raise AuthenticationPending(AUTHENTICATE)
    if context is None:
        raise InvalidKind("auth_context", context, "credentials of any other kind")
    if data.locked:
        return (_BLOCKED, Refuse(AuthBlocked()))
    if data.auth_attempts >= data.options.max_auth_attempts:
        return _exhausted(data, now)
    data.auth_attempts += 1
    data.question = Verify(context)
    data.last_activity = now
    if data.state == AUTH:
        return _attempted("auth_retry", data.auth_attempts)  # the timer goes on: a retry gains no time
    move(data, _AUTH_BEGUN, now)
    effects = (*_attempted("auth_attempt", data.auth_attempts), _AUTH_BEGUN)
    return wake_by(data, effects, now + data.options.auth_timeout)


def activate_new(data: SessionData, now: float, _check: QuickCheck | None) -> Effects:
    """Become active without credentials, if that was agreed beforehand."""
    if data.locked:  # a lock-out that a mark in the metadata opens would be none
        return (_BLOCKED, Refuse(AuthBlocked()))
    if data.metadata.get("pre_authenticated") is True:
        data.authenticated_at = now
        return become_active(data, now, _PRE_AUTHENTICATED, _PRE_AUTHENTICATION)
    if not data.options.auth_required:
        return become_active(data, now, _NOT_REQUIRED, _NO_AUTHENTICATION)
    return (_ACTIVATION_DENIED, Refuse(NotAuthenticated()))


def activate_auth(data: SessionData, now: float, check: QuickCheck | None) -> Effects:
    """Have the credentials checked: here with a quick check, or by a `Verify`."""
    if data.verifying:
        raise AuthenticationPending(ACTIVATE)
    if data.locked:
        return (_BLOCKED, Refuse(AuthBlocked()))
    question = data.question
    if question is None:
        return _rejected(data, now, "no_credentials")
    if check is None:
        question.is_asked = True
        return (question,)
    try:
        if check(question.context) is not True:
            return _rejected(data, now, "rejected")
        # The program that says so itself also says who it is.
        user_id = question.context.get("user_id") if isinstance(question.context, Mapping) else None
    except Exception as error:  # noqa: BLE001 - whatever it is, nobody gets in by it
        return _rejected(data, now, type(error).__name__, "error")
    return _accepted(data, now, user_id)


def verdict(data: SessionData, now: float, said: object) -> Effects:
    """Act on the authenticator's answer, unless it belongs to another question."""
    question = data.question
    if not isinstance(said, Verdict) or said.question is not question or question is None or not data.verifying:
        return NOTHING
    if said.is_held_back:
        question.is_asked = False  # the question stays: the next `activate` asks it again
        return (Refuse(AuditUnavailable(ACTIVATE)),)
    if said.failure is not None:
        return _rejected(data, now, said.failure, "error")
    if said.accepted is not True:
        return _rejected(data, now, "rejected")
    if data.locked:  # an administrator was quicker than the authenticator
        data.question = None
        return (_BLOCKED, Refuse(AuthBlocked()))
    # Not the `user_id` in the credentials: those come from outside, and whoever has judged
    # a token by itself has not judged what was written beside it.
    return _accepted(data, now, said.user_id)


def _accepted(data: SessionData, now: float, user_id: object) -> Effects:
    previous = data.user_id
    try:
        if user_id is not None:
            data.user_id = bounds.text("user_id", user_id)
    except (InvalidKind, InvalidValue) as error:
        return _rejected(data, now, str(error), "error")
    data.question = None
    data.authenticated_at = now
    data.last_activity = now
    move(data, _AUTHENTICATED, now)
    succeeded = _succeeded(data.auth_attempts, data.user_id)
    # The authentication's timer would fire early, long before an idle one is due:
    # setting it anew, once in a session's life, costs less than that.
    data.wake_at = inf
    effects = wake_by(data, (succeeded, _AUTHENTICATED, _ACTIVATED), deadline(data))
    return effects if data.user_id == previous else (*effects, Identify(previous))


@lru_cache(maxsize=1024)
def _succeeded(attempt: int, user_id: str) -> Audit:
    # Most sessions of one user say the same, and whoever writes it down can see that it is the same object.
    return Audit("auth", "auth_success", "info", {"attempt": attempt, "user_id": user_id})


def _rejected(data: SessionData, now: float, why: str, severity: Severity = "warning") -> Effects:
    data.question = None
    attempts = data.auth_attempts
    failed = Audit("auth", "auth_failed", severity, {"attempt": attempts, "reason": why})
    if data.options.strict_authentication:
        return end(data, now, "authentication_failed", (failed,), (Refuse(AuthenticationFailed(0)),))
    if attempts >= data.options.max_auth_attempts:
        return _exhausted(data, now, (failed,))
    return (failed, Refuse(AuthenticationFailed(data.options.max_auth_attempts - attempts)))


def _exhausted(data: SessionData, now: float, before: Effects = NOTHING) -> Effects:
    attempts = data.auth_attempts
    exceeded = Audit("security", "max_auth_attempts_exceeded", "warning", {"attempts": attempts})
    return end(data, now, MAX_ATTEMPTS, (*before, exceeded), (Refuse(MaxAttempts(attempts)),))


@lru_cache(maxsize=64)
def _attempted(name: str, attempt: int) -> Effects:
    return (Audit("auth", name, "info", {"attempt": attempt}),)
