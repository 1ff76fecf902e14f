"""The way of an image as the database keeps it."""

from flask.testing import FlaskClient
from sqlalchemy import text

from shared.pipeline.connections import Connections
from tests.integration.api.conftest import problem, submitted
from tests.integration.api.scored import scored_job

FAILED = """
insert into attempts (image_id, stage, attempt, reason, detail, ended_at)
values (:image, 'captioning', 1, 'caption_failed', 'Not this time.', now() + interval '1 second')
"""


def test_the_way_of_an_image_that_is_done(client: FlaskClient, connections: Connections) -> None:
    columns = {"finished_at": text("now() + interval '2 seconds'"), "attempt": 2}
    job = scored_job(connections.database, [[0.5], [0.7]], images=[columns], finished_at=text("now() + interval '3 s'"))
    with connections.database.begin() as connection:
        image, other = connection.scalars(text("select id from images order by id")).all()
        for each in (image, other):
            connection.execute(text(FAILED), {"image": each})
    found = client.get(f"/v1/images/{image}/trace").get_json()
    assert (found["job"], found["job_state"], found["image"]["id"]) == (str(job), "completed", image)
    assert [(step["event"], step["stage"], step["attempt"], step["reason"]) for step in found["steps"]] == [
        ("accepted", None, None, None),
        ("attempt_failed", "captioning", 1, "caption_failed"),
        ("succeeded", "scoring", None, None),
        ("job.completed", None, None, None),
    ]
    assert [step["at"] for step in found["steps"]] == sorted(step["at"] for step in found["steps"])
    assert found["attempt"] == 2
    assert [face["score"] for face in found["image"]["faces"]] == [0.5]


def test_what_is_done_to_its_job_is_on_its_way(client: FlaskClient, connections: Connections) -> None:
    job = submitted(client, ("a.jpg", b"-")).get_json()["id"]
    client.post(f"/v1/jobs/{job}/pause")
    client.post(f"/v1/jobs/{job}/cancel")
    with connections.database.connect() as connection:
        image = connection.scalar(text("select id from images"))
    found = client.get(f"/v1/images/{image}/trace").get_json()
    assert [step["event"] for step in found["steps"]] == ["accepted", "job.paused", "cancelled", "job.cancelled"]


def test_an_image_that_is_not_there(client: FlaskClient) -> None:
    problem(client.get("/v1/images/7/trace"), 404, "not_found")
