"""The dispatcher: who is let in, and in which order."""

from collections.abc import Callable
from time import sleep
from uuid import UUID, uuid4

import pytest
from kombu import Message, Queue
from pydantic import SecretStr
from sqlalchemy import text

from shared.errors import BrokerUnavailable
from shared.jobs import delivery
from shared.jobs.delivery import Batch, record_attempts
from shared.jobs.moves import move
from shared.jobs.states import Priority, Stage
from shared.jobs.sweep import take_back_lost
from shared.pipeline.connections import Connections
from shared.pipeline.messages import send, waiting_messages
from shared.pipeline.stages import queue
from tests.integration.conftest import counters_are_exact
from workers.dispatcher import dispatch
from workers.dispatcher.dispatch import let_in, sweep, tick
from workers.dispatcher.lost import LostMessages
from workers.dispatcher.tidy import tidy

NewJob = Callable[..., UUID]


def with_settings(connections: Connections, **changes: object) -> Connections:
    settings = connections.settings.model_copy(update=changes)
    return Connections(settings, connections.database, connections.objects, connections.celery)


def in_flight(connections: Connections) -> dict[UUID, int]:
    with connections.database.connect() as connection:
        assert counters_are_exact(connection)
        rows = connection.execute(
            text("select job_id, count(*) from images where state = 'dispatched' group by job_id")
        )
        return {row.job_id: row.count for row in rows}


def messages(connections: Connections, priority: Priority = Priority.BULK) -> int:
    return waiting_messages(connections.broker, Stage.DETECTION, priority)


def test_a_big_job_does_not_hold_up_a_small_one(connections: Connections, new_job: NewJob) -> None:
    big, small = new_job(images=500), new_job(images=10)
    connections = with_settings(connections, window_images=64)
    assert let_in(connections) == 42
    assert in_flight(connections) == {big: 32, small: 10}, "they share the window"
    assert messages(connections) == 2 + 5, "full batches of the big job, and the small one spread over workers"
    assert let_in(connections) == 0, "the window is full"


def test_large_jobs_that_share_the_window_go_in_whole_batches(connections: Connections, new_job: NewJob) -> None:
    """Their parts of the window are 42 images: a batch of ten would take a GPU as long as one of sixteen."""
    jobs = [new_job(images=500) for _ in range(3)]
    connections = with_settings(connections, window_images=128)
    for _ in range(3):
        let_in(connections)
    assert in_flight(connections) == dict.fromkeys(jobs, 32)
    assert messages(connections) == 3 * 2


def test_as_many_may_wait_as_workers_are_at(connections: Connections, new_job: NewJob) -> None:
    """However many workers one job has, there is a batch for each that has done its own."""
    job = new_job(images=200)
    connections = with_settings(connections, window_images=16)
    for waiting in (16, 16, 32, 64):
        let_in(connections)
        assert in_flight(connections) == {job: waiting}
        with connections.database.begin() as connection:
            for row in connection.execute(
                text("select batch_id, array_agg(id) as ids from images where state = 'dispatched' group by batch_id")
            ).all():
                assert delivery.claim(connection, Batch(Stage.DETECTION, row.batch_id, tuple(row.ids)), uuid4(), 60)


