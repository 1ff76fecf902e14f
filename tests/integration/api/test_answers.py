"""What the API answers, without workers."""

import re
from dataclasses import replace
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from services.api.factory import create_app
from services.api.parts import Parts
from shared.jobs.health import Presence
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.integration.api.conftest import problem, rows, submitted


def test_unknown_ids_are_not_found(client: FlaskClient) -> None:
    for path in (f"/v1/jobs/{uuid4()}", f"/v1/jobs/{uuid4()}/results", "/v1/faces/1/crop", "/v1/images/1/photo",
                 "/v1/faces/1/heatmap", "/v1/faces/1/explanation", "/v1/faces/99999999999999999999/crop",
                 "/v1/jobs/not-an-id", "/nowhere"):  # fmt: skip
        answer = client.get(path)
        assert answer.status_code in (404, 422), path
        assert answer.mimetype == "application/problem+json", path
    assert client.post(f"/v1/jobs/{uuid4()}/cancel").status_code == 404


def test_wrong_methods_are_problems_too(client: FlaskClient) -> None:
    answer = client.delete("/v1/models")
    problem(answer, 405, "method_not_allowed")
    assert answer.allow == {"GET", "HEAD", "OPTIONS"}
    assert answer.headers.getlist("Content-Type") == ["application/problem+json"]


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
    away = settings.model_copy(update={"database_url": SecretStr("postgresql+psycopg://no@127.0.0.1:9/none")})
    problem(submitted(create_app(away).test_client(), ("a.jpg", b"-")), 503, "temporarily_unavailable")
    assert list(connections.objects.keys("")) == []


def test_no_free_connection_means_later(client: FlaskClient, settings: Settings) -> None:
    url = settings.database_url.get_secret_value()
    narrow = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    ours: Parts = client.application.extensions["facemem"]
    client.application.extensions["facemem"] = replace(ours, database=narrow)
    with narrow.connect():
        answer = client.get(f"/v1/jobs/{uuid4()}")
    problem(answer, 503, "temporarily_unavailable")
    assert answer.headers["Retry-After"]
    narrow.dispose()
    ours.database.dispose()


def test_pictures_wait_for_storage_without_the_database(
    client: FlaskClient, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submitted(client, ("a.jpg", b"-")).get_json()
    [image] = client.get(job["links"]["results"]).get_json()["results"]
    with connections.database.begin() as connection:
        connection.execute(text("update images set photo_key = original_key"))
    ours: Parts = client.application.extensions["facemem"]
    get, in_use = ours.objects.get, []

    def watched(key: str) -> bytes:
        in_use.append(ours.database.pool.checkedout())
        return get(key)

    monkeypatch.setattr(ours.objects, "get", watched)
    assert client.get(f"/v1/images/{image['id']}/photo").data == b"-"
    assert in_use == [0]


def test_a_picture_that_was_removed_is_not_found(client: FlaskClient, connections: Connections) -> None:
    job = submitted(client, ("a.jpg", b"-")).get_json()
    [image] = client.get(job["links"]["results"]).get_json()["results"]
    with connections.database.begin() as connection:
        connection.execute(text("update images set photo_key = 'jobs/away'"))
    body = problem(client.get(f"/v1/images/{image['id']}/photo"), 404, "not_found")
    assert "jobs/away" not in body["detail"]


def test_readiness_names_the_part_that_is_away(
    client: FlaskClient, settings: Settings, connections: Connections
) -> None:
    Presence(connections.database).renew()
    assert client.get("/healthz").get_json() == {"status": "ok", "checks": {}}
    ready = client.get("/readyz")
    assert ready.status_code == 200
    well = {"database": "ok", "broker": "ok", "storage": "ok"}
    assert ready.get_json() == {"status": "ok", "checks": well, "degraded": []}
    for part, status, codes, change in (
        ("database", 503, [], {"database_url": SecretStr("postgresql+psycopg://no@127.0.0.1:9/none")}),
        ("broker", 200, ["broker_unavailable"], {"broker_url": SecretStr("redis://127.0.0.1:9/0")}),
        ("storage", 200, ["storage_unavailable"], {"storage_url": "folder:/proc/no/such/place"}),
    ):
        answer = create_app(settings.model_copy(update=change)).test_client().get("/readyz")
        assert answer.status_code == status
        health = answer.get_json()
        assert health["status"] == ("degraded" if codes else "unavailable")
        assert [each["code"] for each in health["degraded"]] == codes
        assert all(each["detail"] and each["advice"] for each in health["degraded"])
        # The kind of error and no more: anybody may ask.
        assert health["checks"].pop(part) in ("OperationalError", "ConnectionError", "StorageUnavailable")
        assert set(health["checks"].values()) == {"ok"}
        assert "127.0.0.1" not in answer.text


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
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for rule in client.application.url_map.iter_rules()
        if rule.rule.startswith("/v1") or rule.rule in ("/healthz", "/readyz")
    }
    assert paths == routes
    assert "multipart/form-data" in document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
