"""What workers tell Flower: all of their tasks, many in one message, and the last ones before they end."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os import kill
from typing import Any
from uuid import UUID

from kombu import Consumer
from kombu.message import Message

from shared.pipeline.connections import Connections
from tests.integration.worker_processes import Workers, eventually, passed
from workers.dispatcher.dispatch import let_in

IMAGES = 100  # fewer than may be on their way
Event = dict[str, Any]


@contextmanager
def told(connections: Connections) -> Iterator[list[list[Event]]]:
    """The messages about tasks that workers send to Flower as long as the block lasts."""
    messages: list[list[Event]] = []
    over = threading.Event()

    def note(message: Message) -> None:
        said = message.payload if isinstance(message.payload, list) else [message.payload]
        if said[0]["type"].startswith("task-"):
            messages.append(said)

    with connections.celery.connection_for_read() as connection:
        queue = connections.celery.events.Receiver(connection).queue
        with Consumer(connection, queues=[queue], on_message=note, accept=["json"], no_ack=True):

            def listen() -> None:
                while not over.is_set():
                    with suppress(TimeoutError):
                        connection.drain_events(timeout=0.1)

            thread = threading.Thread(target=listen)
            thread.start()
            try:
                yield messages
            finally:
                over.set()
                thread.join()


def tasks(messages: list[list[Event]], kind: str) -> set[str]:
    return {event["uuid"] for message in messages for event in message if event["type"] == kind}


def all_told(messages: list[list[Event]]) -> bool:
    received = tasks(messages, "task-received")
    return bool(received) and received == tasks(messages, "task-started") == tasks(messages, "task-succeeded")


def test_events_travel_together(workers: Workers, connections: Connections, new_job: Callable[..., UUID]) -> None:
    workers.start()
    with told(connections) as messages:
        new_job(images=IMAGES)
        while passed(connections) < IMAGES:
            let_in(connections)
        eventually(lambda: all_told(messages))
    assert sum(map(len, messages)) == 3 * len(tasks(messages, "task-received")), "none comes twice"
    assert len(messages) < len(tasks(messages, "task-received"))


def test_a_worker_that_is_told_to_stop_tells_of_its_last_tasks(
    workers: Workers, connections: Connections, new_job: Callable[..., UUID]
) -> None:
    workers.start()
    with told(connections) as messages:
        new_job(images=3)
        let_in(connections)
        eventually(lambda: passed(connections) == 3)
        kill(workers.supervisor.pids()["one"], signal.SIGTERM)
        eventually(lambda: all_told(messages), seconds=10)
