"""Worker processes under the supervisor, with work that the test tells: who does nothing is started again."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from sqlalchemy import text

from services.local import supervisor as module
from services.local.supervisor import Process, Supervisor
from shared.jobs.states import Priority, Stage
from shared.pipeline.connections import Connections
from shared.pipeline.messages import waiting_messages
from shared.pipeline.stages import queue
from shared.pipeline.watchdog import STUCK, Watchdog
from shared.settings import Settings
from tests.relay import Relay
from workers.dispatcher.dispatch import let_in, sweep
from workers.dispatcher.lost import LostMessages

PATIENCE = 3.0
ONE_ANSWER: dict[str, Any] = {"reply": True, "limit": 1, "timeout": 5}  # without a limit each question takes the 5 s
WORKER = """
import sys, time
from pathlib import Path
from shared.jobs.states import Stage
from shared.pipeline.run_stage import Done
from shared.pipeline.worker import main

folder = Path({folder!r})

def work(images, token):
    {work}
    return [Done(image) for image in images]

main(Stage.DETECTION, lambda connections: (work, lambda connection, outcomes: None))
"""
QUEUES = [queue(Stage.DETECTION, priority) for priority in Priority]
RESTARTED = f"ended with exit status {STUCK}; starting again in 0.5 s"


class Workers:
    """Starts worker processes and knows what happened to them."""

    def __init__(self, supervisor: Supervisor, connections: Connections, folder: Path, events: list[tuple[str, str]]):
        self.supervisor, self.connections, self.folder, self.events = supervisor, connections, folder, events

    def start(self, work: str = "pass", name: str = "one", **settings: object) -> None:
        """A worker, which is ready when this returns. `work` is done with each batch before its images go on."""
        script = self.folder / f"{name}.py"
        script.write_text(WORKER.format(folder=str(self.folder), work=work))
        configured, heartbeat = self.connections.settings, self.folder / f"{name}.beat"
        environment = {
            "FACEMEM_DATABASE_URL": configured.database_url.get_secret_value(),
            "FACEMEM_BROKER_URL": configured.broker_url.get_secret_value(),
            "FACEMEM_STORAGE_URL": configured.storage_url,
            "FACEMEM_DEAF_WORKER_SECONDS": str(PATIENCE),
            "FACEMEM_HEARTBEAT_FILE": str(heartbeat),
            **{f"FACEMEM_{name.upper()}": str(value) for name, value in settings.items()},
        }
        argv = [sys.executable, str(script), "--name", name]
        self.supervisor.start(Process(name, argv, self.folder / f"{name}.log", environment, heartbeat=heartbeat))
        self.supervisor.keep_running()
        eventually(lambda: self.listening(name))

    def listening(self, name: str) -> bool:
        inspected = self.connections.celery.control.inspect(timeout=0.5).active_queues() or {}
        return any(worker.startswith(f"{name}@") and len(heard) == len(QUEUES) for worker, heard in inspected.items())

    def happened(self, name: str = "one") -> list[str]:
        return [what for who, what in self.events if who == name]


@pytest.fixture
def workers(connections: Connections, tmp_path: Path) -> Iterator[Workers]:
    events: list[tuple[str, str]] = []
    with Supervisor(lambda *event: events.append(event)) as supervisor:
        yield Workers(supervisor, connections, tmp_path, events)


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "it never came true"
        sleep(0.05)


def passed(connections: Connections) -> int:
    with connections.database.connect() as connection:
        return connection.execute(text("select count(*) from images where stage <> 'detection'")).scalar_one()


def test_a_deaf_worker_is_started_again_and_the_job_goes_on(
    workers: Workers, connections: Connections, new_job: Callable[..., UUID]
) -> None:
    workers.start()
    control = connections.celery.control
    for name in QUEUES:
        assert control.cancel_consumer(name, **ONE_ANSWER)
    new_job(images=20)
    let_in(connections)
    assert control.broadcast("ping", **ONE_ANSWER), "it answers, though it takes nothing"
    assert sum(waiting_messages(connections.broker, Stage.DETECTION, priority) for priority in Priority)
    eventually(lambda: RESTARTED in workers.happened())
    assert "deaf" in (workers.folder / "one.log").read_text()

    eventually(lambda: passed(connections) == 20)
    assert workers.happened().count(RESTARTED) == 1


def test_a_worker_deaf_to_one_of_its_queues_is_started_again(
    workers: Workers, connections: Connections, new_job: Callable[..., UUID]
) -> None:
    workers.start()
    assert connections.celery.control.cancel_consumer(queue(Stage.DETECTION, Priority.BULK), **ONE_ANSWER)
    new_job(images=1)
    let_in(connections)
    eventually(lambda: passed(connections) == 1)
    assert RESTARTED in workers.happened()


def test_a_worker_with_nothing_to_do_is_left_alone(workers: Workers, connections: Connections) -> None:
    workers.start()
    sleep(2.5 * PATIENCE)
    assert workers.happened() == ["starting"]


def test_a_busy_worker_is_left_alone_however_much_waits(
    workers: Workers, connections: Connections, new_job: Callable[..., UUID]
) -> None:
    """Each batch takes longer than a deaf worker is given, and other messages wait all the time."""
    workers.start(work=f"time.sleep({PATIENCE + 2})")
    for _ in range(6):
        new_job(images=1)
    let_in(connections)
    eventually(lambda: passed(connections) == 6)
    assert workers.happened() == ["starting"]


def test_a_worker_without_redis_is_left_alone_and_goes_on_with_it(
    workers: Workers, settings: Settings, connections: Connections, new_job: Callable[..., UUID]
) -> None:
    address = urlsplit(settings.broker_url.get_secret_value())
    with Relay((str(address.hostname), int(address.port or 0))) as relay:
        through = address._replace(netloc=f":{address.password}@127.0.0.1:{relay.port}").geturl()
        workers.start(broker_url=through)
        relay.shut()
        new_job(images=3)
        let_in(connections)
        sleep(2.5 * PATIENCE)
        assert workers.happened() == ["starting"]
        relay.open()
        # Celery tries again every few seconds, less often the longer it took; until then it is deaf, and may be ended.
        eventually(lambda: passed(connections) == 3)


def test_messages_that_neighbours_take_are_no_sign_of_deafness(settings: Settings, connections: Connections) -> None:
    impatient = settings.model_copy(update={"deaf_worker_seconds": 0.3})
    watchdog = Watchdog(Connections.of(impatient), Stage.DETECTION)
    waiting = QUEUES[0]
    connections.broker.lpush(waiting, *range(3))
    for number in range(3, 12):
        assert watchdog.deaf_to() is None
        connections.broker.rpop(waiting)  # a neighbour
        connections.broker.lpush(waiting, number)
        sleep(0.1)
    assert watchdog.deaf_to() is None
    eventually(lambda: watchdog.deaf_to() == waiting)
    with watchdog.at_work():
        assert watchdog.deaf_to() is None
    assert watchdog.deaf_to() is None, "it has just taken one"


def test_work_that_gets_on_is_not_stuck(settings: Settings) -> None:
    watchdog = Watchdog(Connections.of(settings.model_copy(update={"max_run_seconds": 0.4})), Stage.DETECTION)
    with watchdog.at_work() as getting_on:
        for _ in range(4):
            sleep(0.2)
            assert not watchdog.stuck()
            getting_on()
        with watchdog.at_work():
            eventually(watchdog.stuck)
        getting_on()
        assert not watchdog.stuck()
        eventually(watchdog.stuck)
    assert not watchdog.stuck(), "nothing is in hand"


def test_stuck_work_ends_its_worker_which_is_started_again(
    workers: Workers, connections: Connections, new_job: Callable[..., UUID]
) -> None:
    first_hangs = "seen = folder / 'seen'; hang = not seen.exists(); seen.touch(); hang and time.sleep(600)"
    workers.start(work=first_hangs, run_lease_seconds=1, max_run_seconds=2)
    new_job(images=1)
    let_in(connections)
    eventually(lambda: RESTARTED in workers.happened())

    def back_and_done() -> bool:
        sweep(connections)
        let_in(connections)
        return passed(connections) == 1

    eventually(back_and_done)


def test_a_frozen_worker_is_killed_and_started_again(
    workers: Workers, connections: Connections, new_job: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    workers.start()
    beat = workers.folder / "one.beat"
    eventually(beat.exists)
    monkeypatch.setattr(module, "SILENT_SECONDS", 4.0)
    os.kill(workers.supervisor.pids()["one"], signal.SIGSTOP)
    new_job(images=3)
    let_in(connections)
    eventually(lambda: "was ended by SIGKILL; starting again in 0.5 s" in workers.happened())
    assert workers.happened()[1] == "not heard of for 4 s; killed"
    lost = LostMessages()

    def back_and_done() -> bool:
        """What it had taken from Redis and not begun with is gone, as the dispatcher notices."""
        lost.take_back(connections)
        let_in(connections)
        return passed(connections) == 3

    eventually(back_and_done)
