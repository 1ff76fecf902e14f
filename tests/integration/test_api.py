"""The API on real Postgres, Redis and storage, without workers: what it accepts, refuses and answers."""

import json
from collections.abc import Iterator
from io import BytesIO
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from services.api.factory import create_app
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.integration.conftest import counters_are_exact


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_file_bytes": 1000, "max_files_per_job": 5, "max_submission_bytes": 100_000})


@pytest.fixture
def client(settings: Settings) -> Iterator[FlaskClient]:
    app = create_app(settings)
    yield app.test_client()
    app.extensions["facemem"].database.dispose()


def submitted(client: FlaskClient, *files: tuple[str, bytes], **fields: str) -> TestResponse:
    form = {"images": [(BytesIO(content), name) for name, content in files], **fields}
    return client.post("/v1/jobs", data=form, content_type="multipart/form-data")


def problem(answer: TestResponse, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    body = answer.get_json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["title"]
    assert body["detail"]
    return body


def rows(connections: Connections, table: str) -> int:
    with connections.database.connect() as connection:
        return connection.execute(text(f"select count(*) from {table}")).scalar_one()


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
    assert job["stages"][1] == {"stage": "detection", "waiting": 2, "running": 0, "passed": 0}
    with connections.database.connect() as connection:
        assert counters_are_exact(connection)
        kept = connection.execute(text("select name, original_key from images order by position")).all()
    assert [row.name for row in kept] == ["a.jpg", "folder/b.jpg"]
    assert [connections.objects.get(row.original_key) for row in kept] == [b"one", b"two"]
    assert client.get(answer.headers["Location"]).get_json()["id"] == job["id"]


def test_links_are_accepted_and_go_through_intake(client: FlaskClient) -> None:
    body = {"name": "links", "images": [{"url": "https://example.org/a.jpg", "metadata": {"row": 1}}]}
    job = client.post("/v1/jobs", json=body).get_json()
    assert job["stages"][0] == {"stage": "intake", "waiting": 1, "running": 0, "passed": 0}
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
    assert (body["limit"], body["maximum"]) == ("max_files_per_job", 5)
    assert rows(connections, "jobs") == 0
    assert list(connections.objects.keys("")) == []


def test_too_many_bytes_name_the_limit(client: FlaskClient) -> None:
    body = problem(submitted(client, ("a.jpg", b"-" * 200_000)), 413, "limit_exceeded")
    assert (body["limit"], body["maximum"]) == ("max_submission_bytes", 100_000)


def test_an_empty_submission_is_a_job(client: FlaskClient) -> None:
    job = client.post("/v1/jobs", json={"images": []}).get_json()
    assert (job["images"], job["progress"]) == (0, 1.0)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("not json", 422, "invalid_request"),
        ("[]", 422, "invalid_request"),
        ('{"images": [{"url": 7}]}', 422, "invalid_request"),
        ('{"images": [], "unknown": 1}', 422, "invalid_request"),
        ('{"images": [], "captioner": "somebody"}', 422, "invalid_request"),
        ('{"images": [], "name": "a\\u0000b"}', 422, "invalid_request"),
        ('{"images": [], "metadata": {"a": "\\u0000"}}', 422, "invalid_request"),
        ('{"images": [], "metadata": {"a": "\\ud800"}}', 422, "invalid_request"),
        ('{"images": [], "metadata": {"a": NaN}}', 422, "invalid_request"),
        (json.dumps({"images": [], "metadata": {"a": "-" * 20_000}}), 422, "invalid_request"),
    ],
)
def test_bad_json_changes_nothing(
    client: FlaskClient, connections: Connections, body: str, status: int, code: str
) -> None:
    problem(client.post("/v1/jobs", data=body, content_type="application/json"), status, code)
    assert rows(connections, "jobs") == 0


@pytest.mark.parametrize("metadata", ["{", '["list"]', '{"a": "\\u0000"}', "NaN", "[" * 100_000])
def test_bad_form_metadata_changes_nothing(client: FlaskClient, connections: Connections, metadata: str) -> None:
    answer = submitted(client, ("a.jpg", b"-"), metadata=metadata)
    assert 400 <= answer.status_code < 500
    assert answer.get_json()["code"] in (
        "invalid_request",
        "invalid_submission",
        "limit_exceeded",
        "request_entity_too_large",
    )
    assert rows(connections, "jobs") == 0


def test_files_in_another_field_are_not_silently_ignored(client: FlaskClient) -> None:
    answer = client.post("/v1/jobs", data={"photos": (BytesIO(b"-"), "a.jpg")}, content_type="multipart/form-data")
    assert "'photos'" in problem(answer, 400, "invalid_submission")["detail"]


def test_other_media_types_are_refused(client: FlaskClient) -> None:
    problem(client.post("/v1/jobs", data=b"<xml/>", content_type="text/xml"), 415, "unsupported_media_type")


