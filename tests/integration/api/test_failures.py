"""Why images of a set failed: by reason, for everybody who may read it."""

from typing import Any

from flask.testing import FlaskClient

from shared.pipeline.connections import Connections
from tests.integration.api.conftest import problem
from tests.integration.api.in_browser import failed
from tests.integration.api.scored import scored_job

NOWHERE = "00000000-0000-0000-0000-000000000000"
FAILED = [{}, failed("too_large"), failed("too_large"), failed("invalid_line", "intake")]


def told(client: FlaskClient, job: object) -> list[Any]:
    return client.get(f"/v1/jobs/{job}/failures").get_json()["reasons"]


def test_failures_are_counted_by_reason(client: FlaskClient, connections: Connections) -> None:
    """With those that a retry would try again: as many as it then does."""
    job = scored_job(connections.database, [[0.5], [], [], []], images=FAILED)
    assert told(client, job) == [
        {"reason": "invalid_line", "images": 1, "retriable": 0},
        {"reason": "too_large", "images": 2, "retriable": 2},
    ]
    retried = client.post(f"/v1/jobs/{job}/retry", json={}).get_json()
    assert (retried["by_reason"], retried["left_out"]) == ({"too_large": 2}, 1)
    assert told(client, job) == [{"reason": "invalid_line", "images": 1, "retriable": 0}]


def test_those_of_a_cancelled_job_are_told_and_not_tried_again(client: FlaskClient, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.5], [], [], []], images=FAILED, state="cancelled")
    assert [(each["images"], each["retriable"]) for each in told(client, job)] == [(1, 0), (2, 0)]


def test_a_job_without_failures_has_none(client: FlaskClient, connections: Connections) -> None:
    assert told(client, scored_job(connections.database, [[0.5], []])) == []
    problem(client.get(f"/v1/jobs/{NOWHERE}/failures"), 404, "not_found")
