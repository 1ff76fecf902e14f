"""Other words for a face: the job that it makes, on real Postgres. With real workers: tests/system/test_what_if.py."""

from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from shared.jobs.rescore import already_scored, rescore, tries
from tests.integration.api.conftest import problem
from tests.integration.api.scored import scored_job
from tests.integration.conftest import DIGEST, counters_are_exact

OTHER = "1" * 64
SAID = {
    "name": "portrait.jpg", "custom_id": "sku-7", "client_metadata": {"shoot": 2}, "photo_key": "jobs/x/photo.jpg",
    "width": 800, "height": 600, "content_digest": b"d" * 32, "derived_bytes": 5000,
}  # fmt: skip


def rows(database: Engine, query: str, **values: object) -> list[Any]:
    with database.connect() as connection:
        return [dict(row) for row in connection.execute(text(query), values).mappings()]


def faces(database: Engine, job: UUID) -> list[int]:
    return [row["id"] for row in rows(database, "select id from faces where job_id = :job order by id", job=job)]


@pytest.fixture
def job(database: Engine) -> UUID:
    """A job of a photograph with two faces, and another one."""
    return scored_job(
        database, [[0.25, 0.75], [0.5]], images=[SAID], explained=True, labels=["spring"], stored_bytes=5000, name="set"
    )


def asked(client: FlaskClient, face: int, caption: str = "a broad smile") -> dict[str, Any]:
    got = client.post(f"/v1/faces/{face}/rescore", json={"caption": caption})
    assert got.status_code == 202, got.text
    assert got.headers["Location"] == got.get_json()["links"]["self"]
    return got.get_json()


def test_the_job_is_that_one_face_with_the_words_of_the_client(
    client: FlaskClient, database: Engine, job: UUID
) -> None:
    _, second, _ = faces(database, job)
    told = asked(client, second)
    assert (told["state"], told["images"], told["name"], told["rescored_from"]) == ("running", 1, "set", str(job))
    [made] = rows(database, "select * from jobs where id = :job", job=told["id"])
    wanted = {
        "what_if": True,
        "priority": "interactive",
        "bundle": DIGEST,
        "labels": [],
        "stored_bytes": 0,
        "rescored_from": job,
    }
    assert {name: made[name] for name in wanted} == wanted
    [image] = rows(database, "select * from images where job_id = :job", job=told["id"])
    same = ("name", "custom_id", "client_metadata", "photo_key", "width", "height")
    assert {name: image[name] for name in same} == {name: SAID[name] for name in same}
    assert (image["stage"], image["state"], image["position"]) == ("embedding", "ready", 0)
    assert (image["content_digest"], image["original_key"], image["derived_bytes"]) == (None, None, 0)
    [face], [of] = (rows(database, f"select * from faces where job_id = :job and {which}", job=number)
                    for number, which in ((told["id"], "true"), (job, f"id = {second}")))  # fmt: skip
    for name in ("position", "box", "crop_box", "landmarks", "confidence", "flags", "crop_key"):
        assert face[name] == of[name]
    assert (face["caption"], face["captioner"], face["score"]) == ("a broad smile", {"name": "edited"}, None)
    assert (of["caption"], of["score"]) == ("a smile", 0.75)
    with database.connect() as connection:
        assert counters_are_exact(connection)
    [noted] = rows(database, "select actor, subject, detail from audit where action = 'face.rescored'")
    assert noted == {"actor": "open", "subject": str(second), "detail": {"job": told["id"]}}


def test_the_face_names_the_one_that_it_is_of(client: FlaskClient, database: Engine, job: UUID) -> None:
    first, second, _ = faces(database, job)
    made = asked(client, second)["id"]
    [image] = client.get(f"/v1/jobs/{made}/results").get_json()["results"]
    assert image["reused"] is False
    [face] = image["faces"]
    assert face["what_if_of"] == second
    assert client.get(f"/v1/faces/{face['id']}").get_json()["what_if_of"] == second
    [listed] = client.get(f"/v1/jobs/{made}/faces?order=position").get_json()["faces"]
    assert listed["what_if_of"] == second
    assert client.get(f"/v1/faces/{first}").get_json()["what_if_of"] is None
    again = asked(client, face["id"], "a beard")
    assert again["rescored_from"] == str(job), "always the one that the photo was submitted to"
    [image] = client.get(f"/v1/jobs/{again['id']}/results").get_json()["results"]
    assert image["faces"][0]["what_if_of"] == face["id"]


def test_scoring_again_knows_nothing_of_what_ifs(client: FlaskClient, database: Engine, job: UUID) -> None:
    made = UUID(asked(client, faces(database, job)[0])["id"])
    with database.begin() as connection:
        connection.execute(text("update jobs set bundle = :other, state = 'completed' where what_if"), {"other": OTHER})
        assert already_scored(connection, job, OTHER) is None
        assert tries(connection, job, OTHER) == 0
        assert not rescore(connection, made, UUID(int=1), OTHER), "nor is one scored again as if it were a set"
        assert rescore(connection, job, UUID(int=2), OTHER)
    [copied] = rows(
        database,
        "select custom_id, content_digest, derived_bytes from images where job_id = :job and position = 0",
        job=UUID(int=2),
    )
    assert copied == {"custom_id": "sku-7", "content_digest": b"d" * 32, "derived_bytes": 0}
    assert rows(database, "select labels from jobs where id = :job", job=UUID(int=2)) == [{"labels": []}]


def test_jobs_that_cannot_be_scored_again(database: Engine) -> None:
    for columns in ({"state": "paused", "finished_at": None}, {"scores_only": True}, {"what_if": True}):
        job = scored_job(database, [[0.5]], **columns)
        with database.begin() as connection:
            assert not rescore(connection, job, UUID(int=1), OTHER)


def test_it_goes_with_the_job_that_it_is_of(client: FlaskClient, database: Engine, job: UUID) -> None:
    asked(client, faces(database, job)[0])
    with database.begin() as connection:
        connection.execute(text("delete from jobs where id = :job"), {"job": job})
    for table in ("jobs", "images", "faces"):
        assert rows(database, f"select * from {table}") == []


def test_what_is_refused(client: FlaskClient, database: Engine, job: UUID) -> None:
    face = faces(database, job)[0]
    url = f"/v1/faces/{face}/rescore"
    for caption in ("", " \n", "\u200b\u200d", "\u0301", "\ufffd", "x" * 2001, "a\0b", "\ud800", None, 7, ["a"]):
        problem(client.post(url, json={"caption": caption}), 422, "invalid_request")
    problem(client.post(url, json={"caption": "a", "bundle": "b"}), 422, "invalid_request")
    problem(client.post(url, json={}), 422, "invalid_request")
    problem(client.post("/v1/faces/99999/rescore", json={"caption": "a"}), 404, "not_found")
    [theirs] = faces(database, scored_job(database, [[0.5]], tenant="acme"))
    problem(client.post(f"/v1/faces/{theirs}/rescore", json={"caption": "a"}), 404, "not_found")
    [gone] = faces(database, scored_job(database, [[{"score": 0.5, "crop_key": None}]]))
    problem(client.post(f"/v1/faces/{gone}/rescore", json={"caption": "a"}), 409, "crop_not_kept")
    [going] = faces(database, scored_job(database, [[0.5]], scores_only=True))
    problem(client.post(f"/v1/faces/{going}/rescore", json={"caption": "a"}), 409, "crop_not_kept")
    assert rows(database, "select * from jobs where what_if") == []
    assert rows(database, "select * from audit") == []
