"""Deleting through the API: receipts, what can be read afterwards, and the audit log."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from shared.jobs import audit
from shared.pipeline.connections import Connections
from tests.integration.api.conftest import problem
from tests.integration.filled import fill
from workers.dispatcher.erase import erase
from workers.dispatcher.tidy import tidy

NewJob = Callable[..., UUID]


def test_a_deleted_job_is_gone_and_the_receipt_stays(
    client: FlaskClient, connections: Connections, new_job: NewJob
) -> None:
    job = new_job(images=2)
    [image, _] = fill(connections, job)
    [face] = [face["id"] for face in client.get(f"/v1/jobs/{job}/results").get_json()["results"][0]["faces"][:1]]
    answer = client.delete(f"/v1/jobs/{job}")
    assert answer.status_code == 202
    receipt = answer.get_json()
    assert (receipt["job"], receipt["image"], receipt["images"], receipt["faces"]) == (str(job), None, 2, 4)
    assert receipt["final"] is False
    for path in (
        f"jobs/{job}",
        f"jobs/{job}/results",
        f"jobs/{job}/insights",
        f"images/{image}/photo",
        f"faces/{face}",
        f"faces/{face}/crop",
        f"faces/{face}/explanation",
    ):
        problem(client.get(f"/v1/{path}"), 404, "not_found")
    problem(client.delete(f"/v1/jobs/{job}"), 404, "not_found")
    erase(connections)
    assert list(connections.objects.keys("")) == []
    receipt = client.get(answer.headers["Location"]).get_json()
    assert receipt["final"] is True
    assert receipt["removed_at"]
    assert receipt["objects"] == 9


def test_a_deleted_image_is_gone(client: FlaskClient, connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=2)
    [image, other] = fill(connections, job)
    answer = client.delete(f"/v1/images/{image}")
    assert answer.status_code == 202
    assert answer.get_json()["image"] == image
    problem(client.get(f"/v1/images/{image}/photo"), 404, "not_found")
    assert client.get(f"/v1/images/{other}/photo").status_code == 200
    status = client.get(f"/v1/jobs/{job}").get_json()
    assert (status["images"], status["counts"]["succeeded"]) == (1, 1)
    assert [each["id"] for each in client.get(f"/v1/jobs/{job}/results").get_json()["results"]] == [other]
    problem(client.delete(f"/v1/images/{image}"), 404, "not_found")


def test_receipts_are_listed_newest_first(client: FlaskClient, connections: Connections, new_job: NewJob) -> None:
    jobs = [str(new_job(images=1)) for _ in range(3)]
    for job in jobs:
        client.delete(f"/v1/jobs/{job}")
    first = client.get("/v1/deletions?limit=2").get_json()
    second = client.get(f"/v1/deletions?limit=2&cursor={first['next_cursor']}").get_json()
    assert [each["job"] for each in first["deletions"] + second["deletions"]] == jobs[::-1]
    assert second["next_cursor"] is None


def test_what_others_have_is_not_there(client: FlaskClient, connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=1, tenant="theirs")
    [image] = fill(connections, job)
    problem(client.delete(f"/v1/jobs/{job}"), 404, "not_found")
    problem(client.delete(f"/v1/images/{image}"), 404, "not_found")
    with connections.database.begin() as connection:
        connection.execute(
            text("""
                insert into deletions (id, tenant, job_id, reason, prefixes, last_sweep_at)
                values (gen_random_uuid(), 'theirs', gen_random_uuid(), 'request', '{}', now())
            """)
        )
        theirs = connection.execute(text("select id from deletions")).scalar_one()
        audit.record(connection, "theirs", "open", "job.submitted", job)
    problem(client.get(f"/v1/deletions/{theirs}"), 404, "not_found")
    assert client.get("/v1/deletions").get_json()["deletions"] == []
    assert client.get(f"/v1/deletions?cursor={theirs}").get_json()["deletions"] == []
    assert client.get("/v1/audit").get_json()["entries"] == []


@pytest.mark.parametrize(
    "path", ["jobs/x", f"jobs/{UUID(int=7)}", "images/0", "images/99999999999999999999", "images/7"]
)
def test_what_is_not_there_cannot_be_deleted(client: FlaskClient, connections: Connections, path: str) -> None:
    assert client.delete(f"/v1/{path}").status_code in (404, 422)


def test_insights_of_a_job_forget_a_deleted_image(
    client: FlaskClient, connections: Connections, new_job: NewJob
) -> None:
    job = new_job(images=3)
    ids = fill(connections, job)
    assert client.get(f"/v1/jobs/{job}/insights").get_json()["faces"]["scored"] == 6
    client.delete(f"/v1/images/{ids[0]}")
    assert client.get(f"/v1/jobs/{job}/insights").get_json()["faces"]["scored"] == 4


def test_a_browser_asks_before_it_shows_a_picture_again(
    client: FlaskClient, connections: Connections, new_job: NewJob
) -> None:
    job = new_job(images=1)
    [image] = fill(connections, job)
    path = f"/v1/images/{image}/photo"
    answer = client.get(path)
    assert answer.headers["Cache-Control"] == "private, no-cache"
    known = {"If-None-Match": answer.headers["ETag"]}
    again = client.get(path, headers=known)
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == answer.headers["ETag"]
    client.delete(f"/v1/jobs/{job}")
    problem(client.get(path, headers=known), 404, "not_found")


def test_the_audit_log_tells_who_did_what(client: FlaskClient, connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=2)
    [image, _] = fill(connections, job)
    client.delete(f"/v1/images/{image}")
    client.delete(f"/v1/jobs/{job}")
    entries = client.get("/v1/audit").get_json()["entries"]
    assert [(each["action"], each["subject"], each["actor"]) for each in entries] == [
        ("job.deleted", str(job), "open"),
        ("image.deleted", str(image), "open"),
    ]
    assert entries[1]["detail"]["job"] == str(job)
    [only] = client.get("/v1/audit?action=image.deleted").get_json()["entries"]
    assert client.get(f"/v1/audit?subject={job}").get_json()["entries"] == entries[:1]
    first = client.get("/v1/audit?limit=1").get_json()
    assert client.get(f"/v1/audit?limit=1&cursor={first['next_cursor']}").get_json()["entries"] == [only]
    since = entries[0]["at"].replace("+", "%2B")
    assert client.get(f"/v1/audit?since={since}").get_json()["entries"] == entries[:1]
    assert client.get("/v1/audit?since=2999-01-01T00:00:00Z").get_json()["entries"] == []
    problem(client.get("/v1/audit?since=yesterday"), 422, "invalid_request")
    problem(client.get("/v1/audit?cursor=0"), 422, "invalid_request")
    problem(client.get("/v1/audit?action=%00"), 422, "invalid_request")


@pytest.mark.parametrize(
    "statement",
    ["update audit set actor = 'nobody'", "delete from audit", "truncate audit", "delete from audit where id = -1"],
)
def test_nobody_changes_the_audit_log(connections: Connections, statement: str) -> None:
    """Not even the owner of the tables, by whom workers and API write."""
    with connections.database.begin() as connection:
        audit.record(connection, "local", "open", "job.submitted", uuid4(), images=3)
    with pytest.raises(SQLAlchemyError, match="never changed or removed"), connections.database.begin() as connection:
        connection.execute(text(statement))
    with connections.database.begin() as connection:
        connection.execute(text("set local role facemem_tenant"))
        connection.execute(text("select set_config('facemem.tenant', 'local', true)"))
        with pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text(statement))
    with connections.database.connect() as connection:
        assert connection.execute(text("select count(*) from audit where actor = 'open'")).scalar_one() == 1


def test_a_job_that_kept_scores_only_can_be_read(
    client: FlaskClient, connections: Connections, new_job: NewJob
) -> None:
    """Scores, boxes and flags stay; what is gone is not there, and nothing breaks."""
    job = new_job(images=2)
    [image, _] = fill(connections, job)
    with connections.database.begin() as connection:
        connection.execute(text("update jobs set scores_only = true"))
    assert tidy(connections) == 1
    results = client.get(f"/v1/jobs/{job}/results").get_json()["results"]
    face = results[0]["faces"][0]
    assert (face["score"], face["caption"], face["words"], face["explanation"]) == (0.5, None, None, None)
    assert "crop" not in face["links"]
    assert results[0]["links"] == {}
    problem(client.get(f"/v1/images/{image}/photo"), 404, "not_found")
    problem(client.get(f"/v1/faces/{face['id']}/crop"), 404, "not_found")
    for picture in ("heatmap", "words", "explanation", "explanation/picture"):
        assert client.get(f"/v1/faces/{face['id']}/{picture}").status_code in (404, 409)
    assert client.get(f"/v1/jobs/{job}/insights").get_json()["faces"]["scored"] == 4
    assert client.get(f"/v1/jobs/{job}/insights/picture").status_code == 200
    assert client.get(f"/v1/jobs/{job}/faces").status_code == 200
    for form in ("jsonl", "csv", "xlsx"):
        assert client.get(f"/v1/jobs/{job}/export?format={form}").status_code == 200
    for path in (f"jobs/{job}/rescore", f"faces/{face['id']}/rescore"):
        answer = client.post(f"/v1/{path}", json={"bundle": "compact"} if "jobs" in path else {"caption": "A face."})
        assert 400 <= answer.status_code < 500, answer.text
    client.post(f"/v1/jobs/{job}/retry", json={})
    assert client.delete(f"/v1/jobs/{job}").status_code == 202