def test_tenants_take_turns_before_jobs_do(
    connections: Connections, new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenant with many jobs does not hold up one with few, nor do full jobs hold up those behind them."""
    first, second, third = (new_job(images=20, tenant="many") for _ in range(3))
    other = new_job(images=20, tenant="few")
    monkeypatch.setattr(dispatch, "JOBS_A_ROUND", 2)
    connections = with_settings(connections, window_images=16)
    let_in(connections)
    assert in_flight(connections) == {first: 16, other: 16}
    let_in(connections)
    assert in_flight(connections) == {first: 16, other: 16, second: 16, third: 16}


def interactive(connections: Connections, job: UUID) -> None:
    with connections.database.begin() as connection:
        connection.execute(text("update jobs set priority = 'interactive' where id = :job"), {"job": job})


def test_what_somebody_waits_for_is_let_in_first_and_bulk_not_never(
    connections: Connections, new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk, *urgent = (new_job(images=20) for _ in range(4))
    for job in urgent:
        interactive(connections, job)
    monkeypatch.setattr(dispatch, "JOBS_A_ROUND", 2)
    connections = with_settings(connections, window_images=16)
    let_in(connections)
    assert in_flight(connections) == {urgent[0]: 16, bulk: 16}
    assert messages(connections) == messages(connections, Priority.INTERACTIVE) > 0


def test_a_worker_takes_from_both_queues_in_turn(connections: Connections, new_job: NewJob) -> None:
    """However many messages of bulk jobs wait, one of an interactive job is the next but one at the latest."""
    for _ in range(8):
        new_job(images=1)
    let_in(connections)
    urgent = {new_job(images=1) for _ in range(2)}
    for job in urgent:
        interactive(connections, job)
    let_in(connections)
    taken: list[str] = []
    with connections.celery.connection_for_read() as broker:
        channel = broker.channel()
        channel.basic_qos(0, 1, False)

        def take(body: object, message: Message) -> None:
            taken.append(message.delivery_info["routing_key"])
            message.ack()

        queues = [Queue(queue(Stage.DETECTION, priority)) for priority in Priority]
        with broker.Consumer(queues, callbacks=[take], channel=channel):
            while len(taken) < 10:
                broker.drain_events(timeout=5)
    assert taken.count("detection.interactive") == 2
    assert set(taken[:4]) == {"detection", "detection.interactive"}
    assert taken[:4].count("detection.interactive") == 2


def test_a_message_that_redis_forgot_is_sent_again(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=3)
    connections = with_settings(connections, lost_message_seconds=0.2)
    lost = LostMessages()
    let_in(connections)
    sleep(0.3)
    assert lost.take_back(connections) == 0, "the message waits in its queue"
    with connections.celery.connection_for_write() as broker:
        broker.default_channel.client.flushdb()
    assert lost.take_back(connections) == 0, "a worker may have just taken it"
    sleep(0.3)
    assert lost.take_back(connections) == 3
    assert let_in(connections) == 3
    assert in_flight(connections) == {job: 3}


def test_without_redis_nothing_is_let_in_and_finished_jobs_are_closed(
    connections: Connections, new_job: NewJob
) -> None:
    done = new_job(images=1)
    with connections.database.begin() as connection:
        connection.execute(text("update images set state = 'succeeded'"))
        connection.execute(text("update job_counts set state = 'succeeded'"))
    new_job(images=3)
    nobody = {"broker_url": SecretStr("redis://127.0.0.1:9/0")}
    with pytest.raises(BrokerUnavailable):
        tick(Connections.of(connections.settings.model_copy(update=nobody)))
    assert in_flight(connections) == {}
    with connections.database.connect() as connection:
        completed = connection.execute(text("select id from jobs where state = 'completed'")).scalars()
        assert list(completed) == [done]
    assert let_in(connections) == 3


def test_lost_messages_are_sent_again(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=3)
    impatient = with_settings(connections, dispatch_lease_seconds=0.01)
    let_in(impatient)
    with connections.database.connect() as connection:
        connection.execute(text("select pg_sleep(0.05)"))
    sweep(connections)
    assert in_flight(connections) == {}
    let_in(connections)
    assert in_flight(connections) == {job: 3}


def test_two_dispatchers_at_once_let_each_image_in_once(connections: Connections, new_job: NewJob) -> None:
    from concurrent.futures import ThreadPoolExecutor

    new_job(images=200)
    with ThreadPoolExecutor(4) as threads:
        admitted = sum(threads.map(lambda _: let_in(connections), range(4)))
    assert admitted == 200
    with connections.database.connect() as connection:
        batches = connection.execute(text("select count(distinct batch_id), count(*) from images")).one()
    assert batches[1] == 200
    assert messages(connections) == batches[0]


def test_what_lost_its_worker_is_tried_by_itself(connections: Connections, new_job: NewJob) -> None:
    """One that failed otherwise travels alone, but may be in hand beside others."""
    job = new_job(images=3)
    with connections.database.begin() as connection:
        [batch] = delivery.admit(connection, job, Stage.DETECTION, 16, 60)
        assert not batch.alone
        delivery.claim(connection, batch, uuid4(), 60)
        connection.execute(text("update images set lease_expires_at = now() - interval '1 s' where position = 0"))
        take_back_lost(connection, 4)
        failed = "update images set state = 'ready' where position = 1"
        move(connection, failed)
        record_attempts(connection, [(batch.image_ids[1], Stage.DETECTION, 1, "fetch_failed", None)])
        suspect, unlucky = delivery.admit(connection, job, Stage.DETECTION, 16, 60)
    assert (suspect.image_ids, suspect.alone) == (batch.image_ids[:1], True)
    assert (unlucky.image_ids, unlucky.alone) == (batch.image_ids[1:2], False)
    send(connections.celery, [suspect], Priority.BULK)
    with connections.celery.connection_for_read() as broker:
        message = broker.SimpleQueue(Queue(str(Stage.DETECTION))).get(timeout=5)
    assert message.payload[1] == {"batch_id": str(suspect.id), "image_ids": list(suspect.image_ids), "alone": True}


def test_finished_jobs_are_closed_and_tidied(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=1)
    states, original = f"jobs/{job}/states/x.safetensors", "o/0"
    for key in (states, original):
        connections.objects.put(key, b"content")
    with connections.database.begin() as connection:
        connection.execute(text("update images set state = 'succeeded', photo_key = 'p'"))
        connection.execute(text("update job_counts set state = 'succeeded'"))
    tick(connections)
    assert tidy(connections) == 1
    with connections.database.connect() as connection:
        row = connection.execute(text("select state, finished_at, tidied_at from jobs")).one()
    assert row.state == "completed"
    assert row.finished_at is not None
    assert row.tidied_at is not None
    assert list(connections.objects.keys("")) == []
