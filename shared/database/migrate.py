"""Bringing a database to this version's schema."""

from importlib import resources

from alembic import command
from alembic.config import Config


def alembic_config(database_url: str) -> Config:
    """Alembic's configuration for a database, with the migrations of this installation."""
    config = Config()
    config.set_main_option("script_location", str(resources.files("migrations")))
    # Alembic reads % as the start of a reference; passwords may contain it.
    config.set_main_option("sqlalchemy.url", database_url.replace("%", "%%"))
    return config


def upgrade(database_url: str) -> None:
    """Run the migrations that this database has not had. With nothing to do, it does nothing."""
    command.upgrade(alembic_config(database_url), "head")
