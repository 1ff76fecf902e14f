"""Pausing, deadlines, retries and paces on real Postgres: what moves, what is fenced, and that counters stay exact."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from shared.errors import FetchFailed, NotAnImage
from shared.jobs import closing, deadlines, delivery, pace, pausing, reuse
from shared.jobs.accept import NewImage, NewJob, accept
from shared.jobs.delivery import Batch
from shared.jobs.erase import Order, erase_job
from shared.jobs.retry import retriable, retry
from shared.jobs.states import JobState, Stage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, Failed, Skipped, run_stage
from shared.storage import keys
from tests.integration.conftest import DIGEST, counters_are_exact
from workers.dispatcher.dispatch import tick
from workers.dispatcher.erase import erase
from workers.dispatcher.expiry import forget_paces
from workers.dispatcher.late import fail_late

TakeIn = Callable[..., UUID]


def let_in(connections: Connections, job: UUID, limit: int = 16) -> list[Batch]:
    with connections.database.begin() as connection:
        return delivery.admit(connection, job, Stage.DETECTION, limit, 60)


def done(connections: Connections, batch: Batch) -> None:
    run_stage(connections, batch, lambda images, _: [Done(image) for image in images], lambda *_: None)


def rows(database: Engine, query: str, **values: object) -> list[tuple]:
    with database.connect() as connection:
        assert counters_are_exact(connection)
        return [tuple(row) for row in connection.execute(text(query), values)]


def states(database: Engine) -> list[tuple]:
    return rows(database, "select stage, state from images order by id")


def failed(database: Engine, stage: str, reason: str, **columns: object) -> int:
    """A job of one image that failed. Returns the image's id."""
    job = NewJob(uuid4(), "describer", DIGEST)
    with database.begin() as connection:
        accept(connection, job, [NewImage("a.jpg", original_key="o/1")])
        sets = ", ".join(f"{column} = :{column}" for column in columns)
        image = connection.execute(
            text(f"""
                update images set stage = :stage, state = 'failed', reason = :reason, attempt = 3, finished_at = now()
                    {", " + sets if sets else ""}
                where job_id = :job returning id
            """),
            {"stage": stage, "reason": reason, "job": job.id, **columns},
        ).scalar_one()
        connection.execute(text("update job_counts set stage = :stage, state = 'failed' where job_id = :job"),
                           {"stage": stage, "job": job.id})  # fmt: skip
        assert job.id in closing.complete_jobs(connection)
    return image


def face(database: Engine, image: int, **columns: object) -> None:
    values = {"crop_key": "c", "caption": None} | columns
    with database.begin() as connection:
        connection.execute(
            text("""
                insert into faces (image_id, job_id, position, box, crop_box, landmarks, confidence, crop_key, caption)
                select id, job_id, 0, '{1,2,3,4}', '{1,2,3,4}', '{1}', 1, :crop_key, :caption
                from images where id = :image
            """),
            {"image": image, **values},
        )


def job_of(database: Engine, image: int) -> UUID:
    return rows(database, "select job_id from images where id = :id", id=image)[0][0]


# --- Pausing -----------------------------------------------------------------------------------------------------


def test_a_paused_job_has_nothing_let_in_and_finishes_what_is_in_work(
    connections: Connections, database: Engine, new_job: TakeIn
) -> None:
    job = new_job(images=6)
    [working] = let_in(connections, job, limit=2)
    [queued] = let_in(connections, job, limit=2)

    def pause_meanwhile(images, token):
        with database.begin() as connection:
            assert pausing.pause_job(connection, job)
            assert not pausing.pause_job(connection, job)
        return [Done(image) for image in images]

    run_stage(connections, working, pause_meanwhile, lambda *_: None)
    assert states(database) == [("captioning", "ready")] * 2 + [("detection", "ready")] * 4
    assert let_in(connections, job) == []
    done(connections, queued)  # its message arrives after all, and is stale
    tick(connections)
    assert states(database) == [("captioning", "ready")] * 2 + [("detection", "ready")] * 4
    with database.begin() as connection:
        assert pausing.resume_job(connection, job)
        assert not pausing.resume_job(connection, job)
    tick(connections)
    assert {state for _, state in states(database)} == {"dispatched"}


def test_a_job_whose_last_work_ends_while_it_is_paused_is_complete(
    connections: Connections, database: Engine, new_job: TakeIn
) -> None:
    job = new_job(images=1)
    [batch] = let_in(connections, job)

    def faceless(images, token):
        with database.begin() as connection:
            pausing.pause_job(connection, job)
        return [Skipped(image, "no_face", "No face.") for image in images]

    run_stage(connections, batch, faceless, lambda *_: None)
    with database.begin() as connection:
        assert closing.complete_jobs(connection) == [job]


def test_a_paused_job_can_be_cancelled(database: Engine, new_job: TakeIn) -> None:
    job = new_job(images=2)
    with database.begin() as connection:
        pausing.pause_job(connection, job)
        assert closing.cancel_job(connection, job)
    assert states(database) == [("detection", "cancelled")] * 2


