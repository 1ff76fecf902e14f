"""Pages of results, filtered, on real Postgres."""

from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from tests.integration.api.conftest import problem
from tests.integration.api.scored import scored_job

WAITING = {"state": "ready", "stage": "captioning"}
BROKEN = {"state": "failed", "stage": "detection", "reason": "not_an_image"}
LOST = {"state": "failed", "stage": "detection", "reason": "worker_lost"}


@pytest.fixture
def job(database: Engine) -> UUID:
    """Ten images: scored, waiting, two kinds of failed ones, and so on again."""
    ends = [{}, WAITING, BROKEN, LOST, {}] * 2
    ends[0] = {"custom_id": "sku-7", "client_metadata": {"shoot": 2}, "reused_from": 12}
    return scored_job(database, [[0.5] if "state" not in end else [] for end in ends], images=ends, ended=False)


def positions(client: FlaskClient, job: UUID, **query: Any) -> list[int]:
    """Of all images that pass, read page by page."""
    found, cursor = [], 0
    while cursor is not None:
        got = client.get(f"/v1/jobs/{job}/results", query_string={"limit": 2, **query, "cursor": cursor}).get_json()
        found += [image["position"] for image in got["results"]]
        cursor = got["next_cursor"]
    return found


def test_filters_choose_images_and_pages_go_on_behind_each_other(client: FlaskClient, job: UUID) -> None:
    assert positions(client, job) == list(range(10))
    assert positions(client, job, state="failed") == [2, 3, 7, 8]
    assert positions(client, job, state=["failed", "ready"]) == [1, 2, 3, 6, 7, 8]
    assert positions(client, job, reason="worker_lost") == [3, 8]
    assert positions(client, job, reason=["worker_lost", "not_an_image"], state="failed") == [2, 3, 7, 8]
    assert positions(client, job, state="succeeded", reason="worker_lost") == []


def test_an_image_echoes_what_was_said_of_it_and_tells_whether_it_was_reused(client: FlaskClient, job: UUID) -> None:
    first, second = client.get(f"/v1/jobs/{job}/results?limit=2").get_json()["results"]
    assert (first["custom_id"], first["metadata"], first["reused"]) == ("sku-7", {"shoot": 2}, True)
    assert (second["custom_id"], second["metadata"], second["reused"]) == (None, {}, False)


def test_faces_of_a_job_that_keeps_scores_only(client: FlaskClient, database: Engine) -> None:
    bare = {"score": 0.5, "caption": None, "captioner": None, "crop_key": None}
    job = scored_job(database, [[bare]], scores_only=True)
    [image] = client.get(f"/v1/jobs/{job}/results").get_json()["results"]
    [face] = image["faces"]
    assert (face["score"], face["caption"], face["words"], face["explanation"]) == (0.5, None, None, None)
    assert list(face["links"]) == ["self"]
    assert image["links"] == {}
    for picture in ("explanation", "heatmap", "words", "explanation/picture", "crop"):
        problem(client.get(f"/v1/faces/{face['id']}/{picture}"), 404, "not_found")
    insights = client.get(f"/v1/jobs/{job}/insights")
    assert insights.status_code == 200
    assert insights.get_json()["scores"]["faces"] == 1


@pytest.mark.parametrize("query", [{"state": "lost"}, {"reason": "a\0"}, {"reason": "x" * 65}, {"cursor": -1}])
def test_what_does_not_fit_is_refused(client: FlaskClient, job: UUID, query: dict[str, str]) -> None:
    problem(client.get(f"/v1/jobs/{job}/results", query_string=query), 422, "invalid_request")
