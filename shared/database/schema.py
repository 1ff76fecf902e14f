"""Which schema a database has, and whether this version can work with it.

Migrations add first and take away a version later (docs/upgrades.md). So a process works with a newer schema than its
own, and never with an older one.
"""

import structlog
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from shared.errors import PermanentError

log = structlog.get_logger()

# The last migration of this version. Revisions are four digits, and follow each other.
REVISION = "0007"
# Whoever holds the table of the revision is not waited for endlessly.
LOCK_TIMEOUT = "5s"


class SchemaTooOld(PermanentError):
    """The database has not had the migrations of this version yet.

    Run `python -m migrations` first, then start the processes of the new version: `docker compose up -d` does both in
    this order, and so does `facemem up`. docs/upgrades.md has the whole way.
    """

    code = "schema_too_old"


def found(connection: Connection) -> str | None:
    """The revision of a database's schema; None if it has no tables. Raises OperationalError where a migration holds
    it for long.
    """
    connection.execute(text(f"set local lock_timeout = '{LOCK_TIMEOUT}'"))
    if connection.execute(text("select to_regclass('alembic_version')")).scalar_one() is None:
        return None
    return connection.execute(text("select version_num from alembic_version")).scalar_one_or_none()


def is_newer(revision: str | None) -> bool:
    """Whether a schema belongs to a later version than this one."""
    return revision is not None and revision > REVISION


def check(database: Engine) -> None:
    """For the start of a process: whether it may work on this database. Raises SchemaTooOld.

    A database that is away is none of this function's business: a process that starts without it waits for it.
    """
    try:
        with database.connect() as connection:
            revision = found(connection)
    except SQLAlchemyError as error:
        log.warning("schema_not_checked", error=str(error).splitlines()[0])
        return
    if is_newer(revision):
        log.info("schema_newer", found=revision, known=REVISION)
    elif revision != REVISION:
        raise SchemaTooOld(f"The database has schema {revision or 'none'}, and this version needs {REVISION}.")
