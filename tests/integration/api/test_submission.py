"""Submissions: what the API accepts, and what it refuses without changing anything."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import count, islice
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from services.api.factory import create_app
from services.api.submission.files import MAX_FIELDS
from services.api.submission.multipart import MAX_FIELD_BYTES
from shared.pipeline.connections import Connections
from shared.settings import MIB, Settings
from tests.integration.api.conftest import nothing_happened, problem, submitted
from tests.integration.conftest import counters_are_exact

# How a server announces a body whose length the client did not tell.
CHUNKED = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}


def test_a_submission_is_committed_before_it_is_accepted(client: FlaskClient, connections: Connections) -> None:
    answer = submitted(
        client, ("a.jpg", b"one"), ("folder/b.jpg", b"two"), name="2024", metadata='{"order": 7}', captioner="describer"
    )
    assert answer.status_code == 202
    job = answer.get_json()
    assert answer.headers["Location"] == job["links"]["self"]
    assert (job["name"], job["metadata"], job["captioner"]) == ("2024", {"order": 7}, "describer")
    assert job["state"] == "running"
    assert job["images"] == 2
    assert job["counts"]["ready"] == 2
    assert job["stages"][1] == {"stage": "detection", "waiting": 2, "running": 0, "passed": 0, "rate": None}
    with connections.database.connect() as connection:
        assert counters_are_exact(connection)
        kept = connection.execute(text("select name, original_key from images order by position")).all()
    assert [row.name for row in kept] == ["a.jpg", "folder/b.jpg"]
    assert [connections.objects.get(row.original_key) for row in kept] == [b"one", b"two"]
    assert client.get(answer.headers["Location"]).get_json()["id"] == job["id"]


def test_links_are_accepted_and_go_through_intake(client: FlaskClient) -> None:
    body = {"name": "links", "images": [{"url": "https://example.org/a.jpg", "metadata": {"row": 1}}]}
    job = client.post("/v1/jobs", json=body).get_json()
    assert job["stages"][0] == {"stage": "intake", "waiting": 1, "running": 0, "passed": 0, "rate": None}
    [image] = client.get(job["links"]["results"]).get_json()["results"]
    assert (image["image"], image["metadata"]) == ("https://example.org/a.jpg", {"row": 1})


def test_a_file_that_is_too_large_fails_alone(client: FlaskClient, connections: Connections) -> None:
    job = submitted(client, ("small.jpg", b"-"), ("large.jpg", b"-" * 1001)).get_json()
    assert job["counts"]["failed"] == 1
    [small, large] = client.get(job["links"]["results"]).get_json()["results"]
    assert (small["state"], small["reason"]) == ("ready", None)
    assert (large["state"], large["reason"]) == ("failed", "too_large")
    assert "1,001" in large["detail"]
    assert len(list(connections.objects.keys("jobs/"))) == 1


def test_too_many_files_name_the_limit(client: FlaskClient, connections: Connections) -> None:
    body = problem(submitted(client, *[(f"{n}.jpg", b"-") for n in range(6)]), 413, "limit_exceeded")
    assert (body["limit"], body["maximum"]) == ("max_images_per_job", 5)
    nothing_happened(connections)


@pytest.mark.parametrize("how", [{}, CHUNKED])
def test_too_many_bytes_name_the_limit(client: FlaskClient, connections: Connections, how: dict) -> None:
    form = {"images": [(BytesIO(b"-"), "first.jpg"), (BytesIO(b"-" * 500_000), "second.jpg")]}
    answer = client.post("/v1/jobs", data=form, content_type="multipart/form-data", environ_overrides=how)
    body = problem(answer, 413, "limit_exceeded")
    assert (body["limit"], body["maximum"]) == ("max_submission_bytes", 400_000)
    nothing_happened(connections)


def test_a_body_of_unknown_length_is_read_to_its_end(client: FlaskClient) -> None:
    form = {"images": [(BytesIO(b"-" * 900), f"{n}.jpg") for n in range(5)]}
    answer = client.post("/v1/jobs", data=form, content_type="multipart/form-data", environ_overrides=CHUNKED)
    assert answer.get_json()["images"] == 5


@contextmanager
def few_file_handles(more: int) -> Iterator[None]:
    """Lets this process open only so many files more than it has open."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = {int(each.name) for each in Path("/dev/fd").iterdir()}
    # The limit is on the handle's number, and the lowest free ones are given out first.
    free = (number for number in count() if number not in opened)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next(islice(free, more, None)), limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_many_files_need_few_file_handles_and_keep_their_order(settings: Settings, connections: Connections) -> None:
    many = settings.model_copy(
        update={"max_images_per_job": 1000, "max_file_bytes": MIB, "max_submission_bytes": 64 * MIB}
    )
    contents = [b"%06d" % n * (1 if n % 6 else 100_000) for n in range(360)]
    contents[:0] = [b"-" * (MIB + 1)]
    # Nine that are spooled, eight that are written, a connection to the database, and what Python opens now and then.
    with few_file_handles(32):
        answer = submitted(create_app(many).test_client(), *[(f"{n}", each) for n, each in enumerate(contents)])
    assert answer.status_code == 202, answer.text
    with connections.database.connect() as connection:
        kept = connection.execute(text("select name, original_key, reason from images order by position")).all()
    assert [row.name for row in kept] == [str(n) for n in range(361)]
    assert kept[0].reason == "too_large"
    for row, content in zip(kept[1:], contents[1:], strict=True):
        assert connections.objects.get(row.original_key) == content


