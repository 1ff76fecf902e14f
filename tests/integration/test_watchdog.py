"""Worker processes under the supervisor, with work that the test tells: who does nothing is started again."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from services.local import supervisor as module
from shared.jobs.states import Priority, Stage
from shared.pipeline import watchdog as watching
from shared.pipeline.connections import Connections
from shared.pipeline.messages import waiting_messages
from shared.pipeline.stages import queue
from shared.pipeline.watchdog import EVENT_LOOP, STUCK, Watchdog, beat
from shared.settings import Settings
from tests.integration.worker_processes import PATIENCE, QUEUES, Workers, eventually, passed
from tests.relay import Relay
from workers.dispatcher.dispatch import let_in, sweep
from workers.dispatcher.lost import LostMessages

ONE_ANSWER: dict[str, Any] = {"reply": True, "limit": 1, "timeout": 5}  # without a limit each question takes the 5 s
RESTARTED = f"ended with exit status {STUCK}; starting again in 0.5 s"


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


def test_a_worker_whose_event_loop_stands_still_is_started_again_while_its_neighbour_takes_everything(
    workers: Workers, connections: Connections, new_job: Callable[..., UUID]
) -> None:
    workers.start()
    workers.start(name="two")
    os.kill(workers.supervisor.pids()["one"], signal.SIGUSR2)
    new_job(images=5)
    let_in(connections)
    eventually(lambda: RESTARTED in workers.happened())
    log = (workers.folder / "one.log").read_text()
    assert EVENT_LOOP in log
    assert "<lambda>" in log, "where its threads stood is not told"
    assert workers.happened("two") == ["starting"]


def test_an_event_loop_that_turns_is_no_sign_of_deafness(
    settings: Settings, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "HEARTBEAT_SECONDS", 0.1)
    impatient = settings.model_copy(update={"deaf_worker_seconds": 0.3})
    watchdog = Watchdog(Connections.of(impatient), Stage.DETECTION)
    for _ in range(8):
        watchdog.event_loop_turns()
        assert watchdog.deaf_to() is None
        sleep(0.1)
    eventually(lambda: watchdog.deaf_to() == EVENT_LOOP)
    with watchdog.at_work():
        assert watchdog.deaf_to() is None, "it may be stopping, and waits for its batches"


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


def test_a_heartbeat_that_cannot_be_written_ends_nobody(tmp_path: Path) -> None:
    beat(tmp_path / "not there" / "beat")


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
