"""While a backup is made, nothing is removed only because it is not needed any more.

A backup keeps the rows as they were when it began, and copies what they name one by one. Meanwhile a job may end: its
originals, which nobody needs then, are what the rows of the backup go on from. What clients delete goes at once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

from shared.database.session import autocommitting

_LOCK = "hashtextextended('keeping', 0)"


@contextmanager
def everything_kept(database: Engine) -> Iterator[None]:
    """Until the end of the block nothing is removed like that. Waits for what is just being removed, and for another
    backup.
    """
    with _own(database) as connection:
        connection.execute(text(f"select pg_advisory_lock({_LOCK})"))
        try:
            yield
        finally:
            # Had the connection ended meanwhile, and the lock with it, this raises: what was copied may lack something.
            connection.execute(text(f"select pg_advisory_unlock({_LOCK})"))


def unless_kept(database: Engine, one_round: Callable[[], int]) -> int:
    """Do a round that removes what is not needed any more, or nothing while a backup is made."""
    with _own(database) as connection:
        if not connection.execute(text(f"select pg_try_advisory_lock_shared({_LOCK})")).scalar_one():
            return 0
        try:
            return one_round()
        finally:
            connection.execute(text(f"select pg_advisory_unlock_shared({_LOCK})"))


@contextmanager
def _own(database: Engine) -> Iterator[Connection]:
    """A connection whose locks last beyond transactions; if it breaks it is not used again, and they go with it."""
    with autocommitting(database) as connection:
        try:
            yield connection
        except BaseException:
            connection.invalidate()
            raise
