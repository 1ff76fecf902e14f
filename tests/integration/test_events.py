"""Events become deliveries in the transaction that makes them true, for those who want them."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, text

from shared.jobs.closing import cancel_job, complete_jobs
from shared.jobs.events import EventType, emit
from shared.jobs.moves import move

NewJob = Callable[..., UUID]


def webhook(database: Engine, tenant: str = "local", *events: EventType, disabled: bool = False) -> UUID:
    made = uuid4()
    with database.begin() as connection:
        connection.execute(
            text("""
                insert into webhooks (id, tenant, url, secret, events, disabled_at)
                values (:id, :tenant, 'https://example.org/', 'whsec_', :events, case when :disabled then now() end)
            """),
            {"id": made, "tenant": tenant, "events": list(events or EventType), "disabled": disabled},
        )
    return made


def told(connection: Connection) -> dict[UUID, dict]:
    return {row.webhook_id: row.payload for row in connection.execute(text("select * from deliveries"))}


def test_those_who_want_an_event_are_told(database: Engine, new_job: NewJob) -> None:
    job = new_job(images=3)
    wants, also = webhook(database), webhook(database, "local", EventType.COMPLETED)
    webhook(database, "local", EventType.CANCELLED)
    webhook(database, "somebody else")
    webhook(database, disabled=True)
    with database.begin() as connection:
        assert emit(connection, "local", "job.completed", job) == 2
        payloads = told(connection)
    assert set(payloads) == {wants, also}
    payload = payloads[wants]
    assert payload["timestamp"].endswith("Z")
    assert payload == {
        "type": "job.completed",
        "timestamp": payload["timestamp"],
        "data": {"job": str(job), "state": "running", "images": 3, "counts": {"ready": 3}},
    }


def test_an_empty_set_is_complete_at_once_and_that_is_an_event(database: Engine, new_job: NewJob) -> None:
    mine = webhook(database)
    job = new_job(images=0)
    with database.connect() as connection:
        payload = told(connection)[mine]
    assert payload["type"] == "job.completed"
    assert payload["data"] == {"job": str(job), "state": "completed", "images": 0, "counts": {}}


def test_the_end_of_a_job_is_an_event_once(database: Engine, new_job: NewJob) -> None:
    mine, done, withdrawn = webhook(database), new_job(images=2), new_job(images=3)
    with database.begin() as connection:
        move(connection, "update images set state = 'failed' where job_id = :job and state = 'ready'", job=done)
        assert complete_jobs(connection) == [done]
        assert told(connection)[mine]["data"] == {
            "job": str(done),
            "state": "completed",
            "images": 2,
            "counts": {"failed": 2},
        }
        assert complete_jobs(connection) == []
        connection.execute(text("delete from deliveries"))
    with database.begin() as connection:
        assert cancel_job(connection, withdrawn)
        assert not cancel_job(connection, withdrawn)
        (event,) = connection.execute(text("select payload from deliveries")).scalars()
        assert event["type"] == "job.cancelled"
        assert event["data"]["counts"] == {"cancelled": 3}


def test_a_change_that_is_undone_was_no_event(database: Engine, new_job: NewJob) -> None:
    webhook(database)
    job = new_job()
    with database.connect() as connection:
        emit(connection, "local", EventType.CANCELLED, job)
        connection.rollback()
        assert told(connection) == {}


def test_an_event_outlives_its_job(database: Engine, new_job: NewJob) -> None:
    mine, job = webhook(database), new_job()
    with database.begin() as connection:
        emit(connection, "local", EventType.DELETED, job)
        connection.execute(text("delete from jobs where id = :job"), {"job": job})
    with database.connect() as connection:
        assert told(connection)[mine]["data"]["job"] == str(job)


def test_there_are_no_other_events(database: Engine, new_job: NewJob) -> None:
    with database.begin() as connection, pytest.raises(ValueError, match=r"job\.exploded"):
        emit(connection, "local", "job.exploded", new_job())
