"""Previews: what would become of a submission, of which nothing is kept."""

import json
from io import BytesIO
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from services.api.factory import create_app
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.integration.api.conftest import nothing_happened, problem, rows, submitted
from tests.integration.api.test_archives import ARCHIVES

TABLES = ("jobs", "images", "job_counts", "idempotency", "audit", "deliveries")


def previewed(client: FlaskClient, **how: object) -> dict:
    answer = client.post("/v1/jobs?dry_run=true", **how)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def test_a_manifest(client: FlaskClient, connections: Connections) -> None:
    link = '{"url": "https://example.org/a.jpg"}\n'
    body = link + "\nbroken\n" + link + '{"url": "ftp://example.org/", "name": "b"}\n'
    told = previewed(client, data=body, content_type="application/jsonl")
    assert (told["images"], told["accepted"], told["duplicates"], told["already_scored"]) == (4, 2, 1, 0)
    assert told["estimate_seconds"] is None
    assert (told["rejected"]["images"], told["rejected"]["by_reason"]) == (2, {"invalid_line": 1, "fetch_refused": 1})
    first, second = told["rejected"]["first"]
    assert (first["position"], first["line"], first["name"], first["reason"]) == (1, 3, "broken", "invalid_line")
    assert (second["position"], second["line"], second["name"], second["reason"]) == (3, 5, "b", "fetch_refused")
    assert first["detail"]
    assert {limit["name"]: limit["used"] for limit in told["limits"]} == {
        "max_images_per_job": 4,
        "max_manifest_bytes": len(body),
    }
    assert [rows(connections, table) for table in TABLES] == [0] * len(TABLES)


def test_files(client: FlaskClient, connections: Connections) -> None:
    contents = [b"one", b"two", b"one", b"-" * 1001]
    form = {"images": [(BytesIO(content), f"{number}.jpg") for number, content in enumerate(contents)], "name": "x"}
    told = previewed(client, data=form, content_type="multipart/form-data")
    assert (told["images"], told["accepted"], told["duplicates"]) == (4, 3, 1)
    assert told["rejected"]["by_reason"] == {"too_large": 1}
    nothing_happened(connections)


@pytest.mark.parametrize("media_type", ARCHIVES)
def test_archives(client: FlaskClient, connections: Connections, media_type: str) -> None:
    told = previewed(client, data=ARCHIVES[media_type], content_type=media_type)
    assert (told["images"], told["accepted"]) == (3, 2)
    nothing_happened(connections)


def test_what_was_scored_before(client: FlaskClient, connections: Connections) -> None:
    job = submitted(client, ("a.jpg", b"one"), ("b.jpg", b"two")).get_json()
    with connections.database.begin() as connection:
        connection.execute(text("update images set state = 'succeeded' where position = 0"))

    def known() -> int:
        form = {"images": [(BytesIO(b"one"), "x.jpg"), (BytesIO(b"one"), "y.jpg"), (BytesIO(b"two"), "z.jpg")]}
        return previewed(client, data=form, content_type="multipart/form-data")["already_scored"]

    assert known() == 2
    for change in ("tenant = 'other'", "bundle = '-'", "what_if = true"):
        with connections.database.begin() as connection:
            before = connection.execute(text("select tenant, bundle, what_if from jobs")).one()
            connection.execute(text(f"update jobs set {change} where id = :id"), {"id": UUID(job["id"])})
        assert known() == 0
        with connections.database.begin() as connection:
            connection.execute(
                text("update jobs set tenant = :tenant, bundle = :bundle, what_if = :what_if"), before._asdict()
            )


def test_it_refuses_what_a_submission_would_be_refused_for(client: FlaskClient, connections: Connections) -> None:
    many = "\n".join(json.dumps({"url": f"https://example.org/{number}"}) for number in range(6))
    answer = client.post("/v1/jobs?dry_run=true", data=many, content_type="application/jsonl")
    assert problem(answer, 413, "limit_exceeded")["limit"] == "max_images_per_job"
    answer = client.post("/v1/jobs?dry_run=true&bundle=nobody", data=many, content_type="application/jsonl")
    problem(answer, 422, "unknown_bundle")
    nothing_happened(connections)


def test_only_the_first_rejections_are_shown(settings: Settings) -> None:
    roomy = create_app(settings.model_copy(update={"max_images_per_job": 1000})).test_client()
    told = previewed(roomy, data='{"url": ""}\n' * 150, content_type="application/jsonl")
    assert (told["rejected"]["images"], len(told["rejected"]["first"])) == (150, 100)
