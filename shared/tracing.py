"""Traces for OpenTelemetry, where `otlp_endpoint` says to whom: one trace for each job. Without that, nothing.

A job's id is its trace's id, and the end of it is the id of its first span, the submission. So every process knows
where its spans belong, and no message carries anything for it. Spans hold ids and numbers, as lines of logs do.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from time import time_ns
from typing import TYPE_CHECKING
from uuid import UUID

from shared.errors import SettingsInvalid
from shared.logs import process_name
from shared.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.id_generator import IdGenerator

SPAN_ID = 2**64 - 1  # the bits of a job's id that are the id of its first span
Attribute = str | int | float | Sequence[int]

_providers: "list[TracerProvider]" = []  # none, or the one of this process
_begun: ContextVar[UUID | None] = ContextVar("begun", default=None)
"""The job whose first span is being made."""


def configure(settings: Settings, name: str) -> None:
    """Let this process send its spans from now on, if the settings say so. `name` is as for its logs.

    Raises SettingsInvalid where the packages for it are not installed.
    """
    if settings.otlp_endpoint is None or _providers:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsInvalid(
            "FACEMEM_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: pip install 'facemem[tracing]'."
        ) from error
    kind = name.partition("-")[0]
    resource = Resource.create({"service.name": f"facemem-{kind}", "service.instance.id": process_name(name)})
    provider = TracerProvider(resource=resource, id_generator=_ids())
    # Sent from a thread, and dropped where nobody takes them: work does not wait for it.
    exporter = OTLPSpanExporter(endpoint=f"{str(settings.otlp_endpoint).rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _providers.append(provider)


def flush() -> None:
    """Send what has ended and was not sent yet. At the end of a process this happens by itself."""
    for provider in _providers:
        provider.force_flush()


@contextmanager
def span(name: str, job: UUID, **attributes: Attribute) -> Iterator[None]:
    """A span of this job's trace for the duration of the block; an error that leaves it is noted by its kind."""
    if not _providers:
        yield
        return
    from opentelemetry import trace

    first = trace.SpanContext(
        job.int, job.int & SPAN_ID, is_remote=True, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED)
    )
    parent = trace.set_span_in_context(trace.NonRecordingSpan(first))
    running = _providers[0].get_tracer("facemem").start_span(name, parent, attributes={"job": str(job), **attributes})
    try:
        yield
    except Exception as error:  # Not its message, which may have a name or a link in it.
        running.set_status(trace.StatusCode.ERROR, type(error).__name__)
        raise
    finally:
        running.end()


def submitted(job: UUID, seconds: float, **attributes: Attribute) -> None:
    """The first span of a job: the request by which it was submitted, which took so long and is about to end."""
    if not _providers:
        return
    from opentelemetry import context, trace

    now = time_ns()
    begun = _begun.set(job)
    try:
        first = (
            _providers[0]
            .get_tracer("facemem")
            .start_span(
                "submission",
                context.Context(),
                trace.SpanKind.SERVER,
                {"job": str(job), **attributes},
                start_time=now - int(seconds * 1e9),
            )
        )
    finally:
        _begun.reset(begun)
    first.end(now)


def _ids() -> "IdGenerator":
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Ids(RandomIdGenerator):
        """By chance, but for the first span of a job."""

        def generate_trace_id(self) -> int:
            job = _begun.get()
            return super().generate_trace_id() if job is None else job.int

        def generate_span_id(self) -> int:
            job = _begun.get()
            return super().generate_span_id() if job is None else job.int & SPAN_ID

    return Ids()
