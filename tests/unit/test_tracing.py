"""Traces, as whoever takes them gets them: over HTTP, in OpenTelemetry's own form."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from shared.settings import Settings

JOB = "8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57"

# A submission in one process, batches in another: neither knows of the other more than the job's id.
API = """
from uuid import UUID
from shared import tracing
tracing.configure(settings, "api")
tracing.submitted(UUID("{job}"), 1.5, images=2, request="r1")
"""
WORKER = """
from uuid import UUID
from shared import tracing
tracing.configure(settings, "detection-1")
with tracing.span("detection batch", UUID("{job}"), images=[16, 17], batch="b1"):
    pass
try:
    with tracing.span("captioning batch", UUID("{job}")):
        raise ValueError("ada-lovelace.jpg")
except ValueError:
    pass
"""
SETTINGS = """
from shared.settings import Settings
settings = Settings(database_url="x", broker_url="x", storage_url="x", otlp_endpoint={endpoint!r})
"""


class Collector:
    """Takes what is sent to it, by the name of the service that sent it."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        self.paths: set[str] = set()
        collector = self

        class Taker(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.paths.add(self.path)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    raise AssertionError("not asked for")
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, sent: ExportTraceServiceRequest) -> None:
        for of_process in sent.resource_spans:
            facts = {each.key: each.value.string_value for each in of_process.resource.attributes}
            for scope in of_process.scope_spans:
                self.spans += [(facts["service.name"], span) for span in scope.spans]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def run(code: str, endpoint: str | None) -> str:
    """What a process that does this says; it ends in order."""
    text = SETTINGS.format(endpoint=endpoint) + code.format(job=JOB)
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout


def attributes(span: Span) -> dict[str, object]:
    values = {each.key: each.value for each in span.attributes}
    return {
        name: [each.int_value for each in value.array_value.values]
        if value.HasField("array_value")
        else value.string_value or value.int_value
        for name, value in values.items()
    }


def test_all_of_a_job_is_one_trace_below_its_submission(collector: Collector) -> None:
    run(WORKER, f"{collector.url}/")
    run(API, collector.url)
    assert collector.paths == {"/v1/traces"}
    assert [(service, span.name) for service, span in collector.spans] == [
        ("facemem-detection", "detection batch"),
        ("facemem-detection", "captioning batch"),
        ("facemem-api", "submission"),
    ]
    detection, broken, submission = (span for _, span in collector.spans)
    assert {span.trace_id.hex() for _, span in collector.spans} == {JOB.replace("-", "")}
    assert submission.parent_span_id == b""
    assert detection.parent_span_id == broken.parent_span_id == submission.span_id
    assert len({span.span_id for _, span in collector.spans}) == 3
    assert attributes(detection) == {"job": JOB, "images": [16, 17], "batch": "b1"}
    assert attributes(submission) == {"job": JOB, "images": 2, "request": "r1"}
    assert submission.end_time_unix_nano - submission.start_time_unix_nano == 1_500_000_000
    assert detection.status.code != Status.STATUS_CODE_ERROR
    assert (broken.status.code, broken.status.message) == (Status.STATUS_CODE_ERROR, "ValueError")
    assert "ada" not in str(broken)


def test_without_an_address_nothing_of_it_is_loaded() -> None:
    code = API + "import sys; print('opentelemetry.sdk' in sys.modules)"
    assert run(code, None).strip() == "False"


def test_without_the_packages_it_says_what_to_install() -> None:
    blocked = """
import sys
sys.modules["opentelemetry"] = None
from shared import tracing
from shared.errors import SettingsInvalid
try:
    tracing.configure(settings, "api")
except SettingsInvalid as error:
    print(error.detail)
"""
    assert "pip install 'facemem[tracing]'" in run(blocked, "http://127.0.0.1:9")


def test_an_empty_address_is_none() -> None:
    assert Settings(database_url="x", broker_url="x", storage_url="x", otlp_endpoint="").otlp_endpoint is None
