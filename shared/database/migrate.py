"""Bringing a database to this version's schema."""

from importlib import resources

import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError

from shared.database import schema
from shared.database.session import connect
from shared.errors import DatabaseUnavailable

log = structlog.get_logger()


def alembic_config(database_url: str) -> Config:
    """Alembic's configuration for a database, with the migrations of this installation."""
    config = Config()
    config.set_main_option("script_location", str(resources.files("migrations")))
    # Alembic reads % as the start of a reference; passwords may contain it.
    config.set_main_option("sqlalchemy.url", database_url.replace("%", "%%"))
    return config


def upgrade(database_url: str) -> None:
    """Run the migrations that this database has not had. With nothing to do, it does nothing.

    So it does where the database belongs to a newer version: what that added is of no concern to this one.

    Raises DatabaseUnavailable if the address is wrong, or the server away, too old or busy with a table we need.
    """
    try:
        found = _current(database_url)
        if schema.is_newer(found):
            log.info("schema_newer", found=found, known=schema.REVISION)
            return
        command.upgrade(alembic_config(database_url), "head")
    except (SQLAlchemyError, ImportError) as error:  # SQLAlchemy imports the driver that an address names
        raise DatabaseUnavailable(f"The database cannot be used: {str(error).splitlines()[0]}") from error


def move_empty(database_url: str, revision: str) -> None:
    """Bring a database without rows to the schema of this version or of an older one, from whichever it has.

    Raises DatabaseUnavailable.
    """
    try:
        found = _current(database_url)
        config = alembic_config(database_url)
        if found is None or found < revision:
            command.upgrade(config, revision)
        elif found > revision:
            command.downgrade(config, revision)
    except SQLAlchemyError as error:
        raise DatabaseUnavailable(f"The database cannot be used: {str(error).splitlines()[0]}") from error


def known(revision: str) -> bool:
    """Whether this version has the migration that leads to a schema."""
    scripts = ScriptDirectory.from_config(alembic_config(""))
    return revision in {script.revision for script in scripts.walk_revisions()}


def _current(database_url: str) -> str | None:
    database = connect(database_url)
    try:
        with database.connect() as connection:
            return schema.found(connection)
    finally:
        database.dispose()
