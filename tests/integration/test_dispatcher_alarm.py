"""A dispatcher that is dead, stuck or frozen is seen in /readyz, and one that cannot go on is started again."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.engine import make_url

from services.api.factory import create_app
from services.local import supervisor as module
from services.local.postgres import SOCKET_NAME, Postgres
from services.local.supervisor import Process, Supervisor
from shared.jobs.health import Presence, dispatcher_silence
from shared.pipeline.connections import Connections
from shared.pipeline.watchdog import STUCK
from shared.settings import Settings
from tests.relay import Relay

SILENT = 3.0
RESTARTED = f"ended with exit status {STUCK}; starting again in 0.5 s"


class Dispatcher:
    """Starts a dispatcher process and knows what happened to it."""

    def __init__(self, supervisor: Supervisor, settings: Settings, folder: Path, events: list[str]) -> None:
        self.supervisor, self.settings, self.folder, self.events = supervisor, settings, folder, events

    def start(self, database_url: str | None = None) -> None:
        heartbeat = self.folder / "beat"
        environment = {
            "FACEMEM_DATABASE_URL": database_url or self.settings.database_url.get_secret_value(),
            "FACEMEM_BROKER_URL": self.settings.broker_url.get_secret_value(),
            "FACEMEM_STORAGE_URL": self.settings.storage_url,
            "FACEMEM_SILENT_DISPATCHER_SECONDS": str(SILENT),
            "FACEMEM_HEARTBEAT_FILE": str(heartbeat),
        }
        argv = [sys.executable, "-m", "workers.dispatcher"]
        log = self.folder / "dispatcher.log"
        self.supervisor.start(Process("dispatcher", argv, log, environment, heartbeat=heartbeat))
        self.supervisor.keep_running()


@pytest.fixture
def dispatcher(settings: Settings, tmp_path: Path) -> Iterator[Dispatcher]:
    events: list[str] = []
    with Supervisor(lambda name, happened: events.append(happened)) as supervisor:
        yield Dispatcher(supervisor, settings, tmp_path, events)


@pytest.fixture
def client(settings: Settings) -> Iterator[FlaskClient]:
    app = create_app(settings.model_copy(update={"silent_dispatcher_seconds": SILENT}))
    yield app.test_client()
    app.extensions["facemem"].database.dispose()


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "it never came true"
        sleep(0.05)


def degraded(client: FlaskClient) -> list[str]:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    return [each["code"] for each in answer.get_json()["degraded"]]


def well(client: FlaskClient) -> bool:
    return client.get("/readyz").get_json()["status"] == "ok"


def test_one_that_is_not_there_is_missed_until_it_is(client: FlaskClient, dispatcher: Dispatcher) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "degraded")
    [missed] = answer.get_json()["degraded"]
    assert missed["code"] == "dispatcher_silent"
    assert "No dispatcher is connected" in missed["detail"]
    assert "nothing new is let in" in missed["advice"]
    dispatcher.start()
    eventually(lambda: well(client))


def test_one_whose_round_does_not_end_ends_itself(
    client: FlaskClient, dispatcher: Dispatcher, connections: Connections
) -> None:
    dispatcher.start()
    eventually(lambda: well(client))
    with connections.database.begin() as connection:
        connection.execute(text("lock table job_counts in access exclusive mode"))  # letting in begins with it
        eventually(lambda: "dispatcher_silent" in degraded(client))
        eventually(lambda: RESTARTED in dispatcher.events)
    assert "stuck" in (dispatcher.folder / "dispatcher.log").read_text()
    eventually(lambda: well(client))


def test_one_that_is_frozen_is_missed_and_killed(
    client: FlaskClient, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_SECONDS", SILENT + 3)
    dispatcher.start()
    eventually(lambda: well(client))
    os.kill(dispatcher.supervisor.pids()["dispatcher"], signal.SIGSTOP)
    eventually(lambda: degraded(client) == ["dispatcher_silent"])
    eventually(lambda: "was ended by SIGKILL; starting again in 0.5 s" in dispatcher.events)
    eventually(lambda: well(client))


def test_one_without_its_database_is_left_alone_and_goes_on_with_it(
    client: FlaskClient, dispatcher: Dispatcher, postgres_server: Postgres
) -> None:
    with Relay(str(postgres_server.sockets / SOCKET_NAME)) as relay:
        url = make_url(dispatcher.settings.database_url.get_secret_value())
        through = url.set(host="127.0.0.1", port=relay.port, query={}).render_as_string(hide_password=False)
        dispatcher.start(through)
        eventually(lambda: well(client))
        relay.shut()
        eventually(lambda: degraded(client) == ["dispatcher_silent"])
        sleep(2.5 * SILENT)
        assert dispatcher.events == ["starting"]
        relay.open()
        eventually(lambda: well(client))
        assert dispatcher.events == ["starting"]


def test_of_two_one_is_enough(connections: Connections) -> None:
    first, second = Presence(connections.database), Presence(connections.database)
    with connections.database.connect() as connection:
        assert dispatcher_silence(connection) is None
        first.renew()
        second.renew()
        connection.rollback()
        assert dispatcher_silence(connection) < SILENT
        connection.execute(
            text("""
                select pg_terminate_backend(pid) from pg_stat_activity
                where application_name = :name and datname = current_database() order by pid limit 1
            """),
            {"name": Presence.NAME},
        )
        eventually(lambda: len(shown(connection)) == 1)
        assert dispatcher_silence(connection) is not None


def shown(connection) -> list[int]:
    connection.rollback()  # a transaction sees who is connected as it was at first
    query = text("select pid from pg_stat_activity where application_name = :name and datname = current_database()")
    return list(connection.execute(query, {"name": Presence.NAME}).scalars())
