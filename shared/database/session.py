"""Connections to Postgres."""

import select
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import InvalidatePoolError

# A process computes or serves on a handful of threads; more connections would only wait in Postgres instead of here.
POOL_SIZE = 5
POOL_OVERFLOW = 10
# Something between us and the server may forget a connection that lies idle, and tell nobody.
RECYCLE_SECONDS = 300
# A server that went without a word, with its machine or its network, is given up after so long, instead of after hours.
GONE_SECONDS = 30


def connect(database_url: str) -> Engine:
    """An engine for `database_url` (postgresql+psycopg://...). Nothing is opened before the first use.

    Connections are looked at when they leave the pool, so that a restarted server costs nobody an error.
    """
    engine = create_engine(
        database_url,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_recycle=RECYCLE_SECONDS,
        connect_args={
            "connect_timeout": 10,
            "application_name": "facemem",
            "keepalives_idle": GONE_SECONDS // 3,
            "keepalives_interval": GONE_SECONDS // 3,
            "keepalives_count": 2,
            "tcp_user_timeout": GONE_SECONDS * 1000,
        },
    )
    event.listen(engine, "checkout", _refuse_ended)
    return engine


def _refuse_ended(connection: Any, *_: object) -> None:
    """Have the pool make a new connection where the server has ended this one.

    A server that goes says so on every connection; one that lies idle has nothing else to say. So nothing has to be
    asked, which would be one exchange more for every transaction.
    """
    if connection.closed or _has_something_to_read(connection):
        raise InvalidatePoolError("The server has ended this connection.")


def _has_something_to_read(connection: Any) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
