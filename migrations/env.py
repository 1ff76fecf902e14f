"""Run by Alembic: how migrations connect and what they may take."""

from alembic import context
from sqlalchemy import create_engine, text

from shared.database.tables import Table

# A migration that cannot get its lock gives way after this, instead of queueing in front of every worker.
LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "15min"
# Any number will do, as long as nothing else in this database takes the same one.
ONE_AT_A_TIME = 7_316_041


def run() -> None:
    """Upgrade the database that the caller's config names. Two at once: the second waits, and finds nothing to do."""
    engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "")
    with engine.connect() as connection:
        connection.execute(text("select pg_advisory_lock(:key)"), {"key": ONE_AT_A_TIME})
        connection.execute(text(f"set lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"set statement_timeout = '{STATEMENT_TIMEOUT}'"))
        connection.commit()
        context.configure(connection=connection, target_metadata=Table.metadata, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
