"""Telling the dispatcher that there is something to let in, so that nobody waits for its next look.

A notice is part of the transaction that makes the work, and Postgres delivers it with the COMMIT. One that gets lost
costs a second at most: the dispatcher looks anyway.
"""

from sqlalchemy import Connection, Engine, text

from shared.database.session import autocommitting

CHANNEL = "facemem_work"


def wake(connection: Connection) -> None:
    """Wake dispatchers when this transaction is committed."""
    connection.execute(text(f"notify {CHANNEL}"))


class Notices:
    """One dispatcher's ear. It keeps a connection; if that breaks, it sleeps through one wait and takes another."""

    def __init__(self, database: Engine) -> None:
        self._database = database
        self._connection: Connection | None = None

    def wait(self, seconds: float) -> None:
        """Return at a notice, also one that came since the last call, or after so long.

        Raises SQLAlchemyError or psycopg.Error.
        """
        connection = self._listening()
        try:
            for _ in connection.connection.driver_connection.notifies(timeout=seconds, stop_after=1):  # type: ignore[union-attr]
                return
        except Exception:
            self._connection = None
            connection.invalidate()
            connection.close()
            raise

    def _listening(self) -> Connection:
        if self._connection is None:
            connection = autocommitting(self._database)
            connection.execute(text(f"listen {CHANNEL}"))
            self._connection = connection
        return self._connection
