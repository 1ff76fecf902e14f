"""Direct uploads over HTTP: announced, sent straight to storage, found again, withdrawn. On a folder and on S3."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from services.api.factory import create_app
from shared.jobs import delivery
from shared.jobs.states import Stage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import run_stage
from shared.settings import Settings
from tests.integration.api.conftest import LIMITS, problem, rows
from workers.dispatcher.expired_uploads import remove_uploads
from workers.intake.task import build

CONTENT = b"\xff\xd8\xff picture"
DIGEST = sha256(CONTENT).hexdigest()


@pytest.fixture(params=["folder", "s3"])
def settings(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    limits = LIMITS | {"uploads_at_once": 3}
    if request.param == "s3":
        bucket = request.getfixturevalue("bucket")
        limits |= {
            name: getattr(bucket, name) for name in ("storage_url", "s3_endpoint", "s3_access_key", "s3_secret_key")
        }
    return Settings(**{**settings.model_dump(), **limits})


# S3 takes the files itself.
on_folder = pytest.mark.parametrize("settings", ["folder"], indirect=True)


@pytest.fixture
def client(settings: Settings) -> Iterator[FlaskClient]:
    app = create_app(settings)
    yield app.test_client()
    app.extensions["facemem"].database.dispose()


def file(**changes: Any) -> dict[str, Any]:
    return {"name": "a.jpg", "size": len(CONTENT), "media_type": "image/jpeg", "sha256": DIGEST} | changes


def announced(client: FlaskClient, *files: dict[str, Any]) -> list[dict[str, Any]]:
    answer = client.post("/v1/uploads", json={"files": list(files)})
    assert answer.status_code == 201, answer.text
    return answer.get_json()["uploads"]


def sent(client: FlaskClient, upload: dict[str, Any], content: bytes = CONTENT, **headers: str) -> Any:
    """The file, to where `put` says."""
    url, signed = upload["put"]["url"], upload["put"]["headers"] | headers
    parts = urlsplit(url)
    if parts.path.startswith("/v1/"):
        return client.put(f"{parts.path}?{parts.query}", data=content, headers=signed)
    return httpx.put(url, content=content, headers=signed)


def test_a_file_goes_to_storage(client: FlaskClient, connections: Connections) -> None:
    [upload] = announced(client, file())
    assert upload["url"] == f"upload:{upload['id']}"
    assert upload["put"]["headers"] == {"Content-Type": "image/jpeg", "Content-Length": str(len(CONTENT))}
    assert not upload["received"]
    link = f"/v1/uploads/{upload['id']}"
    assert client.get(link).get_json()["received"] is False
    assert sent(client, upload).status_code in (200, 204)
    seen = client.get(link).get_json()
    assert (seen["received"], seen["name"], seen["sha256"], seen["job"]) == (True, "a.jpg", DIGEST, None)
    assert connections.objects.get(f"uploads/{upload['id']}") == CONTENT
    assert rows(connections, "audit where action = 'uploads.created' and detail = '{\"uploads\": 1}'") == 1


def test_what_has_arrived_is_not_sent_again(client: FlaskClient) -> None:
    first, second, other = announced(client, file(), file(), file(sha256="0" * 64))
    sent(client, first)
    again = announced(client, file(), file(), file(sha256="0" * 64))
    assert [each["received"] for each in again] == [True, False, False]
    assert (again[0]["id"], again[0]["put"]) == (first["id"], None)
    assert again[1]["id"] not in (first["id"], second["id"])
    assert announced(client, file(size=5))[0]["received"] is False
    assert announced(client, file(media_type="image/png"))[0]["received"] is False
    assert announced(client, file(sha256=None))[0]["received"] is False
    assert other["id"]


def test_what_a_job_took_or_has_little_time_left_is_not_given_again(
    client: FlaskClient, connections: Connections
) -> None:
    [upload] = announced(client, file())
    sent(client, upload)
    with connections.database.begin() as connection:
        connection.execute(text("update uploads set expires_at = now() + interval '1 minute'"))
    assert announced(client, file())[0]["received"] is False


def test_another_tenants_file_is_not_found(client: FlaskClient, connections: Connections) -> None:
    [upload] = announced(client, file())
    sent(client, upload)
    with connections.database.begin() as connection:
        connection.execute(text("update uploads set tenant = 'other'"))
    assert announced(client, file())[0]["received"] is False
    problem(client.get(f"/v1/uploads/{upload['id']}"), 404, "not_found")
    problem(client.delete(f"/v1/uploads/{upload['id']}"), 404, "not_found")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"size": 0}, 422, "invalid_request"),
        ({"size": 1001}, 413, "limit_exceeded"),
        ({"size": 2**63}, 422, "invalid_request"),
        ({"media_type": "image/gif"}, 422, "invalid_request"),
        ({"sha256": "ABC"}, 422, "invalid_request"),
        ({"name": ""}, 422, "invalid_request"),
        ({"name": "\0"}, 422, "invalid_request"),
        ({"name": "n" * 201}, 422, "invalid_request"),
        ({"path": "/etc"}, 422, "invalid_request"),
    ],
)
def test_what_cannot_be_taken_is_refused(
    client: FlaskClient, connections: Connections, change: dict[str, Any], status: int, code: str
) -> None:
    problem(client.post("/v1/uploads", json={"files": [file(), file(**change)]}), status, code)
    assert rows(connections, "uploads") == 0


def test_the_number_of_files_is_limited(client: FlaskClient, connections: Connections) -> None:
    refused = problem(client.post("/v1/uploads", json={"files": [file()] * 4}), 413, "limit_exceeded")
    assert (refused["limit"], refused["maximum"]) == ("uploads_at_once", 3)
    problem(client.post("/v1/uploads", json={"files": []}), 422, "invalid_request")
    assert rows(connections, "uploads") == 0


@on_folder
def test_what_is_sent_must_be_what_was_announced(client: FlaskClient, connections: Connections) -> None:
    [upload] = announced(client, file())
    problem(sent(client, upload, CONTENT + b"!", **{"Content-Length": str(len(CONTENT) + 1)}), 413, "upload_too_long")
    problem(sent(client, upload, CONTENT[:-1], **{"Content-Length": str(len(CONTENT) - 1)}), 422, "upload_mismatch")
    problem(sent(client, upload, CONTENT[::-1]), 422, "upload_mismatch")
    problem(sent(client, upload, **{"Content-Type": "image/png"}), 415, "unsupported_media_type")
    assert list(connections.objects.keys("")) == []
    assert sent(client, upload).status_code == 204


@on_folder
def test_a_body_without_a_length_is_refused(client: FlaskClient, connections: Connections) -> None:
    [upload] = announced(client, file())
    parts = urlsplit(upload["put"]["url"])
    answer = client.put(
        f"{parts.path}?{parts.query}",
        data=CONTENT,
        headers={"Content-Type": "image/jpeg", "Transfer-Encoding": "chunked"},
        environ_overrides={"CONTENT_LENGTH": ""},
    )
    problem(answer, 411, "length_required")
    assert list(connections.objects.keys("")) == []


@on_folder
def test_a_link_is_good_for_its_upload_only(client: FlaskClient, connections: Connections) -> None:
    first, second = announced(client, file(), file())
    token = urlsplit(second["put"]["url"]).query
    for query in ("", "token=", "token=1234", token):
        answer = client.put(f"/v1/uploads/{first['id']}/content?{query}", data=CONTENT, content_type="image/jpeg")
        problem(answer, 403, "upload_refused")
    problem(client.put(f"/v1/uploads/{uuid4()}/content?{token}", data=CONTENT), 403, "upload_refused")
    with connections.database.begin() as connection:
        connection.execute(text("update uploads set expires_at = now() where id = :id"), {"id": second["id"]})
    problem(sent(client, second), 404, "not_found")
    take(connections, first["id"])
    problem(sent(client, first), 409, "upload_taken")
    assert list(connections.objects.keys("")) == []


def take(connections: Connections, upload: str) -> None:
    """Let a job have an upload."""
    with connections.database.begin() as connection:
        job = connection.execute(
            text("insert into jobs (id, captioner, bundle) values (gen_random_uuid(), 'auto', 'x') returning id")
        ).scalar_one()
        connection.execute(text("update uploads set job_id = :job where id = :id"), {"job": job, "id": UUID(upload)})


def test_what_was_uploaded_is_submitted_by_its_name(client: FlaskClient, connections: Connections) -> None:
    first, second = announced(client, file(), file(sha256=None))
    for upload in (first, second):
        sent(client, upload)
    lines = [{"url": first["url"], "custom_id": "one"}, {"url": second["url"]}]
    job = client.post("/v1/jobs", json={"images": lines, "captioner": "describer"})
    assert job.status_code == 202, job.text
    job_id = UUID(job.get_json()["id"])
    assert client.get(f"/v1/uploads/{first['id']}").get_json()["job"] == str(job_id)
    problem(client.delete(f"/v1/uploads/{first['id']}"), 409, "upload_taken")
    work, save = build(connections)
    with connections.database.begin() as connection:
        [batch] = delivery.admit(connection, job_id, Stage.INTAKE, 16, 60)
    run_stage(connections, batch, work, save)
    with connections.database.connect() as connection:
        originals = (
            connection.execute(text("select original_key from images where stage = 'detection'")).scalars().all()
        )
    assert [connections.objects.get(key) for key in originals] == [CONTENT] * 2
    assert remove_uploads(connections) == 2
    assert list(connections.objects.keys("uploads/")) == []


def test_an_upload_can_be_withdrawn(client: FlaskClient, connections: Connections) -> None:
    first, second = announced(client, file(), file(sha256=None))
    sent(client, first)
    assert client.delete(f"/v1/uploads/{first['id']}").status_code == 204
    problem(client.get(f"/v1/uploads/{first['id']}"), 404, "not_found")
    problem(client.delete(f"/v1/uploads/{first['id']}"), 404, "not_found")
    assert announced(client, file())[0]["received"] is False
    assert remove_uploads(connections) == 1
    assert list(connections.objects.keys("")) == []
    take(connections, second["id"])
    problem(client.delete(f"/v1/uploads/{second['id']}"), 409, "upload_taken")
    seen = client.get(f"/v1/uploads/{second['id']}").get_json()
    assert seen["received"] is None
    assert UUID(seen["job"])


def test_what_is_not_there_is_not_found(client: FlaskClient) -> None:
    problem(client.get(f"/v1/uploads/{uuid4()}"), 404, "not_found")
    assert client.get("/v1/uploads/nonsense").status_code == 404
