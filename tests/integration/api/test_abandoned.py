"""Submissions that never became a job, because the API died or nothing came any more: nothing of them stays."""

from io import BytesIO
from typing import Any
from uuid import uuid4

from flask.testing import FlaskClient
from sqlalchemy import text

from shared.jobs import arrivals
from shared.pipeline.connections import Connections
from tests.integration.api.conftest import nothing_happened, problem, rows, submitted
from workers.dispatcher.abandoned import remove_abandoned

LONG_AGO = f"update arrivals set seen_at = now() - interval '{arrivals.ABANDONED_SECONDS + 1} s'"
BOUNDARY = b"--part\r\n"
HEAD = b'Content-Disposition: form-data; name="images"; filename="a.jpg"\r\n\r\n'


def test_what_a_dead_api_left_is_removed(connections: Connections) -> None:
    job = uuid4()
    with connections.database.begin() as connection:
        arrivals.renew(connection, job, "local")
    connections.objects.put(f"jobs/{job}/originals/{uuid4()}", b"somebody's face")
    assert remove_abandoned(connections) == 0, "it may still arrive"
    with connections.database.begin() as connection:
        connection.execute(text(LONG_AGO))
    assert remove_abandoned(connections) == 1
    assert rows(connections, "arrivals") == 0
    nothing_happened(connections)


def test_what_is_accepted_is_never_taken_for_abandoned(client: FlaskClient, connections: Connections) -> None:
    assert submitted(client, ("a.jpg", b"\xff\xd8\xff")).status_code == 202
    assert rows(connections, "arrivals") == 0
    with connections.database.begin() as connection:
        connection.execute(text(LONG_AGO))
    assert remove_abandoned(connections) == 0
    assert len(list(connections.objects.keys("jobs/"))) == 1


def test_what_was_given_up_is_not_accepted_any_more(client: FlaskClient, connections: Connections) -> None:
    """Its first file may be gone when the last one comes."""
    first = BOUNDARY + HEAD + b"\xff\xd8\xff\r\n"

    class Slow(BytesIO):
        """A client that takes hours between two files."""

        waited = False

        def read(self, size: int | None = -1) -> bytes:
            if self.tell() >= len(first) and not self.waited:
                self.waited = True
                with connections.database.begin() as connection:
                    connection.execute(text(LONG_AGO))
                assert remove_abandoned(connections) == 1
            # A part is whole when the next boundary has been seen.
            return super().read(len(first) + len(BOUNDARY) if self.tell() == 0 else size)

        def readinto(self, buffer: Any) -> int:
            read = self.read(len(buffer))
            buffer[: len(read)] = read
            return len(read)

    body = Slow(first + BOUNDARY + HEAD + b"\xff\xd8\xff\r\n--part--\r\n")
    answer = client.post(
        "/v1/jobs",
        input_stream=body,
        content_length=len(body.getvalue()),
        content_type="multipart/form-data; boundary=part",
    )
    assert body.waited
    problem(answer, 408, "submission_abandoned")
    nothing_happened(connections)
