from __future__ import annotations

import subprocess
import sys

import pytest

from sessionactors import SessionSystem
from sessionactors.session import Session
from sessionactors.session_tracing import trace_sessions
from supervisors import Actor, ActorSystem
from supervisors.errors import InvalidTypeError, MissingExtraError, Refusal, UsageError
from supervisors.runtime.ref import ActorRef
from supervisors.telemetry.tracing import Tracing

export = pytest.importorskip("opentelemetry.sdk.trace.export")
in_memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
sdk = pytest.importorskip("opentelemetry.sdk.trace")


class No(Refusal):
    code = "no"


class Worker(Actor):
    """Works on a thread of the pool."""

    def on_receive(self, message):
        if message == "refuse":
            raise No
        if message == "crash":
            raise ValueError("hunter2")
        return message


class Small(Worker):
    mailbox_capacity = 10


class Inline(Worker):
    dispatch = "inline"


class Between(Actor):
    """Hands on to somebody else."""

    def __init__(self, other):
        super().__init__()
        self.other = other

    def on_receive(self, message):
        return self.other.ask(message)


@pytest.fixture
def system():
    with ActorSystem() as system:
        yield system


@pytest.fixture
def spans():
    """Return what was exported, by name."""
    exporter = in_memory.InMemorySpanExporter()
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(export.SimpleSpanProcessor(exporter))
    exporter.tracer = provider.get_tracer("test")
    exporter.provider = provider
    exporter.by_name = lambda: {span.name: span for span in exporter.get_finished_spans()}
    return exporter


@pytest.fixture
def tracing(spans):
    with Tracing(spans.provider) as tracing:
        for actor_class in (Worker, Between):
            tracing.trace(actor_class)
        yield tracing


@pytest.mark.parametrize("actor_class", [Worker, Small, Inline])
def test_the_context_travels_with_a_message_from_thread_to_thread(system, tracing, spans, actor_class):
    between = system.start(Between, system.start(actor_class))
    with spans.tracer.start_as_current_span("outside") as outside:
        assert between.ask(("greet", "hunter2")) == ("greet", "hunter2")
    found = spans.by_name()
    middle, last = found["Between greet(str)"], found[f"{actor_class.__name__} greet(str)"]
    assert middle.parent.span_id == outside.get_span_context().span_id
    assert last.parent.span_id == middle.context.span_id
    assert "hunter2" not in str([span.to_json() for span in spans.get_finished_spans()])


@pytest.mark.parametrize("send", ["tell", "send"])
@pytest.mark.parametrize("actor_class", [Worker, Small, Inline])
def test_the_context_travels_with_what_nobody_waits_for(system, tracing, spans, actor_class, send):
    ref = system.start(actor_class)
    with spans.tracer.start_as_current_span("outside") as outside:
        getattr(ref, send)("note")
    ref.ask("done")
    span = spans.get_finished_spans()[-2] if actor_class is not Inline else spans.by_name()["Inline str"]
    told = [each for each in spans.get_finished_spans() if each.name.endswith(" str") and each.parent is not None]
    assert span is not None
    assert told[0].parent.span_id == outside.get_span_context().span_id


def test_without_a_context_a_message_is_the_root_of_a_trace(system, tracing, spans):
    system.start(Worker).ask("x")
    assert spans.by_name()["Worker str"].parent is None


def test_a_refusal_is_no_error_and_a_crash_names_its_class_alone(system, tracing, spans):
    ref = system.start(Worker)
    with pytest.raises(No):
        ref.ask("refuse")
    with pytest.raises(ValueError, match="hunter2"):
        ref.ask("crash")
    refused, crashed = spans.get_finished_spans()
    assert refused.status.is_ok or refused.status.is_unset
    assert refused.attributes["actor.refusal"] == "no"
    assert crashed.status.description == "ValueError"
    assert not crashed.events


def test_a_stop_is_not_carried_and_works(system, tracing, spans):
    ref = system.start(Small)
    with spans.tracer.start_as_current_span("outside"):
        assert ref.stop(timeout=10.0)


def test_after_the_end_sending_is_as_before_and_what_was_on_its_way_is_understood(system, spans):
    before = {name: vars(ActorRef)[name] for name in ("tell", "send", "_ask_queued", "forward")}
    with Tracing(spans.provider) as tracing:
        tracing.trace(Worker)
        ref = system.start(Worker)
        ref.suspend()
        with spans.tracer.start_as_current_span("outside"):
            waiting = ref.ask("x", block=False)
    assert {name: vars(ActorRef)[name] for name in before} == before
    ref.resume()
    assert waiting.get(timeout=10.0) == "x"
    assert [span.name for span in spans.get_finished_spans()] == ["outside"]


def test_a_class_can_be_traced_again_and_makes_one_span_a_message(system, spans):
    for _ in range(2):
        with Tracing(spans.provider) as tracing:
            tracing.trace(Worker)
            tracing.trace(Worker)
            system.start(Worker).ask("x")
    assert len(spans.get_finished_spans()) == 2


def test_there_is_one_at_a_time_and_it_has_to_be_started(spans, tracing):
    other = Tracing(spans.provider)
    with pytest.raises(UsageError, match="one Tracing"):
        other.start()
    with pytest.raises(UsageError, match="start"):
        other.trace(Worker)
    other.close()
    tracing.close()
    tracing.close()
    with other:
        other.trace(Worker)


@pytest.mark.parametrize(("given", "field"), [((int,), "actor_class"), (("Worker",), "actor_class")])
def test_what_is_no_class_of_actors_is_refused(tracing, given, field):
    with pytest.raises(InvalidTypeError, match=field):
        tracing.trace(*given)


def test_a_state_that_is_no_function_is_refused(tracing):
    with pytest.raises(InvalidTypeError, match="state"):
        tracing.trace(Worker, state="new")


def test_a_session_has_a_span_for_each_message_and_each_transition(spans):
    with Tracing(spans.provider) as tracing, SessionSystem(session={"auth_required": False}) as system:
        trace_sessions(tracing)
        system.start_session("alice")
        system.activate("alice")
        system.get_state("alice")
    found = spans.by_name()
    message, transition = found["Session activate(NoneType)"], found["transition new -> active"]
    assert transition.parent.span_id == message.context.span_id
    assert (transition.attributes["from"], transition.attributes["to"]) == ("new", "active")
    assert found["Session str"].parent is None
    assert "alice" not in str([span.to_json() for span in spans.get_finished_spans()])
    assert Session is not None


def test_without_the_library_it_says_which_extra_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(MissingExtraError, match="otel"):
        Tracing()


def test_the_library_is_not_loaded_before_somebody_traces():
    code = "import sys, supervisors.telemetry.tracing; print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
