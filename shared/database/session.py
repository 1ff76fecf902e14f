"""Connections to Postgres."""

from sqlalchemy import Engine, create_engine

# A process computes or serves on a handful of threads; more connections would only wait in Postgres instead of here.
POOL_SIZE = 5
POOL_OVERFLOW = 10


def connect(database_url: str) -> Engine:
    """An engine for `database_url` (postgresql+psycopg://...). Nothing is opened before the first use.

    Connections are tested when they leave the pool, so that a restarted server costs nobody an error.
    """
    return create_engine(
        database_url,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 10, "application_name": "facemem"},
    )
