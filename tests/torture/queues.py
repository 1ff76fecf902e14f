"""The messages in Redis: those that wait, and those that somebody has taken."""

import redis

from shared.pipeline.celery_app import build
from shared.pipeline.stages import QUEUES
from tests.torture.patience import until

UNACKED, UNACKED_SINCE, RESTORING = "unacked", "unacked_index", "unacked_mutex"  # as kombu calls them


def waiting(broker: redis.Redis) -> int:
    """Messages in the queues."""
    return sum(broker.llen(name) for name in QUEUES)


def in_hands(broker: redis.Redis) -> int:
    """Messages that workers have and did not acknowledge; those of killed ones among them."""
    return broker.hlen(UNACKED)


def drained(broker: redis.Redis, broker_url: str, seconds: float) -> bool:
    """Whether Redis comes to hold no message, once the time for which dead workers keep theirs has passed."""
    with build(broker_url).connection_for_read() as connection:
        restore = connection.default_channel.qos.restore_visible
        broker.delete(RESTORING)  # one that was killed while it did this keeps others from it for minutes

        def over() -> bool:
            since: list[bytes] = broker.zrange(UNACKED_SINCE, 0, -1)  # type: ignore[assignment]
            for message in since:
                broker.zadd(UNACKED_SINCE, {message: 0}, xx=True)
            restore(interval=1)  # workers do that too, but seldom
            return not waiting(broker) and not in_hands(broker)

        return until(over, seconds)
