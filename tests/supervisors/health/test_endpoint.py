from __future__ import annotations

import http.client
import socket

import pytest

from supervisors import ActorSystem, SystemClock, VirtualClock
from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.health.endpoint import HEAD_MAX, Endpoint
from supervisors.health.health import Health
from supervisors.telemetry import Telemetry

TOKEN = "a-long-and-secret-token"


@pytest.fixture
def system():
    with ActorSystem(clock=VirtualClock()) as system:
        yield system


@pytest.fixture
def health(system):
    health = Health(system)
    health.set_ready()
    return health


@pytest.fixture
def serve(system, health):
    """Return a function that starts an endpoint."""
    made = []

    def start(*, telemetry=True, **options):
        figures = Telemetry(system) if telemetry is True else telemetry
        endpoint = Endpoint(health, figures, clock=SystemClock(), **options)
        endpoint.start()
        made.append(endpoint)
        return endpoint

    yield start
    for endpoint in made:
        assert endpoint.stop() == 0


def ask(endpoint, path, method="GET", **headers):
    host, port = endpoint.address
    connection = http.client.HTTPConnection(host, port, timeout=10.0)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def send(endpoint, data):
    """Send bytes; return the first line of the answer."""
    with socket.create_connection(endpoint.address, timeout=10.0) as peer:
        peer.sendall(data)
        return peer.makefile("rb").read().split(b"\r\n")[0]


def test_who_makes_progress_is_live_and_ready(serve):
    endpoint = serve()
    assert ask(endpoint, "/live")[:2] == (200, b"ok\n")
    assert ask(endpoint, "/ready")[:2] == (200, b"ok\n")


def test_a_program_that_takes_no_work_is_live_and_not_ready(serve, health):
    endpoint = serve()
    health.set_unready("it stops")
    assert ask(endpoint, "/live")[0] == 200
    assert ask(endpoint, "/ready")[:2] == (503, b"it stops\n")


def test_an_actor_that_is_stuck_makes_it_not_live(serve, system, health):
    endpoint = serve()
    health.watch("absent", within=1.0)
    health.look()
    system.clock.move_to(2.0)
    health.look()
    status, body, _ = ask(endpoint, "/live")
    assert status == 503
    assert body.startswith(b"absent has not been there")


def test_figures_come_as_prometheus_reads_them(serve):
    status, body, headers = ask(serve(), "/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=")
    assert b"supervisors_actors 0.0" in body


def test_a_scraper_may_ask_for_openmetrics(serve):
    _, body, headers = ask(serve(), "/metrics", accept="application/openmetrics-text")
    assert headers["content-type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_head_gives_the_length_and_no_body(serve):
    status, body, headers = ask(serve(), "/live", "HEAD")
    assert (status, body, headers["content-length"]) == (200, b"", "3")


@pytest.mark.parametrize("path", ["/", "/metrics/", "/LIVE", "/..", "/live%00"])
def test_any_other_path_is_not_found(serve, path):
    assert ask(serve(), path)[0] == 404


def test_without_figures_there_are_no_metrics(serve):
    assert ask(serve(telemetry=None), "/metrics")[0] == 404


def test_a_query_is_ignored(serve):
    assert ask(serve(), "/live?verbose=1")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_any_other_method_is_refused_with_those_allowed(serve, method):
    status, _, headers = ask(serve(), "/live", method)
    assert status == 405
    assert headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer \xff"],
)
def test_without_the_token_there_are_no_figures(serve, authorization):
    headers = {} if authorization is None else {"authorization": authorization}
    status, body, answered = ask(serve(token=TOKEN), "/metrics", **headers)
    assert (status, body) == (401, b"")
    assert answered["www-authenticate"] == "Bearer"


def test_with_the_token_there_are_figures(serve):
    assert ask(serve(token=TOKEN), "/metrics", authorization=f"bearer {TOKEN}")[0] == 200


def test_who_has_no_token_learns_whether_but_not_why(serve, health):
    endpoint = serve(token=TOKEN)
    health.set_unready("the disk of customer 4711 is full")
    assert ask(endpoint, "/ready")[:2] == (503, b"no\n")
    assert b"4711" in ask(endpoint, "/ready", authorization=f"Bearer {TOKEN}")[1]


def test_two_tokens_in_one_request_are_no_request(serve):
    line = f"Authorization: Bearer {TOKEN}\r\n"
    sent = f"GET /metrics HTTP/1.1\r\n{line}{line}\r\n".encode()
    assert send(serve(token=TOKEN), sent) == b"HTTP/1.1 400 Bad Request"


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /live\r\n\r\n",
        b"GET /live SPDY/3\r\n\r\n",
        b"GET live HTTP/1.1\r\n\r\n",
        b"GET /live HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /live HTTP/1.1\r\n folded: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(serve, sent):
    assert send(serve(), sent) == b"HTTP/1.1 400 Bad Request"


def test_a_request_too_long_is_refused(serve):
    sent = b"GET /live HTTP/1.1\r\nX: " + b"x" * HEAD_MAX
    assert send(serve(), sent) == b"HTTP/1.1 431 Request Header Fields Too Large"


def test_a_request_that_does_not_arrive_in_time_is_refused(serve):
    assert send(serve(timeout=0.05), b"GET /live HTTP/1.1\r\n") == b"HTTP/1.1 408 Request Timeout"


def test_a_peer_too_many_is_told_so(serve):
    endpoint = serve(connections_max=1)
    with socket.create_connection(endpoint.address, timeout=10.0) as first:
        first.sendall(b"GET /live")
        with socket.create_connection(endpoint.address, timeout=10.0) as second:
            assert second.makefile("rb").read().startswith(b"HTTP/1.1 503 ")


def test_figures_that_cannot_be_read_are_an_error_and_the_endpoint_goes_on(serve, caplog):
    class Broken:
        def exposition(self, accept):
            raise KeyError(accept)

    endpoint = serve(telemetry=Broken())
    assert ask(endpoint, "/metrics")[0] == 500
    assert ask(endpoint, "/live")[0] == 200
    assert "KeyError" in caplog.text


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_where_others_can_reach_it_a_token_is_needed(health, host):
    with pytest.raises(InvalidArgumentError) as refused:
        Endpoint(health, clock=SystemClock(), host=host)
    assert refused.value.field == "token"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"host": "localhost"}, "host"),
        ({"host": ""}, "host"),
        ({"host": 7}, "host"),
        ({"port": -1}, "port"),
        ({"port": 65_536}, "port"),
        ({"port": True}, "port"),
        ({"port": "80"}, "port"),
        ({"token": "short"}, "token"),
        ({"token": "with a blank inside it"}, "token"),
        ({"token": "\xe4" * 20}, "token"),
        ({"token": b"x" * 20}, "token"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"connections_max": 0}, "connections_max"),
    ],
)
def test_bad_input_is_refused(health, options, field):
    with pytest.raises((InvalidArgumentError, InvalidTypeError)) as refused:
        Endpoint(health, clock=SystemClock(), **options)
    assert refused.value.field == field


def test_a_refused_token_is_not_shown(health):
    with pytest.raises(InvalidArgumentError) as refused:
        Endpoint(health, clock=SystemClock(), token="hunter2")
    assert "hunter2" not in str(refused.value)
