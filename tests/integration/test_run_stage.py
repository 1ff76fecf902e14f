"""The frame around every stage's work, on real Postgres and Redis, with work that only decides."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from shared.errors import FetchFailed, NotAnImage, ObjectMissing, StorageUnavailable
from shared.jobs import closing, delivery, sweep
from shared.jobs.delivery import Batch, ClaimedImage
from shared.jobs.states import Stage
from shared.pipeline.connections import Connections
from shared.pipeline.lease import renewed
from shared.pipeline.run_stage import Done, Failed, Finished, Later, Outcome, Saved, Skipped, run_stage
from shared.pipeline.watchdog import STUCK
from shared.settings import Settings
from tests.integration.conftest import counters_are_exact

NewJob = Callable[..., UUID]


def let_in(connections: Connections, job: UUID) -> list[Batch]:
    with connections.database.begin() as connection:
        return delivery.admit(connection, job, Stage.DETECTION, 16, 60)


def images(connections: Connections) -> list[tuple[str, str, str | None]]:
    with connections.database.connect() as connection:
        assert counters_are_exact(connection)
        rows = connection.execute(text("select stage, state, reason from images order by id"))
        return [tuple(row) for row in rows]


def waiting_messages(connections: Connections, stage: Stage) -> int:
    with connections.celery.connection_for_write() as broker:
        return broker.default_channel.client.llen(str(stage))


def no_output(connection: Connection, outcomes: list[Saved]) -> None:
    """A stage that writes nothing."""


def test_each_image_gets_its_own_end(connections: Connections, new_job: NewJob) -> None:
    [batch] = let_in(connections, new_job(images=4))
    saved: list[int] = []

    def work(claimed: list[ClaimedImage], token: UUID) -> list[Outcome]:
        good, faceless, broken, unlucky = claimed
        return [
            Done(good),
            Skipped(faceless, "no_face", "No face."),
            Failed(broken, NotAnImage()),
            Failed(unlucky, FetchFailed()),
        ]

    def save(connection: Connection, outcomes: list[Saved]) -> None:
        saved.extend(outcome.image.id for outcome in outcomes)

    run_stage(connections, batch, work, save)
    assert images(connections) == [
        ("captioning", "dispatched", None),
        ("detection", "skipped", "no_face"),
        ("detection", "failed", "not_an_image"),
        ("detection", "ready", "fetch_failed"),
    ]
    assert saved == list(batch.image_ids[:2])
    assert waiting_messages(connections, Stage.CAPTIONING) == 1
    with connections.database.connect() as connection:
        reasons = connection.execute(text("select reason from attempts order by image_id")).scalars().all()
    assert reasons == ["not_an_image", "fetch_failed"]


def test_work_that_breaks_is_tried_again_one_by_one(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=3)
    [batch] = let_in(connections, job)
    poison = batch.image_ids[1]

    def work(claimed: list[ClaimedImage], token: UUID) -> list[Outcome]:
        if any(image.id == poison for image in claimed):
            raise RuntimeError("this image breaks us")
        return [Done(image) for image in claimed]

    run_stage(connections, batch, work, no_output)
    assert [state for _, state, _ in images(connections)] == ["ready"] * 3
    for _ in range(connections.settings.max_attempts):
        with connections.database.begin() as connection:
            connection.execute(text("update images set not_before = null"))
        for again in let_in(connections, job):
            assert len(again.image_ids) == 1
            run_stage(connections, again, work, no_output)
    assert [(state, reason) for _, state, reason in images(connections)] == [
        ("dispatched", None),
        ("failed", "internal_error"),
        ("dispatched", None),
    ]


def test_a_missing_object_fails_its_own_image_only(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=2)
    [batch] = let_in(connections, job)
    orphan = batch.image_ids[0]

    def work(claimed: list[ClaimedImage], token: UUID) -> list[Outcome]:
        if any(image.id == orphan for image in claimed):
            raise ObjectMissing("its crop is gone")
        return [Done(image) for image in claimed]

    run_stage(connections, batch, work, no_output)
    with connections.database.begin() as connection:
        connection.execute(text("update images set not_before = null"))
    for again in let_in(connections, job):
        run_stage(connections, again, work, no_output)
    assert [(state, reason) for _, state, reason in images(connections)] == [
        ("failed", "object_missing"),
        ("dispatched", None),
    ]


def test_nothing_is_saved_for_images_that_were_taken_away(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=2)
    [batch] = let_in(connections, job)
    saved: list[Saved] = []

    def work(claimed: list[ClaimedImage], token: UUID) -> list[Outcome]:
        with connections.database.begin() as connection:
            closing.cancel_job(connection, job)
        return [Done(image) for image in claimed]

    run_stage(connections, batch, work, lambda _, outcomes: saved.extend(outcomes))
    assert saved == []
    assert [state for _, state, _ in images(connections)] == ["cancelled"] * 2
    assert waiting_messages(connections, Stage.CAPTIONING) == 0


def test_a_failed_save_leaves_no_half(connections: Connections, new_job: NewJob) -> None:
    [batch] = let_in(connections, new_job(images=2))

    def save(connection: Connection, outcomes: list[Saved]) -> None:
        connection.execute(text("update images set name = 'half'"))
        raise OperationalError("update", {}, ConnectionError("Postgres went away"))

    with pytest.raises(OperationalError):
        run_stage(connections, batch, lambda claimed, _: [Done(image) for image in claimed], save)
    assert [state for _, state, _ in images(connections)] == ["running"] * 2
    with connections.database.connect() as connection:
        assert connection.execute(text("select count(*) from images where name = 'half'")).scalar_one() == 0


def test_outputs_that_cannot_be_written_fail_their_images(connections: Connections, new_job: NewJob) -> None:
    [batch] = let_in(connections, new_job(images=1))

    def save(connection: Connection, outcomes: list[Saved]) -> None:
        if outcomes:
            connection.execute(text("select 1 / 0"))

    run_stage(connections, batch, lambda claimed, _: [Done(image) for image in claimed], save)
    assert images(connections) == [("detection", "ready", "internal_error")]


def test_an_outage_costs_no_attempt(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=2)

    def work(claimed: list[ClaimedImage], token: UUID) -> list[Outcome]:
        raise StorageUnavailable

    for _ in range(connections.settings.max_attempts + 2):
        with connections.database.begin() as connection:
            connection.execute(text("update images set not_before = null"))
        [batch] = let_in(connections, job)
        assert len(batch.image_ids) == 2, "nobody is to blame, so nobody travels alone"
        run_stage(connections, batch, work, no_output)
    assert images(connections) == [("detection", "ready", "storage_unavailable")] * 2


def test_what_waits_for_a_neighbour_loses_no_attempt(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=2)
    for _ in range(connections.settings.max_attempts + 1):
        with connections.database.begin() as connection:
            connection.execute(text("update images set not_before = null"))
        [batch] = let_in(connections, job)
        assert len(batch.image_ids) == 2
        run_stage(
            connections,
            batch,
            lambda claimed, _: [Later(each, 60, "same_image", "It waits.") for each in claimed],
            no_output,
        )
        assert let_in(connections, job) == [], "not before its time"
    assert images(connections) == [("detection", "ready", "same_image")] * 2
    with connections.database.connect() as connection:
        assert connection.execute(text("select count(*) from attempts")).scalar_one() == 0


def test_what_is_finished_skips_the_rest_of_the_journey(connections: Connections, new_job: NewJob) -> None:
    [batch] = let_in(connections, new_job(images=1))
    saved: list[Saved] = []
    run_stage(
        connections,
        batch,
        lambda claimed, _: [Finished(each, "all of it") for each in claimed],
        lambda _, outcomes: saved.extend(outcomes),
    )
    assert images(connections) == [("scoring", "succeeded", None)]
    assert [each.output for each in saved] == ["all of it"]
    assert waiting_messages(connections, Stage.CAPTIONING) == 0


def test_what_goes_on_stays_together(connections: Connections, new_job: NewJob) -> None:
    [batch] = let_in(connections, new_job(images=6))
    run_stage(connections, batch, lambda claimed, _: [Done(image) for image in claimed], no_output)
    assert waiting_messages(connections, Stage.CAPTIONING) == 1


def test_what_is_done_of_slow_work_goes_on_before_the_rest(
    connections: Connections, new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.pipeline.run_stage.SAVE_SECONDS", 0)
    [batch] = let_in(connections, new_job(images=2))
    seen = []

    def work(claimed: list[ClaimedImage], _: UUID) -> Iterator[Done]:
        for image in claimed:
            seen.append(images(connections))
            yield Done(image)

    run_stage(connections, batch, work, no_output)
    assert seen[1] == [("captioning", "dispatched", None), ("detection", "running", None)]
    assert waiting_messages(connections, Stage.CAPTIONING) == 2


def test_stuck_work_ends_its_process(settings: Settings, new_job: NewJob, connections: Connections) -> None:
    [batch] = let_in(connections, new_job(images=1))
    code = f"""
