"""The state machine on real Postgres: each guard, and the counters."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from shared.errors import IllegalMove
from shared.jobs import closing, delivery, sweep
from shared.jobs.delivery import Batch, Verdict
from shared.jobs.moves import move
from shared.jobs.states import ImageState, JobState, Priority, Stage
from shared.jobs.sweep import take_back_unrung
from tests.integration.conftest import counters_are_exact

NewJob = Callable[..., UUID]


def state_of(database: Engine, image_id: int) -> tuple[str, str, int]:
    with database.connect() as connection:
        assert counters_are_exact(connection)
        row = connection.execute(
            text("select stage, state, attempt from images where id = :id"), {"id": image_id}
        ).one()
    return row.stage, row.state, row.attempt


def admitted(database: Engine, job: UUID, limit: int = 16, lease: float = 60) -> list[Batch]:
    with database.begin() as connection:
        return delivery.admit(connection, job, Stage.DETECTION, limit, lease)


def claimed(database: Engine, batch: Batch, lease: float = 60) -> tuple[UUID, list[int]]:
    token = uuid4()
    with database.begin() as connection:
        return token, [image.id for image in delivery.claim(connection, batch, token, lease)]


def test_an_image_walks_to_its_end(database: Engine, new_job: NewJob) -> None:
    job = new_job(images=1)
    [batch] = admitted(database, job)
    [image] = batch.image_ids
    for stage in (Stage.DETECTION, Stage.CAPTIONING, Stage.EMBEDDING, Stage.SCORING):
        token, ids = claimed(database, batch)
        assert ids == [image]
        assert state_of(database, image) == (stage, "running", 1)
        with database.begin() as connection:
            following = stage.following
            if following:
                batch = Batch(following, uuid4(), (image,))
                verdict = Verdict(image, following, ImageState.DISPATCHED, batch_id=batch.id)
                assert delivery.conclude(connection, token, [verdict], 60) == [batch]
            else:
                verdict = Verdict(image, stage, ImageState.SUCCEEDED)
                assert delivery.conclude(connection, token, [verdict], 60) == []
    assert state_of(database, image)[:2] == (Stage.SCORING, "succeeded")
    with database.begin() as connection:
        assert closing.complete_jobs(connection) == [job]
        assert closing.complete_jobs(connection) == []


def test_a_message_delivered_twice_claims_once(database: Engine, new_job: NewJob) -> None:
    [batch] = admitted(database, new_job())
    assert len(claimed(database, batch)[1]) == 3
    assert claimed(database, batch)[1] == []


def test_a_stale_message_claims_nothing(database: Engine, new_job: NewJob) -> None:
    job = new_job()
    [stale] = admitted(database, job, lease=-1)
    with database.begin() as connection:
        assert len(sweep.take_back_undelivered(connection)) == 3
    [fresh] = admitted(database, job)
    assert claimed(database, stale)[1] == []
    assert len(claimed(database, fresh)[1]) == 3


def test_a_message_for_another_stage_claims_nothing(database: Engine, new_job: NewJob) -> None:
    [batch] = admitted(database, new_job())
    assert claimed(database, Batch(Stage.SCORING, batch.id, batch.image_ids))[1] == []


def test_a_worker_that_lost_its_lease_cannot_write(database: Engine, new_job: NewJob) -> None:
    job = new_job(images=1)
    [batch] = admitted(database, job)
    zombie, [image] = claimed(database, batch, lease=-1)
    with database.begin() as connection:
        assert len(sweep.take_back_lost(connection, max_attempts=3)) == 1
    [again] = admitted(database, job)
    heir, _ = claimed(database, again)
    with database.begin() as connection:
        assert delivery.renew(connection, [image], zombie, 60) == 0
        assert delivery.hold(connection, job, [image], zombie) == (JobState.RUNNING, set())
        verdict = Verdict(image, Stage.DETECTION, ImageState.FAILED, "broken_image")
        assert delivery.conclude(connection, zombie, [verdict], 60) == []
        assert delivery.hold(connection, job, [image], heir) == (JobState.RUNNING, {image})
    assert state_of(database, image) == (Stage.DETECTION, "running", 2)


def test_a_lost_worker_costs_an_attempt_and_the_last_one_fails_the_image(database: Engine, new_job: NewJob) -> None:
    job = new_job(images=2)
    for attempt in (1, 2):
        batches = admitted(database, job)
        assert len(batches) == (1 if attempt == 1 else 2), "after a failed attempt, images travel alone"
        for batch in batches:
            claimed(database, batch, lease=-1)
        with database.begin() as connection:
            assert len(sweep.take_back_lost(connection, max_attempts=2)) == 2
    with database.begin() as connection:
        rows = connection.execute(text("select state, reason from images")).all()
        assert [tuple(row) for row in rows] == [("failed", "worker_lost")] * 2
        attempts = connection.execute(text("select reason, attempt from attempts order by attempt")).all()
        assert [tuple(row) for row in attempts] == [("worker_lost", 1)] * 2 + [("worker_lost", 2)] * 2
        assert counters_are_exact(connection)
        assert closing.complete_jobs(connection) == [job]


def test_a_failed_attempt_waits_for_its_delay(database: Engine, new_job: NewJob) -> None:
    job = new_job(images=1)
    [batch] = admitted(database, job)
    token, [image] = claimed(database, batch)
    with database.begin() as connection:
        delivery.conclude(connection, token, [Verdict(image, Stage.DETECTION, ImageState.READY, delay=3600)], 60)
    assert state_of(database, image) == (Stage.DETECTION, "ready", 1)
    assert admitted(database, job) == []


def test_cancelling_fences_workers_and_keeps_what_is_finished(database: Engine, new_job: NewJob) -> None:
    job = new_job(images=3)
    [batch] = admitted(database, job, limit=2)
    token, [first, second] = claimed(database, batch)
    with database.begin() as connection:
        delivery.conclude(connection, token, [Verdict(first, Stage.DETECTION, ImageState.SKIPPED, "no_face")], 60)
    with database.begin() as connection:
        assert closing.cancel_job(connection, job)
        assert not closing.cancel_job(connection, job)
    assert state_of(database, first)[1] == "skipped"
    assert state_of(database, second)[1] == "cancelled"
    with database.begin() as connection:
        assert delivery.hold(connection, job, [first, second], token) == (JobState.CANCELLED, set())


def test_an_empty_job_is_complete_when_it_is_accepted(database: Engine, new_job: NewJob) -> None:
    new_job(images=0)
    with database.begin() as connection:
        assert connection.execute(text("select state from jobs")).scalar_one() == "completed"
        assert closing.complete_jobs(connection) == []


def test_a_run_that_does_not_count_leaves_the_attempts_as_they_were(database: Engine, new_job: NewJob) -> None:
    [batch] = admitted(database, new_job(images=1))
    token, [image] = claimed(database, batch)
    with database.begin() as connection:
        waits = Verdict(image, Stage.DETECTION, ImageState.READY, "storage_unavailable", counted=False)
        delivery.conclude(connection, token, [waits], 60)
    assert state_of(database, image) == (Stage.DETECTION, "ready", 0)


def test_a_move_that_the_table_does_not_have_is_undone(database: Engine, new_job: NewJob) -> None:
    new_job(images=1)
    with pytest.raises(IllegalMove), database.begin() as connection:
        move(connection, "update images set state = 'succeeded' where state = 'ready'")
    with database.connect() as connection:
        assert connection.execute(text("select state from images")).scalar_one() == "ready"
        assert counters_are_exact(connection)


def test_messages_that_are_gone_are_taken_back_at_their_stage_only(database: Engine, new_job: NewJob) -> None:
    [batch] = admitted(database, new_job(images=2), lease=60)
    lane = (Stage.DETECTION, Priority.BULK)
    with database.begin() as connection:
        other = (Stage.DETECTION, Priority.INTERACTIVE)
        assert len(take_back_unrung(connection, *other, waited=-1, lease_seconds=60)) == 0, "messages of another queue"
        assert len(take_back_unrung(connection, *lane, waited=10, lease_seconds=60)) == 0, "sent just now"
        assert len(take_back_unrung(connection, Stage.SCORING, Priority.BULK, waited=-1, lease_seconds=60)) == 0
        assert len(take_back_unrung(connection, *lane, waited=-1, lease_seconds=60)) == 2
    assert claimed(database, batch)[1] == []
