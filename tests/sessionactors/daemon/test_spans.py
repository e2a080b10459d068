from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sessionactors import Session, SessionSystem
from sessionactors.daemon.config import ConfigError, load
from sessionactors.daemon.service import Daemon
from sessionactors.daemon.spans import NoExporterError, export_spans, exporter_name
from supervisors.errors import MissingExtraError, UsageError
from supervisors.telemetry.tracing import Tracing

pytest.importorskip("opentelemetry.sdk.trace")


class Watched(Session):
    """A class of a user's."""


class Receiver:
    """Takes what is posted to it, as OpenTelemetry's collector does."""

    def __init__(self):
        self.bodies = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                outer.bodies.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # connections that the exporter's library keeps
def test_a_daemon_sends_spans_where_the_environment_says(tmp_path, monkeypatch, receiver):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.server.server_port}"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)  # the library reads its variables itself
    (tmp_path / "serve.toml").write_text("[telemetry]\notel = true\n[session]\nauth_required = false\n")
    daemon = Daemon(load(tmp_path / "serve.toml", environment), environment)

    def work(system):
        system.start_session("hunter2")
        system.activate("hunter2")
        daemon.stop()

    assert daemon.run(work) == 0
    path, body = receiver.bodies[0]
    assert path == "/v1/traces"
    assert b"transition new -> active" in body
    assert b"sessionactors" in body
    assert b"hunter2" not in body


def test_a_receiver_that_is_away_keeps_nobody_waiting(monkeypatch, caplog):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    end = export_spans({}, [Watched])
    with SessionSystem(session={"auth_required": False}) as system:
        system.start_session("alice", session_class=Watched)
        assert system.activate("alice") == "active"
    end(0.05)


@pytest.fixture
def written(monkeypatch):
    """Keep the spans that the exporter `console` would write."""
    spans = []
    monkeypatch.setattr(
        "opentelemetry.sdk.trace.export.ConsoleSpanExporter.export", lambda _self, found: spans.extend(found)
    )
    return spans


@pytest.mark.parametrize("name", ["none", "console"])
def test_by_none_nothing_is_sent_and_any_other_is_found_by_its_name(written, name):
    end = export_spans({"OTEL_TRACES_EXPORTER": name}, [])
    with SessionSystem(session={"auth_required": False}) as system:
        system.start_session("alice")
        system.activate("alice")
    assert not end(10.0)
    assert ("transition new -> active" in {span.name for span in written}) == (name == "console")


@pytest.mark.parametrize("attributes", ["", "service.name=mine"])
def test_a_service_that_the_environment_names_keeps_its_name(monkeypatch, written, attributes):
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", attributes)
    end = export_spans({"OTEL_TRACES_EXPORTER": "console", "OTEL_RESOURCE_ATTRIBUTES": attributes}, [])
    with SessionSystem() as system:
        system.start_session("alice")
        system.get_state("alice")
    end(10.0)
    assert written[0].resource.attributes["service.name"] == ("mine" if attributes else "sessionactors")


@pytest.mark.parametrize(
    "environment", [{"OTEL_TRACES_EXPORTER": "zipkon"}, {"OTEL_EXPORTER_OTLP_PROTOCOL": "carrier pigeon"}]
)
def test_an_exporter_that_is_not_here_is_named_with_those_that_are(environment):
    with pytest.raises(NoExporterError, match=r"no exporter '(zipkon|carrier pigeon)'.*console"):
        exporter_name(environment)


def test_a_configuration_that_wants_spans_without_the_library_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    (tmp_path / "serve.toml").write_text("[telemetry]\notel = true\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "serve.toml", {})
    (problem,) = caught.value.problems
    assert problem.startswith("telemetry.otel: ")
    assert "pip install 'sessionactors[otel]'" in problem
    with pytest.raises(MissingExtraError):
        exporter_name({})
    (tmp_path / "serve.toml").write_text("")
    load(tmp_path / "serve.toml", {})


def test_an_exporter_that_cannot_be_made_leaves_nothing_behind(monkeypatch):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x")
    monkeypatch.setattr("opentelemetry.exporter.otlp.proto.http.trace_exporter.OTLPSpanExporter.__init__", _refuse)
    with pytest.raises(NoExporterError, match="bad endpoint"):
        export_spans({}, [])
    with Tracing():
        pass


def _refuse(*_given, **_options):
    raise ValueError("bad endpoint")


def test_only_one_in_a_process_makes_spans():
    with Tracing(), pytest.raises(UsageError, match="one Tracing"):
        export_spans({"OTEL_TRACES_EXPORTER": "none"}, [])
