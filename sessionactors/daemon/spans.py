"""OpenTelemetry spans of the daemon's sessions, sent where the environment says; the extra ``otel``.

Everything about where spans go and how many is said by OpenTelemetry's own variables, such as
`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME` and `OTEL_TRACES_SAMPLER`, which its library
reads. `OTEL_TRACES_EXPORTER` chooses among the exporters that are installed: `otlp`, which is the
default, `console`, any other by its name, or `none`.

A receiver that is away costs spans, and nothing else: they are sent by a thread of the library's.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from sessionactors.session_tracing import trace_sessions
from supervisors.errors import MissingExtraError, SupervisorsError
from supervisors.telemetry.tracing import Tracing

if TYPE_CHECKING:
    from sessionactors.session import Session

__all__ = ["NoExporterError", "export_spans", "exporter_name"]

_EXPORTERS: Final = "opentelemetry_traces_exporter"
_PROTOCOLS: Final = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
_SDK: Final = "opentelemetry.sdk.trace"  # of the extra, and so loaded by its name when it is wanted


class NoExporterError(SupervisorsError):
    """The environment names an exporter of spans that is not installed."""


def exporter_name(environment: Mapping[str, str]) -> str | None:
    """Return the name of the exporter that the environment asks for; None for no export.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
        NoExporterError: there is no such exporter here.
    """
    try:
        importlib.import_module(_SDK)
    except ImportError as error:
        raise MissingExtraError("telemetry.otel", "otel") from error
    wanted = environment.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if wanted == "none":
        return None
    if wanted == "otlp":
        variables = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
        protocol = next((environment[name] for name in variables if environment.get(name)), "http/protobuf")
        wanted = _PROTOCOLS.get(protocol, protocol)
    known = sorted(entry_points(group=_EXPORTERS).names)
    if wanted not in known:
        raise NoExporterError(
            f"there is no exporter {wanted!r} of spans here; there are {', '.join(known) or 'none'}: "
            "set OTEL_TRACES_EXPORTER, or pip install 'sessionactors[otel]'"
        )
    return wanted


def export_spans(environment: Mapping[str, str], classes: Iterable[type[Session]]) -> Callable[[float], bool]:
    """Make spans of all sessions' messages and transitions, and send them, from now on.

    Args:
        environment: such as `os.environ`; what the library reads by itself is in the process's own.
        classes: classes derived from `Session`.

    Returns:
        A function that ends it; it takes the seconds that the last spans have to be sent,
        and returns whether they were given up.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
        NoExporterError: there is no such exporter here, or it cannot be made.
        UsageError: somebody else in this process makes spans.
    """
    name = exporter_name(environment)
    sdk, export = importlib.import_module(_SDK), importlib.import_module(f"{_SDK}.export")
    resources = importlib.import_module("opentelemetry.sdk.resources")
    # The library would call a service without a name unknown.
    is_named = environment.get("OTEL_SERVICE_NAME") or "service.name=" in environment.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    resource = resources.Resource.create({} if is_named else {"service.name": "sessionactors"})
    provider: Any = sdk.TracerProvider(resource=resource, shutdown_on_exit=False)
    tracing = Tracing(provider)
    tracing.start()
    try:
        if name is not None:
            made = next(iter(entry_points(group=_EXPORTERS, name=name))).load()()
            provider.add_span_processor(export.BatchSpanProcessor(made))
        trace_sessions(tracing, classes)
    except Exception as error:  # what an exporter raises for a bad endpoint is its own
        tracing.close()
        raise NoExporterError(f"the exporter {name!r} of spans cannot be made: {error}") from error

    def end(timeout: float) -> bool:
        tracing.close()
        # A receiver that is away would be tried again and again; the thread ends with the process.
        thread = threading.Thread(target=provider.shutdown, name="sessionactors-last-spans", daemon=True)
        thread.start()
        thread.join(timeout)
        return thread.is_alive()

    return end
