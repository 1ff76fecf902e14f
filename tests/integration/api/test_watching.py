"""Watching a job: tags, waiting, events, and lists of jobs."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from services.api import watch
from services.api.places import Places
from shared.jobs import closing
from shared.pipeline.connections import Connections
from tests.integration.api.conftest import problem, submitted


@pytest.fixture
def job(client: FlaskClient) -> dict[str, Any]:
    return submitted(client, ("a.jpg", b"1"), ("b.jpg", b"2"), name="spring").get_json()


def cancel(connections: Connections, job: dict[str, Any]) -> None:
    with connections.database.begin() as connection:
        assert closing.cancel_job(connection, job["id"])


def events(lines: Iterator[bytes], number: int) -> list[dict[str, Any]]:
    """So many events of a stream, each as its fields."""
    found: list[dict[str, Any]] = []
    for chunk in lines:
        fields = dict(line.split(": ", 1) for line in chunk.decode().splitlines() if ": " in line)
        if "data" in fields:
            found.append({**fields, "data": json.loads(fields["data"])})
        if len(found) == number:
            break
    return found


# --- Tags --------------------------------------------------------------------------------------------------------


def test_an_unchanged_job_is_answered_by_304(client: FlaskClient, connections: Connections, job: dict) -> None:
    first = client.get(job["links"]["self"])
    tag = first.headers["ETag"]
    assert tag.startswith('W/"')
    assert 1 <= int(first.headers["Retry-After"]) <= 30
    again = client.get(job["links"]["self"], headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == tag
    assert "Retry-After" in again.headers
    cancel(connections, job)
    changed = client.get(job["links"]["self"], headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag
    assert "Retry-After" not in changed.headers, "it will not change by itself any more"


def test_what_only_time_changes_is_no_change(client: FlaskClient, connections: Connections, job: dict) -> None:
    before = client.get(job["links"]["self"])
    with connections.database.begin() as connection:
        connection.execute(text("insert into paces values (:job, 'detection', now(), 1, 0)"), {"job": job["id"]})
    after = client.get(job["links"]["self"])
    assert before.get_json()["estimate_seconds"] is None
    assert after.get_json()["estimate_seconds"] > 0
    assert after.get_json()["stages"][1]["rate"] > 0
    assert before.headers["ETag"] == after.headers["ETag"]


def test_a_status_tells_what_the_job_was_told(client: FlaskClient) -> None:
    told = {"priority": "interactive", "deadline_seconds": "60", "retention_seconds": "90", "scores_only": "true"}
    job = submitted(client, ("a.jpg", b"1"), labels="spring", **told).get_json()
    assert (job["labels"], job["priority"], job["retention_seconds"], job["scores_only"]) == (
        ["spring"],
        "interactive",
        90,
        True,
    )
    assert job["deadline"] is not None
    assert job["expires_at"] is None, "it has not ended"
    client.post(job["links"]["cancel"])
    assert client.get(job["links"]["self"]).get_json()["expires_at"] is not None


def test_a_status_says_what_images_wait_for(client: FlaskClient, connections: Connections, job: dict) -> None:
    assert job["held_up"] == []
    with connections.database.begin() as connection:
        connection.execute(
            text("update images set reason = 'captioner_unavailable', detail = 'Nobody answers.' where position = 0")
        )
    assert client.get(job["links"]["self"]).get_json()["held_up"] == [
        {"stage": "detection", "reason": "captioner_unavailable", "detail": "Nobody answers.", "images": 1}
    ]
    client.post(job["links"]["cancel"])
    assert client.get(job["links"]["self"]).get_json()["held_up"] == []


# --- Waiting -----------------------------------------------------------------------------------------------------


def test_waiting_ends_with_a_change(client: FlaskClient, connections: Connections, job: dict) -> None:
    tag = client.get(job["links"]["self"]).headers["ETag"]
    with ThreadPoolExecutor(1) as pool:
        began = monotonic()
        answer = pool.submit(
            client.get, job["links"]["self"], query_string={"wait": 30}, headers={"If-None-Match": tag}
        )
        sleep(0.3)
        cancel(connections, job)
        assert answer.result(timeout=20).get_json()["state"] == "cancelled"
    assert monotonic() - began < 20


def test_waiting_without_a_tag_is_for_the_end(client: FlaskClient, connections: Connections, job: dict) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.get, job["links"]["self"], query_string={"wait": 30})
        sleep(0.3)
        client.application.test_client().post(job["links"]["pause"])
        sleep(1.5)
        assert not answer.done(), "paused is not ended"
        cancel(connections, job)
        assert answer.result(timeout=20).get_json()["state"] == "cancelled"


def test_waiting_ends_with_its_time_and_does_not_begin_where_there_is_news(client: FlaskClient, job: dict) -> None:
    link, tag = job["links"]["self"], client.get(job["links"]["self"]).headers["ETag"]
    began = monotonic()
    assert client.get(link, query_string={"wait": 1}, headers={"If-None-Match": tag}).status_code == 304
    assert monotonic() - began >= 1
    began = monotonic()
    assert client.get(link, query_string={"wait": 60}, headers={"If-None-Match": '"other"'}).status_code == 200
    client.post(job["links"]["cancel"])
    assert client.get(link, query_string={"wait": 60}).status_code == 200
    assert monotonic() - began < 30
    for wait in ("61", "-1", "soon"):
        problem(client.get(link, query_string={"wait": wait}), 422, "invalid_request")


def test_waiting_for_a_job_that_is_deleted_ends(client: FlaskClient, job: dict) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.get, job["links"]["self"], query_string={"wait": 30})
        sleep(0.3)
        client.application.test_client().delete(job["links"]["self"])
        problem(answer.result(timeout=20), 404, "not_found")


def test_where_too_many_wait_the_answer_comes_at_once(client: FlaskClient, job: dict) -> None:
    client.application.extensions["facemem_watchers"] = places = Places(1)
    leave = places.take()
    began = monotonic()
    assert client.get(job["links"]["self"], query_string={"wait": 60}).status_code == 200
    assert monotonic() - began < 30
    busy = problem(client.get(job["links"]["events"]), 503, "watchers_busy")
    assert "status" in busy["detail"]
    leave()
    leave()
    with client.get(job["links"]["events"], buffered=False) as stream:
        assert stream.status_code == 200
        assert places.take() is None
    assert places.take() is not None, "given back when the stream was closed"


# --- Events ------------------------------------------------------------------------------------------------------


def test_events_tell_each_change_and_the_end(client: FlaskClient, connections: Connections, job: dict) -> None:
    with client.get(job["links"]["events"], buffered=False) as stream:
        assert stream.mimetype == "text/event-stream"
        assert stream.headers["Cache-Control"] == "private, no-store"
        lines = stream.iter_encoded()
        [first] = events(lines, 1)
        assert (first["event"], first["data"]["state"]) == ("status", "running")
        cancel(connections, job)
        changed, end = events(lines, 2)
        assert (changed["event"], changed["data"]["state"]) == ("status", "cancelled")
        assert (end["event"], end["data"]) == ("end", {"state": "cancelled"})
        assert list(lines) == []


def test_a_stream_goes_on_where_it_broke_off(client: FlaskClient, connections: Connections, job: dict) -> None:
    with client.get(job["links"]["events"], buffered=False) as stream:
        [first] = events(stream.iter_encoded(), 1)
    resumed = {"Last-Event-ID": first["id"]}
    cancel(connections, job)
    with client.get(job["links"]["events"], headers=resumed, buffered=False) as stream:
        changed, _ = events(stream.iter_encoded(), 2)
    assert changed["data"]["state"] == "cancelled"
    with client.get(job["links"]["events"], headers={"Last-Event-ID": changed["id"]}, buffered=False) as stream:
        assert [event["event"] for event in events(stream.iter_encoded(), 2)] == ["end"], "nothing is told twice"


def test_a_stream_lives_and_ends_with_its_job(client: FlaskClient, job: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "ALIVE_SECONDS", 0.2)
    with client.get(job["links"]["events"], buffered=False) as stream:
        lines = stream.iter_encoded()
        events(lines, 1)
        assert next(lines) == b": alive\n\n"
        client.application.test_client().delete(job["links"]["self"])
        [end] = events(lines, 1)
    assert (end["event"], end["data"]) == ("end", {"state": "deleted"})
    problem(client.get(job["links"]["events"]), 404, "not_found")


def test_a_stream_is_ended_after_a_while_to_be_taken_up_again(
    client: FlaskClient, job: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "STREAM_SECONDS", 0.3)
    monkeypatch.setattr(watch, "ALIVE_SECONDS", 0.1)
    with client.get(job["links"]["events"], buffered=False) as stream:
        told = b"".join(stream.iter_encoded())
    assert told.startswith(b"retry: ")
    assert b"event: end" not in told


# --- Lists -------------------------------------------------------------------------------------------------------


def test_jobs_are_listed_page_after_page_whatever_happens_meanwhile(client: FlaskClient) -> None:
    jobs = [submitted(client, ("a.jpg", b"1"), name=str(number)).get_json()["id"] for number in range(5)]
    first = client.get("/v1/jobs", query_string={"limit": 2}).get_json()
    assert [job["id"] for job in first["jobs"]] == [jobs[4], jobs[3]]
    submitted(client, ("a.jpg", b"1"))
    client.delete(f"/v1/jobs/{jobs[3]}")
    second = client.get("/v1/jobs", query_string={"limit": 2, "cursor": first["next_cursor"]}).get_json()
    assert [job["id"] for job in second["jobs"]] == [jobs[2], jobs[1]]
    third = client.get("/v1/jobs", query_string={"limit": 2, "cursor": second["next_cursor"]}).get_json()
    assert ([job["id"] for job in third["jobs"]], third["next_cursor"]) == ([jobs[0]], None)


def test_a_list_tells_of_each_job_what_the_job_itself_tells(client: FlaskClient, connections: Connections) -> None:
    links = [submitted(client, ("a.jpg", b"1"), labels="spring").get_json()["links"]["self"] for _ in range(3)]
    cancel(connections, client.get(links[1]).get_json())
    listed = client.get("/v1/jobs", query_string={"label": "spring"}).get_json()["jobs"]
    assert listed == [client.get(link).get_json() for link in reversed(links)]


def test_many_jobs_are_asked_for_in_one_call(client: FlaskClient) -> None:
    ids = [submitted(client, ("a.jpg", b"1")).get_json()["id"] for _ in range(3)]
    listed = client.get("/v1/jobs", query_string={"id": [ids[0], ids[2], str(uuid4())]}).get_json()
    assert {job["id"] for job in listed["jobs"]} == {ids[0], ids[2]}


def test_what_a_face_would_score_is_listed_only_by_its_id(
    client: FlaskClient, connections: Connections, job: dict
) -> None:
    with connections.database.begin() as connection:
        connection.execute(text("update jobs set what_if = true"))
    assert client.get("/v1/jobs").get_json()["jobs"] == []
    [found] = client.get("/v1/jobs", query_string={"id": job["id"]}).get_json()["jobs"]
    assert found["what_if"]


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "x"},
        {"cursor": "9" * 17 + "-" + str(uuid4())},
        {"state": "done"},
        {"id": "1"},
        {"limit": "0"},
        {"limit": "501"},
        {"created_after": "1"},
        {"created_before": "2026-11-24"},
        {"name": "a\0b"},
        {"idempotency_key": "\0"},
    ],
)
def test_filters_that_cannot_be_meant_are_refused(client: FlaskClient, query: dict[str, str]) -> None:
    problem(client.get("/v1/jobs", query_string=query), 422, "invalid_request")
