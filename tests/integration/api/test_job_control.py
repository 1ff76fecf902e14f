"""Pausing, resuming, cancelling and retrying over HTTP: what is answered, what is refused, what is noted."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from services.api.factory import create_app
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.integration.api.conftest import problem, submitted
from tests.integration.conftest import counters_are_exact
from workers.dispatcher.dispatch import finish


@pytest.fixture
def job(client: FlaskClient) -> dict[str, Any]:
    return submitted(client, ("a.jpg", b"1"), ("b.jpg", b"2"), ("c.jpg", b"3")).get_json()


def fail(connections: Connections, job: dict[str, Any], *reasons: str) -> None:
    """Fails the first images of a job, each for a reason, and closes the job if none is left."""
    with connections.database.begin() as connection:
        for position, reason in enumerate(reasons):
            connection.execute(
                text("update images set state = 'failed', reason = :reason where position = :position"),
                {"reason": reason, "position": position},
            )
        connection.execute(text("delete from job_counts"))
        connection.execute(
            text("insert into job_counts select job_id, stage, state, count(*) from images group by 1, 2, 3")
        )
    finish(connections)


def actions(client: FlaskClient) -> list[str]:
    return [entry["action"] for entry in client.get("/v1/audit").get_json()["entries"]]


def test_a_job_is_paused_and_goes_on(client: FlaskClient, job: dict) -> None:
    for _ in range(2):
        paused = client.post(job["links"]["pause"])
        assert (paused.status_code, paused.get_json()["state"]) == (200, "paused")
        assert paused.get_json()["estimate_seconds"] is None, "nobody knows how long"
    assert client.get(job["links"]["self"]).headers["Retry-After"] == "30"
    for _ in range(2):
        assert client.post(job["links"]["resume"]).get_json()["state"] == "running"
    assert client.post(job["links"]["cancel"]).get_json()["state"] == "cancelled"
    assert client.post(job["links"]["cancel"]).get_json()["state"] == "cancelled"
    assert actions(client) == ["job.cancelled", "job.resumed", "job.paused", "job.submitted"], "each change once"


def test_what_has_ended_can_neither_be_paused_nor_go_on(client: FlaskClient, job: dict) -> None:
    client.post(job["links"]["cancel"])
    for link in ("pause", "resume"):
        refused = problem(client.post(job["links"][link]), 409, "job_ended")
        assert "cancelled already" in refused["detail"]
    problem(client.post(job["links"]["retry"], json={}), 409, "job_cancelled")
    assert actions(client) == ["job.cancelled", "job.submitted"]


def test_failed_images_are_tried_again_all_or_by_reason(
    client: FlaskClient, connections: Connections, job: dict
) -> None:
    fail(connections, job, "worker_lost", "worker_lost", "broken_image")
    assert client.get(job["links"]["self"]).get_json()["state"] == "completed"
    would = client.post(job["links"]["retry"], query_string={"dry_run": "true"}, json={}).get_json()
    assert would == {"images": 3, "by_reason": {"broken_image": 1, "worker_lost": 2}, "left_out": 0}
    assert client.get(job["links"]["self"]).get_json()["state"] == "completed", "nothing happened"
    again = client.post(job["links"]["retry"], json={"reasons": ["worker_lost"]}).get_json()
    assert again == {"images": 2, "by_reason": {"worker_lost": 2}, "left_out": 0}
    status = client.get(job["links"]["self"]).get_json()
    assert (status["state"], status["counts"]["ready"], status["counts"]["failed"]) == ("running", 2, 1)
    assert status["finished_at"] is None
    with connections.database.connect() as connection:
        assert counters_are_exact(connection)
    nothing = client.post(job["links"]["retry"], json={"reasons": ["no_such_reason"]}).get_json()
    assert nothing["images"] == 0
    assert actions(client)[0] == "job.retried"
    assert client.get("/v1/audit").get_json()["entries"][0]["detail"] == {"images": 2}


def test_a_line_that_led_nowhere_is_left_out(client: FlaskClient) -> None:
    body = {"images": [{"url": "gopher://example.org/a.jpg"}]}
    job = client.post("/v1/jobs", json=body).get_json()
    assert job["state"] == "completed"
    told = client.post(job["links"]["retry"], json={}).get_json()
    assert told == {"images": 0, "by_reason": {}, "left_out": 1}
    assert client.get(job["links"]["self"]).get_json()["state"] == "completed"


def test_a_retry_counts_for_the_quota(settings: Settings, connections: Connections) -> None:
    app = create_app(settings.model_copy(update={"max_queued_images": 3}))
    client = app.test_client()
    job = submitted(client, ("a.jpg", b"1"), ("b.jpg", b"2")).get_json()
    fail(connections, job, "worker_lost", "worker_lost")
    submitted(client, ("a.jpg", b"4"), ("b.jpg", b"5"))
    problem(client.post(job["links"]["retry"], json={}), 429, "quota_exceeded")
    assert client.get(job["links"]["self"]).get_json()["counts"]["failed"] == 2, "nothing changed"
    app.extensions["facemem"].database.dispose()


@pytest.mark.parametrize(
    "body", [{"reasons": "worker_lost"}, {"reasons": [1]}, {"reason": []}, {"reasons": ["\0"]}, []]
)
def test_a_retry_that_cannot_be_meant_is_refused(client: FlaskClient, job: dict, body: Any) -> None:
    problem(client.post(job["links"]["retry"], json=body), 422, "invalid_request")
