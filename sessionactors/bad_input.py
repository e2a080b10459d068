"""Refusals of bad input: each names the field, the kind of what was given, and what is allowed.

`sessionactors.errors` draws all refusals as one tree, and is where others import them from.

Source: session system, chapter 1, for the codes that stand there; the others are ours.
"""

from __future__ import annotations

from sessionactors.refusal import SessionRefusal
from supervisors.errors import InvalidArgumentError, InvalidTypeError

__all__ = [
    "InvalidAction",
    "InvalidBackend",
    "InvalidKind",
    "InvalidLimit",
    "InvalidOption",
    "InvalidQuota",
    "InvalidSessionId",
    "InvalidValue",
    "LimitExceedsGlobal",
    "UnknownRequest",
    "UnsupportedFormat",
]


class InvalidKind(SessionRefusal, InvalidTypeError):  # noqa: N818 - named as its siblings are
    """A value is of a kind that is not allowed; the value itself is not shown."""

    code = "invalid_type"


class InvalidValue(SessionRefusal, InvalidArgumentError):  # noqa: N818 - named as its siblings are
    """A value is of the right kind, but not allowed."""

    code = "invalid_value"


class InvalidSessionId(InvalidValue):
    """This text cannot name a session."""

    code = "invalid_session_id"


class InvalidOption(InvalidValue):
    """There is no option of this name."""

    code = "invalid_option"


class InvalidQuota(InvalidValue):
    """A quota is not a count, or not a count in the allowed range."""

    code = "invalid_quota"


class InvalidLimit(InvalidValue):
    """A resource limit is not a number in the allowed range."""

    code = "invalid_limit"


class LimitExceedsGlobal(InvalidLimit):
    """A session's limit is higher than what the whole service has."""

    code = "limit_exceeds_global"


class InvalidAction(InvalidValue):
    """There is no such throttle action."""

    code = "invalid_action"


class InvalidBackend(InvalidValue):
    """There is no such store."""

    code = "invalid_backend"


class UnknownRequest(InvalidValue):
    """There is no such operation."""

    code = "unknown_request"


class UnsupportedFormat(InvalidValue):
    """There is no such report format."""

    code = "unsupported_format"
