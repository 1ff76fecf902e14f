"""Connections to Postgres."""

import select
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import InvalidatePoolError

# A process computes or serves on a handful of threads; more connections would only wait in Postgres instead of here.
POOL_SIZE = 5
POOL_OVERFLOW = 10
# Something between us and the server may forget a connection that lies idle, and tell nobody.
RECYCLE_SECONDS = 300
# A server that went without a word, with its machine or its network, is given up after so long, instead of after hours.
GONE_SECONDS = 30
CONNECT_SECONDS = 10


def application_name(process: str = "") -> str:
    """How connections are called in `pg_stat_activity`: `facemem VERSION PROCESS`. It tells what is at work on a
    database. Postgres keeps the first 63 bytes.
    """
    try:
        return f"facemem {version('facemem')} {process}".strip()
    except PackageNotFoundError:
        return "facemem"


def connect(
    database_url: str,
    process: str = "",
    *,
    connect_seconds: int = CONNECT_SECONDS,
    gone_seconds: int = GONE_SECONDS,
    by_index: bool = False,
) -> Engine:
    """An engine for `database_url` (postgresql+psycopg://...). Nothing is opened before the first use.

    process: what connects, as `WORK NAME`: the kind of work, and what tells this process from others of that kind.
    by_index: rows are found by an index wherever there is one, for those who only ever want a few.

    Connections are looked at when they leave the pool, so that a restarted server costs nobody an error.
    """
    engine = create_engine(
        database_url,
        # Names and captions are among the parameters, and errors end up in logs.
        hide_parameters=True,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_recycle=RECYCLE_SECONDS,
        connect_args={
            "connect_timeout": connect_seconds,
            "application_name": application_name(process),
            "keepalives_idle": gone_seconds // 3,
            "keepalives_interval": gone_seconds // 3,
            "keepalives_count": 2,
            "tcp_user_timeout": gone_seconds * 1000,
        },
    )
    if by_index:
        event.listen(engine, "connect", _find_by_index)
    event.listen(engine, "checkout", _refuse_ended)
    event.listen(engine, "handle_error", _drop_the_row)
    return engine


def autocommitting(database: Engine) -> Connection:
    """A connection whose every statement is a transaction of its own: one exchange with the server instead of three.
    For those that only look, or are all that there is to do. Use it as a context manager.
    """
    return database.connect().execution_options(isolation_level="AUTOCOMMIT")


def drop_the_row(error: psycopg.Error) -> str:
    """Have an error say no more than its first line, which is returned. Below it Postgres quotes the row, with names
    and captions in it; errors end up in logs.
    """
    said = f"{error.sqlstate}: {error.diag.message_primary}" if error.diag.message_primary else str(error)
    error.args = (said,)
    return said


def _drop_the_row(context: ExceptionContext) -> None:
    error = context.original_exception
    if isinstance(error, psycopg.Error) and context.sqlalchemy_exception is not None:
        context.sqlalchemy_exception.args = (drop_the_row(error),)


def _find_by_index(connection: psycopg.Connection, *_: object) -> None:
    """Plans are kept as long as a connection. One that was made while a table had a page reads the whole of it, and
    would do so until PostgreSQL has seen how large it has become: a minute, or more where a job is large.
    """
    connection.autocommit = True
    connection.execute("set enable_seqscan = off")
    connection.autocommit = False


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