import time
from uuid import UUID
from shared.jobs.delivery import Batch
from shared.jobs.states import Stage
from shared.pipeline import lease
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import run_stage
from shared.pipeline.watchdog import Watchdog
from shared.settings import Settings

settings = Settings(
    database_url={settings.database_url.get_secret_value()!r}, broker_url={settings.broker_url.get_secret_value()!r},
    storage_url={settings.storage_url!r}, run_lease_seconds=0.3, max_run_seconds=0.5)
connections = Connections.of(settings)
watchdog = Watchdog(connections, Stage.DETECTION)
watchdog.start()
lease._thread.start_new_thread = lambda *_: 0  # memory was too short for it
with watchdog.at_work() as getting_on:
    run_stage(connections, Batch(Stage.DETECTION, UUID("{batch.id}"), {batch.image_ids}),
        lambda images, token: time.sleep(60), lambda connection, outcomes: None, getting_on)
"""
    stuck = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=30)
    assert stuck.returncode == STUCK, stuck.stderr
    assert images(connections) == [("detection", "running", None)]


def test_work_begins_where_memory_is_too_short_for_another_thread(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start of a thread that came to nothing before it could say so is waited for without an end."""
    monkeypatch.setattr(threading.Thread, "_bootstrap", lambda _: None)
    with renewed(connections, [1], uuid4()):
        pass


def test_a_lease_is_renewed_while_the_work_runs(connections: Connections, new_job: NewJob) -> None:
    brief = connections.settings.model_copy(update={"run_lease_seconds": 0.3})
    connections = Connections(brief, connections.database, connections.objects, connections.celery)
    [batch] = let_in(connections, new_job(images=1))

    def work(claimed: list[ClaimedImage], token: UUID) -> list[Outcome]:
        with connections.database.connect() as connection:
            connection.execute(text("select pg_sleep(1)"))
            connection.rollback()
            assert len(sweep.take_back_lost(connection, 3)) == 0
        return [Done(image) for image in claimed]

    run_stage(connections, batch, work, no_output)
    assert [state for _, state, _ in images(connections)] == ["dispatched"]


def test_a_message_for_nothing_does_nothing(connections: Connections, new_job: NewJob) -> None:
    def work(claimed: list[ClaimedImage], token: UUID) -> list[Outcome]:
        raise AssertionError("there is nothing to work on")

    run_stage(connections, Batch(Stage.DETECTION, uuid4(), (1, 2, 3)), work, no_output)
