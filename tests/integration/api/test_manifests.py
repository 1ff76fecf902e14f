"""Manifests through the API: options, uploads, and that bad ones change nothing."""

import json
from io import BytesIO
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from services.api.factory import create_app
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.integration.api.conftest import problem, rows
from tests.integration.conftest import counters_are_exact

LINK = "https://example.org/a.jpg"
LINES = f'{{"url": "{LINK}", "custom_id": "one"}}\nbroken\n{{"url": "ftp://example.org/b.jpg", "custom_id": "three"}}\n'
TABLE = f"url,custom_id\n{LINK},one\nbroken\nftp://example.org/b.jpg,three\n"
DOCUMENT = f'{{"images": [{LINES.strip().replace(chr(10), ", ")}]}}'
MANIFESTS = {
    "application/json": DOCUMENT,
    "application/jsonl": LINES,
    "application/x-ndjson": LINES,
    "text/csv": TABLE,
    "text/csv; charset=utf-8; header=present": TABLE,
}


def sent(client: FlaskClient, media_type: str, body: str | bytes, **query: object) -> TestResponse:
    return client.post("/v1/jobs", data=body, content_type=media_type, query_string=query)


@pytest.mark.parametrize("media_type", MANIFESTS)
def test_lines_that_cannot_be_read_are_images_that_failed(
    client: FlaskClient, connections: Connections, media_type: str
) -> None:
    answer = sent(client, media_type, MANIFESTS[media_type])
    assert answer.status_code == 202, answer.text
    job = answer.get_json()
    assert (job["images"], job["counts"]["ready"], job["counts"]["failed"]) == (3, 1, 2)
    with connections.database.connect() as connection:
        assert counters_are_exact(connection)
        images = connection.execute(text("select * from images order by position")).all()
    assert [image.reason for image in images] == [None, "invalid_line", "fetch_refused"]
    assert [image.stage for image in images] == ["intake", "detection", "detection"]
    assert (images[0].source_url, images[0].custom_id, images[2].custom_id) == (LINK, "one", "three")
    assert images[1].name == "broken"
    assert all(image.detail and image.finished_at for image in images[1:])


OPTIONS = {
    "name": "spring",
    "metadata": {"order": 7},
    "labels": ["a", "b"],
    "priority": "interactive",
    "deadline_seconds": 3600,
    "retention_seconds": 7200,
    "scores_only": True,
    "captioner": "describer",
    "bundle": "compact",
}


def kept(connections: Connections, job_id: str) -> dict:
    with connections.database.connect() as connection:
        row = connection.execute(
            text("select *, extract(epoch from deadline - created_at) as seconds from jobs where id = :id"),
            {"id": UUID(job_id)},
        ).one()
    return row._asdict()


@pytest.mark.parametrize("how", ["members before", "members after", "address", "address of JSON", "form"])
def test_options_in_every_way(client: FlaskClient, connections: Connections, how: str) -> None:
    images = [{"url": LINK}]
    texts = {**OPTIONS, "metadata": '{"order": 7}', "scores_only": "true"}
    if how == "members before":
        answer = sent(client, "application/json", json.dumps({**OPTIONS, "images": images}))
    elif how == "members after":
        answer = sent(client, "application/json", json.dumps({"images": images, **OPTIONS}))
    elif how == "address":
        answer = sent(client, "text/csv", TABLE, **texts)
    elif how == "address of JSON":
        answer = sent(client, "application/json", json.dumps({"images": images}), **texts)
    else:
        files = {"images": [(BytesIO(b"-"), "a.jpg")]}
        answer = client.post("/v1/jobs", data={**files, **texts}, content_type="multipart/form-data")
    assert answer.status_code == 202, answer.text
    job = kept(connections, answer.get_json()["id"])
    assert {name: job[name] for name in ("name", "labels", "priority", "retention_seconds", "scores_only")} == {
        name: OPTIONS[name] for name in ("name", "labels", "priority", "retention_seconds", "scores_only")
    }
    assert (job["client_metadata"], job["captioner"], float(job["seconds"])) == ({"order": 7}, "describer", 3600.0)
    assert job["expires_at"] is None


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"unknown": "1"}, 422, "invalid_request"),
        ({"images": "1"}, 422, "invalid_request"),
        ({"priority": "urgent"}, 422, "invalid_request"),
        ({"deadline_seconds": "0"}, 422, "invalid_request"),
        ({"deadline_seconds": "soon"}, 422, "invalid_request"),
        ({"deadline_seconds": "9" * 30}, 422, "invalid_request"),
        ({"retention_seconds": "-1"}, 422, "invalid_request"),
        ({"scores_only": "perhaps"}, 422, "invalid_request"),
        ({"labels": ["a"] * 17}, 422, "invalid_request"),
        ({"labels": ["a" * 65]}, 422, "invalid_request"),
        ({"labels": [""]}, 422, "invalid_request"),
        ({"labels": ["\0"]}, 422, "invalid_request"),
        ({"metadata": "[1]"}, 422, "invalid_request"),
        ({"metadata": "{"}, 400, "invalid_submission"),
        ({"metadata": '{"a":' * 40 + "1" + "}" * 40}, 422, "invalid_request"),
        ({"name": ["a", "b"]}, 400, "option_twice"),
        ({"dry_run": "perhaps"}, 400, "invalid_submission"),
        ({"bundle": "nobody's"}, 422, "unknown_bundle"),
    ],
)
def test_options_that_do_not_fit_change_nothing(
    client: FlaskClient, connections: Connections, query: dict, status: int, code: str
) -> None:
    problem(sent(client, "application/jsonl", LINES, **query), status, code)
    assert rows(connections, "jobs") == 0


