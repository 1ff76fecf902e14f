"""Waiting for something, though servers may be away meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep

import psutil
import psycopg
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from services.client import ApiError, Unreachable

AWAY = (SQLAlchemyError, RedisError, psycopg.Error, psutil.Error)  # what a server that is killed answers to us
LOOK_SECONDS = 0.02


class Missed(Exception):
    """What was to be done to something on its way came too late each time it was tried: nothing was shown by it."""


def until(happened: Callable[[], bool], seconds: float) -> bool:
    """Wait for something. False if it did not happen in time. A server that is away does not tell."""
    deadline = monotonic() + seconds
    while monotonic() < deadline:
        with suppress(*AWAY):
            if happened():
                return True
        sleep(LOOK_SECONDS)
    return False


def is_away(error: ApiError | Unreachable) -> bool:
    """Whether a client could see, or was told, that the API or a part of it is away: its request may be well."""
    return isinstance(error, Unreachable) or error.status >= 500


@contextmanager
def though_away() -> Iterator[None]:
    """Go on where the API is away, also where it was so for longer than the client tries."""
    try:
        yield
    except (ApiError, Unreachable) as error:
        if not is_away(error):
            raise