def multipart(*parts: str, end: str = "--line--\r\n") -> bytes:
    heads = (f"--line\r\nContent-Disposition: form-data; {part}\r\n" for part in parts)
    return ("".join(heads) + end).encode()


A_FILE = 'name="images"; filename="a.jpg"\r\n\r\ncontent'


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", multipart(A_FILE)),
        ("multipart/form-data; boundary=", multipart(A_FILE)),
        ("multipart/form-data; boundary=other", multipart(A_FILE)),
        ("multipart/form-data; boundary=other", multipart(A_FILE) + b"-" * 200_000),
        ("multipart/form-data; boundary=line", b""),
        ("multipart/form-data; boundary=line", b"no multipart"),
        ("multipart/form-data; boundary=line", multipart()),
        ("multipart/form-data; boundary=line", multipart('name="name"\r\n\r\nonly a name')),
        ("multipart/form-data; boundary=line", multipart('name="images"\r\n\r\nno file name')),
        ("multipart/form-data; boundary=line", multipart('filename="a.jpg"\r\n\r\nno field')),
        ("multipart/form-data; boundary=line", multipart(A_FILE, end="")),
        ("multipart/form-data; boundary=line", multipart(A_FILE, end="--line\r\n")),
        ("multipart/form-data; boundary=line", multipart(A_FILE, A_FILE, end="--li")),
        ("multipart/form-data; boundary=line", multipart(A_FILE, 'name="images"; filename="' + "a" * 100_000)),
    ],
)
def test_broken_multipart_changes_nothing(
    client: FlaskClient, connections: Connections, content_type: str, body: bytes
) -> None:
    answer = client.post("/v1/jobs", data=body, content_type=content_type)
    assert len(problem(answer, 400, "invalid_submission")["detail"]) > 40
    nothing_happened(connections)


def test_a_form_has_few_fields(client: FlaskClient, connections: Connections) -> None:
    body = multipart(*[f'name="{n}"\r\n\r\n-' for n in range(MAX_FIELDS + 1)], A_FILE)
    answer = client.post("/v1/jobs", data=body, content_type="multipart/form-data; boundary=line")
    assert problem(answer, 413, "limit_exceeded")["limit"] == "max_fields"
    nothing_happened(connections)


@pytest.mark.parametrize("field", ["name", "metadata", "captioner"])
def test_fields_are_bounded(client: FlaskClient, connections: Connections, field: str) -> None:
    body = problem(submitted(client, ("a.jpg", b"-"), **{field: "-" * (MAX_FIELD_BYTES + 1)}), 413, "limit_exceeded")
    assert (body["limit"], body["maximum"]) == ("max_field_bytes", MAX_FIELD_BYTES)
    nothing_happened(connections)


@pytest.mark.parametrize(
    ("metadata", "status", "code"),
    [
        ("{", 400, "invalid_submission"),
        ("[" * 60_000, 400, "invalid_submission"),
        ("[" * 100_000, 413, "limit_exceeded"),
        ('["list"]', 422, "invalid_request"),
        ('{"a": "\\u0000"}', 422, "invalid_request"),
        ("NaN", 400, "invalid_submission"),
        ('{"a": 1, "a": 2}', 400, "invalid_submission"),
        (json.dumps({"a": "-" * 20_000}), 422, "invalid_request"),
    ],
)
def test_bad_form_metadata_changes_nothing(
    client: FlaskClient, connections: Connections, metadata: str, status: int, code: str
) -> None:
    problem(submitted(client, ("a.jpg", b"-"), metadata=metadata), status, code)
    nothing_happened(connections)


def test_files_in_another_field_are_not_silently_ignored(client: FlaskClient, connections: Connections) -> None:
    form = {"images": (BytesIO(b"-"), "a.jpg"), "photos": (BytesIO(b"-"), "b.jpg")}
    answer = client.post("/v1/jobs", data=form, content_type="multipart/form-data")
    assert "'photos'" in problem(answer, 400, "invalid_submission")["detail"]
    nothing_happened(connections)


def test_other_media_types_are_refused(client: FlaskClient) -> None:
    problem(client.post("/v1/jobs", data=b"<xml/>", content_type="text/xml"), 415, "unsupported_media_type")


def test_hostile_file_names_are_stored_as_text(client: FlaskClient, connections: Connections) -> None:
    name = "../../etc/passwd<script>\u202e\x07"
    job = submitted(client, (name, b"-")).get_json()
    [image] = client.get(job["links"]["results"]).get_json()["results"]
    assert image["image"] == name
    assert all(key.startswith(f"jobs/{job['id']}/originals/") for key in connections.objects.keys(""))