def test_seventeen_equal_labels_are_too_many_and_two_are_one(client: FlaskClient, connections: Connections) -> None:
    job = sent(client, "application/jsonl", LINES, labels=["a", "b", "a"]).get_json()
    assert kept(connections, job["id"])["labels"] == ["a", "b"]


@pytest.mark.parametrize(
    ("document", "status", "code"),
    [
        ("not json", 400, "invalid_manifest"),
        ("[]", 400, "invalid_manifest"),
        ("{}", 400, "invalid_manifest"),
        ('{"images": [{"url": "https://example.org/a.jpg"}', 400, "invalid_manifest"),
        ('{"images": [{"url": "https://example.org/a.jpg"}]} x', 400, "invalid_manifest"),
        ('{"images": [], "unknown": 1}', 422, "invalid_request"),
        ('{"images": [], "captioner": "somebody"}', 422, "invalid_request"),
        ('{"images": [], "deadline_seconds": true}', 422, "invalid_request"),
        ('{"images": [], "scores_only": 1}', 422, "invalid_request"),
        ('{"images": [], "name": "a\\u0000b"}', 422, "invalid_request"),
        ('{"images": [], "metadata": {"a": "\\u0000"}}', 422, "invalid_request"),
        ('{"images": [], "metadata": {"a": "\\ud800"}}', 422, "invalid_request"),
        ('{"images": [], "metadata": {"\\ud800": 1}}', 422, "invalid_request"),
        ('{"images": [], "metadata": {"a": 1e999}}', 422, "invalid_request"),
        ('{"images": [], "metadata": {"a": NaN}}', 400, "invalid_manifest"),
        (json.dumps({"images": [], "metadata": {"a": "-" * 20_000}}), 422, "invalid_request"),
        ('{"images": [], "bundle": "nobody"}', 422, "unknown_bundle"),
        ('{"images": [], "name": "twice"}', 400, "option_twice"),
        (f'{{"images": [{", ".join(["{}"] * 6)}]}}', 413, "limit_exceeded"),
    ],
)
def test_bad_documents_change_nothing(
    client: FlaskClient, connections: Connections, document: str, status: int, code: str
) -> None:
    query = {"name": "once"} if code == "option_twice" else {}
    problem(sent(client, "application/json", document, **query), status, code)
    assert rows(connections, "jobs") == rows(connections, "images") == rows(connections, "audit") == 0


@pytest.mark.parametrize("media_type", ["application/jsonl", "text/csv"])
def test_manifests_of_something_else_change_nothing(
    client: FlaskClient, connections: Connections, media_type: str
) -> None:
    for body in (b"<html>", LINES.encode("utf-16"), b"\xff\xd8\xff\xe0\0\x10JFIF"):
        problem(sent(client, media_type, body), 400, "invalid_manifest")
    assert rows(connections, "jobs") == 0


def test_a_manifest_has_a_limit_of_its_own(settings: Settings, connections: Connections) -> None:
    client = create_app(settings.model_copy(update={"max_manifest_bytes": 100})).test_client()
    body = problem(sent(client, "application/jsonl", b" " * 101), 413, "limit_exceeded")
    assert (body["limit"], body["maximum"]) == ("max_manifest_bytes", 100)
    assert rows(connections, "jobs") == 0