def test_nothing_is_let_in_after_a_pause_whoever_is_first(connections: Connections, new_job: TakeIn) -> None:
    database = connections.database
    for _ in range(10):
        job = new_job(images=40)

        def admit(_: int, job: UUID = job) -> None:
            let_in(connections, job, limit=4)

        def pause(job: UUID = job) -> None:
            with database.begin() as connection:
                assert pausing.pause_job(connection, job)

        with ThreadPoolExecutor(4) as pool:
            work = [pool.submit(admit, number) for number in range(4)]
            work.insert(2, pool.submit(pause))
            for each in work:
                each.result()
        left = rows(database, "select distinct state from images where job_id = :job", job=job)
        assert left == [("ready",)]


# --- Deadlines ---------------------------------------------------------------------------------------------------


def test_what_is_late_fails_and_what_is_finished_stays(
    connections: Connections, database: Engine, new_job: TakeIn
) -> None:
    job, other = new_job(images=3), new_job(images=1)
    [batch] = let_in(connections, job, limit=2)

    def too_long(images, token):
        with database.begin() as connection:
            connection.execute(text("update jobs set deadline = now() where id = :job"), {"job": job})
        with database.begin() as connection:
            assert list(deadlines.late_jobs(connection, 10)) == [job]
            assert deadlines.fail_late(connection, job) == {"detection": 3}
            assert deadlines.fail_late(connection, other) == {}
        return [Done(image) for image in images]

    run_stage(connections, batch, too_long, lambda *_: None)
    assert states(database)[:3] == [("detection", "failed")] * 3, "its worker was fenced"
    assert rows(database, "select distinct reason from images where job_id = :job", job=job) == [("deadline_passed",)]
    tick(connections)
    assert rows(database, "select state from jobs where id = :job", job=job) == [("completed",)]


def test_the_dispatcher_notices_what_is_late_also_of_paused_jobs(connections: Connections, database: Engine) -> None:
    job = NewJob(uuid4(), "describer", DIGEST, deadline_seconds=3600)
    with database.begin() as connection:
        accept(connection, job, [NewImage("a.jpg", original_key="o/1")])
        pausing.pause_job(connection, job.id)
    assert fail_late(connections) == 0
    assert states(database) == [("detection", "ready")]
    with database.begin() as connection:
        connection.execute(text("update jobs set deadline = now() - interval '1 second'"))
    assert fail_late(connections) == 1
    tick(connections)
    assert rows(database, "select state from jobs") == [("completed",)]
    assert rows(database, "select reason from images") == [("deadline_passed",)]


# --- Retries -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "columns", "has_face", "again_at"),
    [
        ("intake", {"source_url": "https://example.org/a.jpg", "original_key": None}, None, "intake"),
        ("intake", {"source_url": None, "original_key": None}, None, None),
        ("detection", {}, None, "detection"),
        ("detection", {"original_key": None}, None, None),
        ("captioning", {"photo_key": "p"}, {}, "captioning"),
        ("captioning", {"photo_key": "p"}, {"crop_key": None}, None),
        ("embedding", {"photo_key": "p"}, {"caption": "A smile."}, "embedding"),
        ("scoring", {"photo_key": "p"}, {"caption": "A smile."}, "embedding"),
        ("scoring", {"photo_key": "p"}, {"caption": "A smile.", "crop_key": None}, None),
        ("scoring", {"photo_key": "p"}, None, None),
    ],
)
def test_an_image_is_tried_again_if_what_its_stage_needs_is_there(
    database: Engine, stage: str, columns: dict, has_face: dict | None, again_at: str | None
) -> None:
    image = failed(database, stage, "worker_lost", **columns)
    if has_face is not None:
        face(database, image, **has_face)
    job = job_of(database, image)
    with database.begin() as connection:
        found = retriable(connection, job)
        assert (found.images, found.left_out) == ((1, 0) if again_at else (0, 1))
        assert retry(connection, job) == found.images
    [row] = rows(database, "select stage, state, attempt, reason, finished_at from images")
    if again_at:
        assert row == (again_at, "ready", 0, None, None)
        assert rows(database, "select state, finished_at, expires_at, tidied_at from jobs") == [
            ("running", None, None, None)
        ]
    else:
        assert row[:2] == (stage, "failed")
        assert rows(database, "select state from jobs") == [("completed",)]


def test_only_those_that_failed_for_the_reasons_that_were_named(database: Engine) -> None:
    image = failed(database, "detection", "broken_image")
    job = job_of(database, image)
    with database.begin() as connection:
        assert retriable(connection, job, ["worker_lost"]).images == 0
        assert retry(connection, job, ["worker_lost"]) == 0
        assert retriable(connection, job, ["worker_lost", "broken_image"]).by_reason == {"broken_image": 1}
        assert retry(connection, job, ["broken_image"]) == 1


def test_a_retry_takes_a_deadline_that_has_passed_and_the_retention_back(database: Engine) -> None:
    image = failed(database, "detection", "deadline_passed")
    job = job_of(database, image)
    with database.begin() as connection:
        connection.execute(text("update jobs set deadline = now() - interval '1 hour', retention_seconds = 60"))
        connection.execute(text("update jobs set expires_at = now() + interval '1 minute', tidied_at = now()"))
        retry(connection, job)
    assert rows(database, "select deadline, expires_at, tidied_at from jobs") == [(None, None, None)]
    with database.begin() as connection:
        closing.cancel_job(connection, job)
    [(kept,)] = rows(database, "select expires_at - finished_at = interval '60 seconds' from jobs")
    assert kept


