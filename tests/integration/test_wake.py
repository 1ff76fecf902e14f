"""The dispatcher hears of new work with its COMMIT."""

import threading
import time
from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Engine

from shared.jobs.wake import Notices, wake
from shared.pipeline.connections import Connections
from workers.dispatcher.dispatch import wait_for_work

LONG = 20.0


def waited(notices: Notices, seconds: float) -> float:
    began = time.monotonic()
    notices.wait(seconds)
    return time.monotonic() - began


def test_a_commit_wakes_and_a_rollback_does_not(database: Engine) -> None:
    notices = Notices(database)
    notices.wait(0.05)  # it listens from now on
    with database.connect() as connection:
        wake(connection)
        connection.rollback()
    assert waited(notices, 0.3) >= 0.25

    def work() -> None:
        time.sleep(0.1)
        with database.begin() as connection:
            wake(connection)

    threading.Thread(target=work).start()
    assert waited(notices, LONG) < LONG / 2


def test_what_came_between_two_waits_is_not_missed(database: Engine) -> None:
    notices = Notices(database)
    notices.wait(0.05)
    with database.begin() as connection:
        wake(connection)
    assert waited(notices, LONG) < LONG / 2


def test_a_broken_connection_is_replaced(database: Engine) -> None:
    notices = Notices(database)
    notices.wait(0.05)
    assert notices._connection is not None
    notices._connection.connection.driver_connection.close()  # type: ignore[union-attr]
    with pytest.raises(psycopg.Error):
        notices.wait(0.05)
    notices.wait(0.05)
    with database.begin() as connection:
        wake(connection)
    assert waited(notices, LONG) < LONG / 2


def test_while_no_job_is_open_only_notices_are_waited_for(
    connections: Connections, new_job: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.dispatcher.dispatch.NOTHING_OPEN_SECONDS", LONG)
    notices = Notices(connections.database)
    notices.wait(0.05)
    threading.Timer(0.5, new_job).start()
    began = time.monotonic()
    wait_for_work(connections, notices, 0.05)
    assert 0.4 < time.monotonic() - began < LONG / 2, "as long as until the notice"
    began = time.monotonic()
    wait_for_work(connections, notices, 0.05)
    assert time.monotonic() - began < LONG / 2, "a job is open"
