"""``/live``, ``/ready`` and ``/metrics`` over HTTP.

The least of HTTP/1.1 that probes and Prometheus speak: GET and HEAD, one request for each
connection, no body. It listens on the loopback interface unless it is told
otherwise, and anywhere else it wants a token.

=============  ====================================================================
``/live``      200 while everybody who is watched makes progress, else 503
``/ready``     200 while the program takes work besides, else 503
``/metrics``   the figures; the token is needed if there is one
=============  ====================================================================

With a token, ``/live`` and ``/ready`` answer everybody who asks, but give
their reasons only to who has it: a load balancer needs the one, an operator the other.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, final

from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.health.listener import Connection, Listener, TooLongError
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervisors.clock import Clock
    from supervisors.health.health import Health, Verdict
    from supervisors.telemetry.exposition import Telemetry

__all__ = ["HEAD_MAX", "TOKEN_MIN", "Endpoint"]

logger = logging.getLogger("supervisors.endpoint")

HEAD_MAX: Final = 8192
"""Bytes of a request."""
TOKEN_MIN: Final = 16
"""Characters of a token, at least: a shorter one is guessed."""

_PATHS: Final = ("/live", "/ready", "/metrics")
_TEXT: Final = "text/plain; charset=utf-8"


@final
class Endpoint:
    """Answers probes and scrapes, from `start()` to `stop()`.

    Args:
        health: answers ``/live`` and ``/ready``.
        telemetry: answers ``/metrics``; None answers 404.
        clock: measures time.
        host: an address of this machine, as numbers; loopback by default.
        port: 0 takes a free one, see `address`.
        token: what a scraper sends as ``Authorization: Bearer ...``, 16 characters
            or more; None asks for none, which is allowed on loopback only.
        connections_max: peers at the same time, 1 to 1024.
        timeout: seconds for a request to arrive, and for its answer to be taken.

    Raises:
        InvalidArgumentError, InvalidTypeError: bad input.
        OSError: the address cannot be had.

    Thread: every method is safe anywhere.
    """

    def __init__(
        self,
        health: Health,
        telemetry: Telemetry | None = None,
        *,
        clock: Clock,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        connections_max: int = 16,
        timeout: float = 5.0,
    ) -> None:
        self._health = health
        self._telemetry = telemetry
        self._timeout = checked_delay("timeout", timeout)
        if not self._timeout:
            raise InvalidArgumentError("timeout", timeout, "a number of seconds above 0")
        self._token = None if token is None else _checked_token(token)
        where = _checked_host(host)
        if not where.is_loopback and token is None:
            raise InvalidArgumentError("token", None, "a token, because others can reach this host address")
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65_535:
            raise InvalidArgumentError("port", port, "an integer from 0 to 65535")
        family = socket.AF_INET6 if where.version == 6 else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, port))
            self._listener = Listener(
                listening,
                self._serve,
                clock=clock,
                connections_max=connections_max,
                busy=_response(HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, b"too many connections\n"),
                name="supervisors-endpoint",
            )
        except BaseException:
            listening.close()
            raise
        self.address: tuple[str, int] = listening.getsockname()[:2]
        """Host and port that it listens at."""

    def start(self) -> None:
        """Begin to answer.

        Raises:
            UsageError: it was started or stopped before.
        """
        self._listener.start()

    def limit(self, connections_max: int) -> None:
        """Change how many peers there may be; nobody who is there is sent away."""
        self._listener.limit(connections_max)

    def stop(self, timeout: float = 5.0) -> int:
        """End; return how many requests were still being answered when the seconds were over."""
        return self._listener.stop(timeout)

    def _serve(self, connection: Connection) -> None:
        is_head = False
        try:
            head = connection.read_until(b"\r\n\r\n", HEAD_MAX, self._timeout)
            method, path, headers = _parse(head)
            is_head = method == "HEAD"
            status, content_type, body, more = self._answer(method, path, headers)
        except TooLongError:
            status, content_type, body, more = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _TEXT, b"", ""
        except TimeoutError:
            status, content_type, body, more = HTTPStatus.REQUEST_TIMEOUT, _TEXT, b"", ""
        except ValueError:
            status, content_type, body, more = HTTPStatus.BAD_REQUEST, _TEXT, b"this is no request\n", ""
        except EOFError:
            return
        except Exception:
            logger.exception("an answer could not be made")
            status, content_type, body, more = HTTPStatus.INTERNAL_SERVER_ERROR, _TEXT, b"see the log\n", ""
        connection.send(_response(status, content_type, body, more, is_head=is_head), self._timeout)

    def _answer(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[HTTPStatus, str, bytes, str]:
        path = path.partition("?")[0]
        if path not in _PATHS or (path == "/metrics" and self._telemetry is None):
            return HTTPStatus.NOT_FOUND, _TEXT, b"there are /live, /ready and /metrics\n", ""
        if method not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"", "Allow: GET, HEAD\r\n"
        is_trusted = self._is_trusted(headers.get("authorization", ""))
        if path == "/live":
            return _told(self._health.live(), is_trusted=is_trusted)
        if path == "/ready":
            return _told(self._health.ready(), is_trusted=is_trusted)
        if not is_trusted:
            return HTTPStatus.UNAUTHORIZED, _TEXT, b"", "WWW-Authenticate: Bearer\r\n"
        assert self._telemetry is not None
        text, content_type = self._telemetry.exposition(headers.get("accept", ""))
        return HTTPStatus.OK, content_type, text, ""

    def _is_trusted(self, authorization: str) -> bool:
        if self._token is None:
            return True
        scheme, _, given = authorization.partition(" ")
        # Both sides are compared to the end, whatever the first difference.
        is_same = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._token)
        return is_same and scheme.lower() == "bearer"


def _told(verdict: Verdict, *, is_trusted: bool) -> tuple[HTTPStatus, str, bytes, str]:
    if verdict.is_good:
        return HTTPStatus.OK, _TEXT, b"ok\n", ""
    reasons = "".join(f"{reason}\n" for reason in verdict.reasons) if is_trusted else "no\n"
    return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, reasons.encode("utf-8", "replace"), ""


def _parse(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Return method, path and headers, names in lower case.

    Raises:
        ValueError: this is no request.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, version = first.split(" ")
    if not version.startswith("HTTP/1.") or not path.startswith("/") or not method.isalpha():
        raise ValueError
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise ValueError
        if name.lower() == "authorization" and "authorization" in headers:
            raise ValueError  # which of them would count?
        headers[name.lower()] = value.strip()
    return method, path, headers


def _response(status: HTTPStatus, content_type: str, body: bytes, more: str = "", *, is_head: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n{more}Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (b"" if is_head else body)


def _checked_token(token: object) -> bytes:
    allowed = f"{TOKEN_MIN} or more characters, ASCII, without blanks"
    if not isinstance(token, str):
        raise InvalidTypeError("token", token, allowed)
    if len(token) < TOKEN_MIN or not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidArgumentError("token", len(token), f"{allowed}; this one has so many or others")
    return token.encode("ascii")


def _checked_host(host: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if not isinstance(host, str):
        raise InvalidTypeError("host", host, "an address as text, such as 127.0.0.1")
    try:
        return ipaddress.ip_address(host)
    except ValueError as error:
        raise InvalidArgumentError("host", host, "an address as numbers, such as 127.0.0.1 or ::1") from error
