"""The messages in Redis, in the hands of the test: each may be delivered late, twice, or never."""

import json
from base64 import b64decode
from uuid import UUID

import redis

from shared.jobs.delivery import Batch
from shared.jobs.states import Stage
from shared.pipeline.stages import PLANS, QUEUES

_STAGES = {plan.task: stage for stage, plan in PLANS.items()}


class Mailbox:
    """Takes what was sent out of the broker's queues at once."""

    def __init__(self, broker_url: str) -> None:
        self._redis = redis.Redis.from_url(broker_url)
        self.sent: list[Batch] = []
        self.waiting: list[Batch] = []  # nobody has had them yet

    def empty(self) -> None:
        """Forget everything."""
        self.fetch()
        self.sent.clear()
        self.waiting.clear()

    def close(self) -> None:
        """End the connection."""
        self._redis.close()

    def fetch(self) -> None:
        """Take all queues' messages, in the order in which they were sent."""
        with self._redis.pipeline() as pipe:
            for name in QUEUES:
                pipe.lrange(name, 0, -1)
            pipe.delete(*QUEUES)
            queues = pipe.execute()[:-1]
        for queue in queues:
            batches = [self._read(message) for message in reversed(queue)]
            self.sent += batches
            self.waiting += batches

    def take(self, which: int, *, again: bool) -> Batch | None:
        """A message that nobody had yet, or any; the same one may be taken again later. None if there is none."""
        self.fetch()
        if again:
            return self.sent[which % len(self.sent)] if self.sent else None
        return self.waiting.pop(which % len(self.waiting)) if self.waiting else None

    @staticmethod
    def _read(message: bytes) -> Batch:
        envelope = json.loads(message)
        _, arguments, _ = json.loads(b64decode(envelope["body"]))
        stage: Stage = _STAGES[envelope["headers"]["task"]]
        return Batch(stage, UUID(arguments["batch_id"]), tuple(arguments["image_ids"]))