def test_what_fails_again_keeps_all_its_attempts(connections: Connections, database: Engine, new_job: TakeIn) -> None:
    job = new_job(images=1)
    for _ in range(2):
        [batch] = let_in(connections, job)
        run_stage(connections, batch, lambda images, _: [Failed(images[0], NotAnImage())], lambda *_: None)
        with database.begin() as connection:
            assert closing.complete_jobs(connection) == [job]
            assert retry(connection, job) == 1
    assert rows(database, "select reason, attempt from attempts") == [("not_an_image", 1)] * 2


def test_a_job_that_is_opened_again_is_not_closed_by_who_looked_before(connections: Connections) -> None:
    """Closing and retrying at the same time: whoever is second sees what the first one did."""
    database = connections.database
    for _ in range(20):
        job = job_of(database, failed(database, "detection", "worker_lost"))
        with database.begin() as connection:
            connection.execute(text("update jobs set state = 'running', finished_at = null where id = :job"),
                               {"job": job})  # fmt: skip

        def again(job: UUID = job) -> None:
            with database.begin() as connection:
                assert delivery.hold_job(connection, job) is not None
                retry(connection, job)

        def close() -> None:
            with database.begin() as connection:
                closing.complete_jobs(connection)

        with ThreadPoolExecutor(3) as pool:
            for work in [pool.submit(close), pool.submit(again), pool.submit(close)]:
                work.result()
        assert rows(database, "select state from jobs where id = :job", job=job) == [(JobState.RUNNING,)]


# --- Paces -------------------------------------------------------------------------------------------------------


def test_paces_count_what_left_a_stage_and_what_ended_there(
    connections: Connections, database: Engine, new_job: TakeIn
) -> None:
    job = new_job(images=4)
    [batch] = let_in(connections, job)

    def ends(images, token):
        one, two, three, four = images
        return [Done(one), Done(two), Skipped(three, "no_face", "No face."), Failed(four, FetchFailed())]

    run_stage(connections, batch, ends, lambda *_: None)
    assert rows(database, "select stage, passed, ended from paces") == [("detection", 3, 1)]
    with Session(database) as session:
        lately = pace.of_jobs(session, [job, uuid4()])
    assert set(lately) == {job}
    assert set(lately[job].passed) == {Stage.DETECTION}
    assert lately[job].passed[Stage.DETECTION] == pytest.approx(3 * lately[job].ended)
    with database.connect() as connection:
        assert pace.of_service(connection) == {Stage.DETECTION: 3 / pace.SLOT_SECONDS}


def test_old_paces_are_not_counted_and_are_forgotten(
    connections: Connections, database: Engine, new_job: TakeIn
) -> None:
    job = new_job(images=1)
    with database.begin() as connection:
        connection.execute(text("insert into paces values (:job, 'scoring', now(), 5, 5)"), {"job": job})
        connection.execute(text("update paces set slot = slot - interval '10 minutes'"))
    with Session(database) as session:
        assert pace.of_jobs(session, [job]) == {}
    with database.begin() as connection:
        assert pace.of_service(connection) != {}
        assert forget_paces(connections) == 0
    with database.begin() as connection:
        connection.execute(text("update paces set slot = slot - interval '1 hour'"))
    assert forget_paces(connections) == 1


# --- What meets them ---------------------------------------------------------------------------------------------


def test_copies_of_an_image_that_failed_do_not_wait_for_each_other(database: Engine, new_job: TakeIn) -> None:
    new_job(images=4)
    with database.begin() as connection:
        connection.execute(text("update images set content_digest = '\\x01'"))
        waiting = reuse.on_the_way(connection, [1, 2, 3, 4])
        assert set(waiting) == {2, 3, 4}, "the first goes on"
        connection.execute(text("update images set state = 'failed' where id = 1"))
        assert reuse.on_the_way(connection, [2, 3, 4]) == {}
        connection.execute(text("update images set state = 'ready' where id = 1"))


def test_what_a_worker_takes_back_of_a_deleted_job_is_on_the_receipt(
    connections: Connections, database: Engine, new_job: TakeIn
) -> None:
    job = new_job(images=2)
    connections.objects.put(keys.original(job, uuid4()), b"of the client")
    [batch] = let_in(connections, job)

    def deleted_meanwhile(images, token):
        for image in images:
            connections.objects.put(keys.photo(job, image.id, token), b"photo")
        with database.begin() as connection:
            assert erase_job(connection, job, Order("local", "open", "request", 60))
        return [Done(image) for image in images]

    run_stage(connections, batch, deleted_meanwhile, lambda *_: None)
    assert rows(database, "select objects from deletions") == [(2,)]
    assert erase(connections) == 1
    assert rows(database, "select objects from deletions") == [(3,)]
    assert list(connections.objects.keys("jobs/")) == []