def test_hostile_file_names_are_stored_as_text(client: FlaskClient, connections: Connections) -> None:
    name = "../../etc/passwd<script>\u202e\x07"
    job = submitted(client, (name, b"-")).get_json()
    [image] = client.get(job["links"]["results"]).get_json()["results"]
    assert image["image"] == name
    assert all(key.startswith(f"jobs/{job['id']}/originals/") for key in connections.objects.keys(""))


def test_unknown_ids_are_not_found(client: FlaskClient) -> None:
    for path in (f"/v1/jobs/{uuid4()}", f"/v1/jobs/{uuid4()}/results", "/v1/faces/1/crop", "/v1/images/1/photo",
                 "/v1/faces/1/heatmap", "/v1/faces/1/explanation", "/v1/faces/99999999999999999999/crop",
                 "/v1/jobs/not-an-id", "/nowhere"):  # fmt: skip
        answer = client.get(path)
        assert answer.status_code in (404, 422), path
        assert answer.mimetype == "application/problem+json", path
    assert client.post(f"/v1/jobs/{uuid4()}/cancel").status_code == 404


def test_wrong_methods_are_problems_too(client: FlaskClient) -> None:
    problem(client.delete("/v1/models"), 405, "method_not_allowed")


def test_pages_cover_everything_once(client: FlaskClient) -> None:
    job = submitted(client, *[(f"{n}.jpg", b"-") for n in range(5)]).get_json()
    names, cursor = [], 0
    while cursor is not None:
        page = client.get(job["links"]["results"], query_string={"cursor": cursor, "limit": 2}).get_json()
        names += [image["image"] for image in page["results"]]
        cursor = page["next_cursor"]
    assert names == [f"{n}.jpg" for n in range(5)]
    for bad in ({"limit": 0}, {"limit": 501}, {"cursor": -1}, {"cursor": "x"}, {"cursor": 2**40}):
        problem(client.get(job["links"]["results"], query_string=bad), 422, "invalid_request")


def test_cancelling_is_repeatable(client: FlaskClient) -> None:
    job = submitted(client, ("a.jpg", b"-")).get_json()
    for _ in range(2):
        cancelled = client.post(job["links"]["cancel"]).get_json()
        assert (cancelled["state"], cancelled["counts"]["cancelled"]) == ("cancelled", 1)


def test_storage_away_means_later_and_accepts_nothing(settings: Settings, connections: Connections) -> None:
    away = settings.model_copy(update={"storage_url": "folder:/proc/no/such/place"})
    answer = submitted(create_app(away).test_client(), ("a.jpg", b"-"))
    problem(answer, 503, "storage_unavailable")
    assert answer.headers["Retry-After"]
    assert rows(connections, "jobs") == 0


def test_database_away_means_later_and_leaves_no_object(settings: Settings, connections: Connections) -> None:
    from pydantic import SecretStr

    away = settings.model_copy(update={"database_url": SecretStr("postgresql+psycopg://no@127.0.0.1:9/none")})
    problem(submitted(create_app(away).test_client(), ("a.jpg", b"-")), 503, "temporarily_unavailable")
    assert list(connections.objects.keys("")) == []


def test_readiness_names_the_part_that_is_away(client: FlaskClient, settings: Settings) -> None:
    assert client.get("/healthz").get_json()["status"] == "ok"
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.get_json()["checks"] == {"database": "ok", "broker": "ok", "storage": "ok"}
    from pydantic import SecretStr

    for part, change in {
        "database": {"database_url": SecretStr("postgresql+psycopg://no@127.0.0.1:9/none")},
        "broker": {"broker_url": SecretStr("redis://127.0.0.1:9/0")},
        "storage": {"storage_url": "folder:/proc/no/such/place"},
    }.items():
        answer = create_app(settings.model_copy(update=change)).test_client().get("/readyz")
        assert answer.status_code == 503
        checks = answer.get_json()["checks"]
        assert checks.pop(part) != "ok"
        assert set(checks.values()) == {"ok"}


def test_models_come_with_their_cards(client: FlaskClient) -> None:
    [active] = [model for model in client.get("/v1/models").get_json()["models"] if model["active"]]
    assert active["name"] == "compact"
    assert len(active["digest"]) == 64
    assert active["card"]


def test_the_front_door_leads_to_the_page(client: FlaskClient) -> None:
    assert client.get("/", follow_redirects=True).mimetype == "text/html"


def test_the_api_describes_itself(client: FlaskClient) -> None:
    from openapi_spec_validator import validate

    document = client.get("/openapi.json").get_json()
    validate(document)
    assert document["openapi"].startswith("3.1")
    paths = set(document["paths"])
    routes = {
        rule.rule.replace("<uuid:", "{").replace("<int:", "{").replace(">", "}")
        for rule in client.application.url_map.iter_rules()
        if rule.rule.startswith("/v1") or rule.rule in ("/healthz", "/readyz")
    }
    assert paths == routes
    assert "multipart/form-data" in document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
