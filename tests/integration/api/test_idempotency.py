"""Submissions that are repeated under the same Idempotency-Key."""

import threading
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from services.api.factory import create_app
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.integration.api.conftest import problem, rows
from tests.unit.test_archives import tarred, zipped
from workers.dispatcher.expiry import forget_answers

LINES = '{"url": "https://example.org/a.jpg"}\n'


def files(
    client: FlaskClient, key: str, boundary: str = "one", content: bytes = b"content", **fields: str
) -> TestResponse:
    parts = [f'name="{name}"\r\n\r\n{value}' for name, value in fields.items()]
    parts.append('name="images"; filename="a.jpg"\r\n\r\n' + content.decode())
    body = "".join(f"--{boundary}\r\nContent-Disposition: form-data; {part}\r\n" for part in parts)
    media_type = f"multipart/form-data; boundary={boundary}"
    headers = {"Idempotency-Key": key}
    return client.post("/v1/jobs", data=f"{body}--{boundary}--\r\n", content_type=media_type, headers=headers)


def lines(client: FlaskClient, key: str, body: str | bytes = LINES, **query: str) -> TestResponse:
    headers = {"Idempotency-Key": key}
    return client.post("/v1/jobs", data=body, content_type="application/jsonl", headers=headers, query_string=query)


@pytest.mark.parametrize("submit", [files, lines])
def test_the_same_submission_gets_the_same_answer(
    client: FlaskClient, connections: Connections, submit: Callable[..., TestResponse]
) -> None:
    first = submit(client, "key", name="x", captioner="describer")
    stored = sorted(connections.objects.keys(""))
    again = submit(client, "key", captioner="describer", name="x")
    assert first.status_code == again.status_code == 202
    assert again.data == first.data
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (rows(connections, "jobs"), rows(connections, "images")) == (1, 1)
    assert sorted(connections.objects.keys("")) == stored


def test_boundaries_do_not_matter(client: FlaskClient) -> None:
    assert files(client, "key").data == files(client, "key", boundary="another").data


def test_how_an_archive_is_packed_does_not_matter(client: FlaskClient) -> None:
    content = {"a.jpg": b"content"}
    answers = [
        client.post("/v1/jobs", data=body, content_type=media_type, headers={"Idempotency-Key": "key"}).data
        for body, media_type in ((zipped(content), "application/zip"), (tarred(content), "application/x-tar"))
    ]
    assert answers[0] == answers[1] == files(client, "key").data


@pytest.mark.parametrize(
    "other",
    [
        lambda client: files(client, "key", content=b"other"),
        lambda client: files(client, "key", name="other"),
        lambda client: lines(client, "key"),
    ],
)
def test_another_submission_under_the_same_key_is_refused(
    client: FlaskClient, connections: Connections, other: Callable[[FlaskClient], TestResponse]
) -> None:
    files(client, "key")
    stored = sorted(connections.objects.keys(""))
    problem(other(client), 422, "idempotency_key_reused")
    assert rows(connections, "jobs") == 1
    assert sorted(connections.objects.keys("")) == stored


def test_a_manifest_is_another_one_if_any_of_its_bytes_is(client: FlaskClient) -> None:
    lines(client, "key")
    problem(lines(client, "key", body=LINES + "\n"), 422, "idempotency_key_reused")
    problem(lines(client, "key", priority="interactive"), 422, "idempotency_key_reused")


def test_a_refused_submission_leaves_the_key_free(client: FlaskClient) -> None:
    problem(lines(client, "key", body="<html>"), 400, "invalid_manifest")
    assert lines(client, "key").status_code == 202


@pytest.mark.parametrize("key", ["", " ", "a b", "ä", "k" * 256, "a\tb"])
def test_keys_have_a_form(client: FlaskClient, connections: Connections, key: str) -> None:
    problem(lines(client, key), 400, "idempotency_key_invalid")
    assert rows(connections, "jobs") == 0


def test_a_preview_uses_up_no_key(client: FlaskClient) -> None:
    assert lines(client, "key", dry_run="true").status_code == 200
    assert "Idempotent-Replayed" not in lines(client, "key").headers


def test_two_at_once_make_one_job(settings: Settings, connections: Connections) -> None:
    app = create_app(settings)
    answers: list[TestResponse] = []
    begin = threading.Barrier(6)

    def submit() -> None:
        begin.wait()
        answers.append(files(app.test_client(), "key"))

    threads = [threading.Thread(target=submit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    app.extensions["facemem"].database.dispose()
    assert [answer.status_code for answer in answers] == [202] * 6
    assert len({answer.data for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 5
    assert (rows(connections, "jobs"), len(list(connections.objects.keys("")))) == (1, 1)


def test_an_answer_is_forgotten_in_time(client: FlaskClient, connections: Connections) -> None:
    first = lines(client, "old").get_json()
    lines(client, "young")
    assert forget_answers(connections) == 0
    with connections.database.begin() as connection:
        connection.execute(text("update idempotency set created_at = now() - interval '49 hours' where key = 'old'"))
    # Also where the dispatcher has not been at it yet.
    second = lines(client, "old").get_json()
    assert first["id"] != second["id"]
    with connections.database.begin() as connection:
        connection.execute(text("update idempotency set created_at = now() - interval '49 hours' where key = 'old'"))
    assert forget_answers(connections) == 1
    assert rows(connections, "idempotency") == 1


def test_a_deleted_job_takes_its_answer_along(client: FlaskClient, connections: Connections) -> None:
    lines(client, "key")
    with connections.database.begin() as connection:
        connection.execute(text("delete from jobs"))
    assert "Idempotent-Replayed" not in lines(client, "key").headers
