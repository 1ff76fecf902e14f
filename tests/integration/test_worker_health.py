import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, text

from shared.errors import CaptionerUnavailable, StorageUnavailable
from shared.jobs import delivery
from shared.jobs.health import Presence, dispatcher_problem, stage_problem, troubles
from shared.jobs.states import Stage
from shared.settings import Settings
from workers.health import SILENT_SECONDS, heartbeat_problem


def pass_time(connection: Connection, seconds: float) -> None:
    """Moves everything that has a time into the past."""
    ago = {"ago": seconds}
    connection.execute(text("update jobs set created_at = created_at - make_interval(secs => :ago)"), ago)
    connection.execute(text("update images set lease_expires_at = lease_expires_at - make_interval(secs => :ago)"), ago)
    connection.execute(text("update images set not_before = not_before - make_interval(secs => :ago)"), ago)


@pytest.fixture
def dispatched(database: Engine, settings: Settings, new_job: Callable[..., UUID]) -> list[delivery.Batch]:
    job = new_job(3)
    with database.begin() as connection:
        return delivery.admit(connection, job, Stage.DETECTION, 2, settings.dispatch_lease_seconds)


def test_an_idle_system_is_well(database: Engine, settings: Settings) -> None:
    with database.connect() as connection:
        assert dispatcher_problem(connection) is None
        assert all(stage_problem(connection, stage, settings) is None for stage in Stage)


def test_a_stage_that_takes_no_messages_is_not(
    database: Engine, settings: Settings, dispatched: list[delivery.Batch]
) -> None:
    with database.begin() as connection:
        assert stage_problem(connection, Stage.DETECTION, settings) is None  # it was only just sent
        pass_time(connection, 30)
        assert stage_problem(connection, Stage.DETECTION, settings) == (
            "2 images wait for detection and no worker is at work"
        )
        assert stage_problem(connection, Stage.SCORING, settings) is None
        assert dispatcher_problem(connection) is None


def test_a_stage_at_work_is_well_however_much_waits(
    database: Engine, settings: Settings, dispatched: list[delivery.Batch], new_job: Callable[..., UUID]
) -> None:
    other = new_job(1)
    with database.begin() as connection:
        pass_time(connection, 30)
        (batch,) = delivery.admit(connection, other, Stage.DETECTION, 1, settings.dispatch_lease_seconds)
        delivery.claim(connection, batch, uuid4(), settings.run_lease_seconds)

        assert stage_problem(connection, Stage.DETECTION, settings) is None


def test_a_dispatcher_that_does_not_let_jobs_in_is_not_well(database: Engine, new_job: Callable[..., UUID]) -> None:
    new_job()
    with database.begin() as connection:
        assert dispatcher_problem(connection) is None
        pass_time(connection, 30)
        assert dispatcher_problem(connection) == "1 jobs wait to be let in"


def test_a_dispatcher_that_does_not_take_lost_images_back_is_not_well(
    database: Engine, settings: Settings, dispatched: list[delivery.Batch]
) -> None:
    with database.begin() as connection:
        pass_time(connection, settings.dispatch_lease_seconds + 30)
        assert dispatcher_problem(connection) == "2 images are lost and were not taken back"


def test_an_image_waiting_for_its_next_attempt_is_no_fault_of_the_dispatcher(
    database: Engine, new_job: Callable[..., UUID]
) -> None:
    new_job(1)
    with database.begin() as connection:
        pass_time(connection, 30)
        connection.execute(text("update images set not_before = now() + interval '1 minute'"))
        assert dispatcher_problem(connection) is None


def test_troubles_are_what_stands_still_and_what_images_wait_for(
    database: Engine, settings: Settings, dispatched: list[delivery.Batch], new_job: Callable[..., UUID]
) -> None:
    presence = Presence(database)
    presence.renew()
    with database.begin() as connection:
        assert troubles(connection, settings) == []
        pass_time(connection, 30)
        new_job(2)
        waits = text("update images set reason = :reason, stage = :stage where id = (select max(id) from images) - :n")
        for number, (reason, stage) in enumerate(
            [("captioner_unavailable", Stage.CAPTIONING), ("storage_unavailable", Stage.DETECTION)]
        ):
            connection.execute(waits, {"reason": reason, "stage": stage, "n": number})
        found = troubles(connection, settings)
        assert [(error.code, error.detail) for error in found] == [
            ("stage_unattended", "Images wait for detection, and no worker takes them."),
            ("captioner_unavailable", f"Images wait at captioning: {CaptionerUnavailable.title()}"),
            ("storage_unavailable", f"Images wait at detection: {StorageUnavailable.title()}"),
        ]
        assert all(error.advice() for error in found)
        connection.execute(text("update jobs set state = 'paused'"))
        assert [error.code for error in troubles(connection, settings)] == ["stage_unattended"]


def test_images_that_wait_for_something_else_are_no_trouble(
    database: Engine, settings: Settings, new_job: Callable[..., UUID]
) -> None:
    new_job(1)
    Presence(database).renew()
    with database.begin() as connection:
        connection.execute(text("update images set reason = 'same_image'"))
        assert troubles(connection, settings) == []


def test_a_heartbeat_must_be_of_late(tmp_path: Path) -> None:
    file = tmp_path / "beat"
    assert heartbeat_problem(None) is None
    assert heartbeat_problem(file) is None
    file.touch()
    assert heartbeat_problem(file) is None
    long_ago = time.time() - SILENT_SECONDS - 5
    os.utime(file, (long_ago, long_ago))
    assert "not been heard of" in (heartbeat_problem(file) or "")


def test_the_heartbeat_alone_needs_no_database(tmp_path: Path, settings: Settings) -> None:
    file = tmp_path / "beat"
    file.touch()
    environment = {
        **os.environ,
        "FACEMEM_DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:9/none",
        "FACEMEM_BROKER_URL": "redis://127.0.0.1:9/0",
        "FACEMEM_STORAGE_URL": settings.storage_url,
        "FACEMEM_HEARTBEAT_FILE": str(file),
    }

    def asked(work: str) -> int:
        return subprocess.run([sys.executable, "-m", "workers.health", work], env=environment, check=False).returncode

    assert (asked("heartbeat"), asked("detection")) == (0, 1)
    os.utime(file, (1, 1))
    assert asked("heartbeat") == 1
