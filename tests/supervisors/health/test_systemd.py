from __future__ import annotations

import os
import socket
import uuid

import pytest

from supervisors.errors import InvalidArgumentError
from supervisors.health.systemd import STATUS_MAX, Notifier


@pytest.fixture(params=["path", "abstract"])
def listener(request, tmp_path):
    """A datagram socket as systemd has it, and its address as systemd writes it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.settimeout(5.0)
        if request.param == "path":
            address = str(tmp_path / "notify")
            heard.bind(address)
        else:
            address = f"@sessionactors-{uuid.uuid4().hex}"
            heard.bind("\0" + address[1:])
        yield heard, address


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        (lambda notifier: notifier.ready(), b"READY=1"),
        (lambda notifier: notifier.ready("3 sessions"), b"READY=1\nSTATUS=3 sessions"),
        (lambda notifier: notifier.watchdog(), b"WATCHDOG=1"),
        (lambda notifier: notifier.status("works"), b"STATUS=works"),
        (lambda notifier: notifier.stopping("drains"), b"STOPPING=1\nSTATUS=drains"),
    ],
)
def test_systemd_hears_what_it_is_told(listener, verb, told):
    heard, address = listener
    assert verb(Notifier(address)) is True
    assert heard.recv(4096) == told


def test_a_status_cannot_smuggle_another_field_in(listener):
    heard, address = listener
    Notifier(address).status("fine\nMAINPID=1\r\nREADY=1")
    assert heard.recv(4096) == b"STATUS=fine MAINPID=1 READY=1"


def test_a_long_status_is_cut(listener):
    heard, address = listener
    Notifier(address).status("x" * 100_000)
    assert len(heard.recv(200_000)) == STATUS_MAX + len("STATUS=")


def test_outside_systemd_nothing_happens():
    notifier = Notifier.from_environment({})
    assert notifier.is_listened_to is False
    assert notifier.ready() is False
    assert notifier.watchdog_seconds is None


def test_a_service_that_cannot_be_heard_goes_on(tmp_path):
    assert Notifier(str(tmp_path / "nobody")).ready() is False


def test_a_full_socket_does_not_block(listener):
    _, address = listener
    notifier = Notifier(address)
    said = [notifier.watchdog() for _ in range(2000)]
    assert said[0] is True
    assert said[-1] is False


def test_the_environment_names_the_socket_and_the_watchdog(listener):
    heard, address = listener
    notifier = Notifier.from_environment(
        {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    )
    assert notifier.watchdog_seconds == 30.0
    notifier.ready()
    assert heard.recv(100) == b"READY=1"


@pytest.mark.parametrize(
    "environment",
    [
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "9" * 40},
        {"WATCHDOG_USEC": ""},
    ],
)
def test_a_watchdog_for_somebody_else_or_that_is_no_number_is_ignored(environment):
    assert Notifier.from_environment(environment, process_id=4711).watchdog_seconds is None


@pytest.mark.parametrize("address", ["vsock:2:1234", "relative/path", "@", ""])
def test_an_address_of_an_unknown_kind_in_the_environment_is_ignored(address):
    assert Notifier.from_environment({"NOTIFY_SOCKET": address}).is_listened_to is False


@pytest.mark.parametrize("address", ["relative", "@", "", 7])
def test_a_bad_address_from_the_program_is_refused(address):
    with pytest.raises(InvalidArgumentError) as refused:
        Notifier(address)
    assert refused.value.field == "address"
