"""Redis as it is asked beside Celery: without much patience, because whoever asks can live with no answer."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from shared.errors import BrokerUnavailable
from shared.settings import Settings

ANSWER_SECONDS = 3.0
PROBE, PROBE_SECONDS = "facemem:probe", 60


def broker(settings: Settings) -> Redis:
    """A client of the Redis that the settings name. Nothing is connected yet; threads may share it."""
    return Redis.from_url(
        settings.broker_url.get_secret_value(),
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 1),  # a connection that broke while nobody used it
    )


def try_writing(client: Redis) -> None:
    """Raise a RedisError unless it takes what is sent. One that is full answers PING all the same."""
    client.set(PROBE, "", ex=PROBE_SECONDS)


@contextmanager
def asked() -> Iterator[None]:
    """Whatever goes wrong with Redis in this block is BrokerUnavailable."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise BrokerUnavailable(f"Redis does not answer, or takes no messages: {error}") from error
