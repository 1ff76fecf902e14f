"""Bringing a database to this version's schema."""

from importlib import resources

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import SQLAlchemyError

from shared.errors import DatabaseUnavailable


def alembic_config(database_url: str) -> Config:
    """Alembic's configuration for a database, with the migrations of this installation."""
    config = Config()
    config.set_main_option("script_location", str(resources.files("migrations")))
    # Alembic reads % as the start of a reference; passwords may contain it.
    config.set_main_option("sqlalchemy.url", database_url.replace("%", "%%"))
    return config


def upgrade(database_url: str) -> None:
    """Run the migrations that this database has not had. With nothing to do, it does nothing.

    Raises DatabaseUnavailable if the address is wrong, or the server away, too old or busy with a table we need.
    """
    try:
        command.upgrade(alembic_config(database_url), "head")
    except (SQLAlchemyError, ImportError) as error:  # SQLAlchemy imports the driver that an address names
        raise DatabaseUnavailable(f"The database cannot be used: {str(error).splitlines()[0]}") from error
