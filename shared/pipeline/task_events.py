"""What workers tell Flower of their tasks: three events for each, sent together with those of its neighbours.

Celery sends each by itself: one exchange with Redis for each, which is much beside work that is quickly done.
"""

from time import monotonic
from typing import Any

from celery import bootsteps
from celery.worker.consumer import Consumer
from celery.worker.consumer.events import Events

TOGETHER_SECONDS = 0.5


class TaskEvents(bootsteps.StartStopStep):
    """A step of Celery's consumer: what happens within half a second is told at its end, in one message."""

    requires = (Events,)

    def __init__(self, consumer: Consumer, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._consumer = consumer
        self._due = 0.0

    def start(self, consumer: Consumer) -> None:
        """For each connection to the broker, because each has an event dispatcher of its own."""
        if consumer.hub and consumer.event_dispatcher:
            consumer.event_dispatcher.on_send_buffered = self._soon

    def shutdown(self, consumer: Consumer) -> None:
        """When the worker ends, and its last tasks have: they are told of now."""
        self._tell()

    def _soon(self) -> None:
        """Called for each event, in the thread where it happens."""
        now = monotonic()
        if now >= self._due:
            self._due = now + TOGETHER_SECONDS
            # Timers are for the thread of the event loop alone.
            self._consumer.hub.call_soon(self._consumer.hub.call_later, TOGETHER_SECONDS, self._tell)

    def _tell(self) -> None:
        if self._consumer.event_dispatcher:
            self._consumer.event_dispatcher.flush()