def test_compressed_bodies_are_refused(client: FlaskClient) -> None:
    answer = client.post("/v1/jobs", data=b"-", content_type="text/csv", headers={"Content-Encoding": "gzip"})
    problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("media_type", "body"),
    [("application/json", '{"images": [], "retention_seconds": 60}'), ("application/jsonl", ""), ("text/csv", "url\n")],
)
def test_an_empty_set_is_completed_at_once(
    client: FlaskClient, connections: Connections, media_type: str, body: str
) -> None:
    job = sent(client, media_type, body).get_json()
    assert (job["state"], job["images"], job["progress"]) == ("completed", 0, 1.0)
    assert job["finished_at"]
    row = kept(connections, job["id"])
    if row["retention_seconds"]:
        assert (row["expires_at"] - row["finished_at"]).total_seconds() == 60
    else:
        assert row["expires_at"] is None


def test_a_set_of_which_nothing_can_be_read_is_completed_too(client: FlaskClient) -> None:
    job = sent(client, "application/jsonl", '{"url": "ftp://example.org/a.jpg"}').get_json()
    assert (job["state"], job["counts"]["failed"]) == ("completed", 1)


def test_an_empty_set_tells_webhooks(client: FlaskClient, connections: Connections) -> None:
    with connections.database.begin() as connection:
        connection.execute(
            text("insert into webhooks (id, tenant, url, secret, events) values (:id, 'local', '-', '-', :events)"),
            {"id": uuid4(), "events": ["job.completed"]},
        )
    job = sent(client, "application/jsonl", "").get_json()
    with connections.database.connect() as connection:
        told = connection.execute(text("select type, job_id, payload from deliveries")).one()
    assert (told.type, told.job_id) == ("job.completed", UUID(job["id"]))
    assert told.payload["data"]["state"] == "completed"


def announced(connections: Connections, tenant: str = "local", expired: bool = False) -> UUID:
    upload = uuid4()
    with connections.database.begin() as connection:
        connection.execute(
            text("""
                insert into uploads (id, tenant, name, size, media_type, expires_at)
                values (:id, :tenant, 'a.jpg', 1, 'image/jpeg',
                    now() + make_interval(hours => case when :expired then -1 else 1 end))
            """),
            {"id": upload, "tenant": tenant, "expired": expired},
        )
    return upload


def test_a_job_takes_the_uploads_that_it_names(client: FlaskClient, connections: Connections) -> None:
    mine, other, late = announced(connections), announced(connections, "other"), announced(connections, expired=True)
    unused = announced(connections)
    lines = [{"url": f"upload:{str(each).upper()}"} for each in (mine, other, late, uuid4())]
    job = sent(client, "application/jsonl", "\n".join(map(json.dumps, lines))).get_json()
    assert job["counts"]["ready"] == 4
    with connections.database.connect() as connection:
        taken = {row.id: row.job_id for row in connection.execute(text("select id, job_id from uploads"))}
    assert taken == {mine: UUID(job["id"]), other: None, late: None, unused: None}
    sent(client, "application/jsonl", json.dumps(lines[0]))
    with connections.database.connect() as connection:
        assert connection.execute(text("select job_id from uploads where id = :id"), {"id": mine}).scalar() == UUID(
            job["id"]
        )


def test_a_submission_is_in_the_audit_log(client: FlaskClient, connections: Connections) -> None:
    job = sent(client, "text/csv", TABLE).get_json()
    with connections.database.connect() as connection:
        entry = connection.execute(text("select tenant, actor, action, subject, detail from audit")).one()
    assert tuple(entry) == ("local", "open", "job.submitted", job["id"], {"images": 3})


class Watched(BytesIO):
    """A body that, whenever some of it is read, asks whether anybody holds a transaction meanwhile."""

    def __init__(self, body: bytes, connections: Connections) -> None:
        super().__init__(body)
        self.database = connections.database
        self.held: list[int] = []

    def readinto(self, buffer: bytearray) -> int:
        with self.database.connect() as connection:
            query = "select count(*) from pg_stat_activity where datname = current_database() and state like :state"
            self.held.append(connection.execute(text(query), {"state": "idle in transaction%"}).scalar_one())
        piece = self.read(min(len(buffer), 20))
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("media_type", MANIFESTS)
def test_a_slow_client_holds_no_transaction(client: FlaskClient, connections: Connections, media_type: str) -> None:
    body = Watched(MANIFESTS[media_type].encode(), connections)
    answer = client.post("/v1/jobs", input_stream=body, content_length=len(body.getvalue()), content_type=media_type)
    assert answer.status_code == 202, answer.text
    assert len(body.held) > 3
    assert set(body.held) == {0}
