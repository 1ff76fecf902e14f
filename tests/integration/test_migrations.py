"""The migrations build exactly the schema of the tables."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine, text

from shared.database import schema
from shared.database.migrate import alembic_config, upgrade
from shared.database.tables import Table
from shared.errors import DatabaseUnavailable

# Everything of a schema that matters, as Postgres itself prints it.
DESCRIPTION = """
    select 'column', table_name, column_name, data_type || coalesce(' ' || udt_name, ''), is_nullable,
        coalesce(column_default, '') || coalesce(identity_generation, '')
    from information_schema.columns where table_schema = 'public' and table_name <> 'alembic_version'
    union all
    select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', ''
    from pg_constraint where connamespace = 'public'::regnamespace and conrelid::regclass::text <> 'alembic_version'
    union all
    select 'index', tablename, indexname, indexdef, '', ''
    from pg_indexes where schemaname = 'public' and tablename <> 'alembic_version'
"""


def described(url: str) -> set[tuple[str, ...]]:
    with create_engine(url).connect() as connection:
        return {tuple(row) for row in connection.execute(text(DESCRIPTION))}


def test_migrations_build_the_tables(create_database) -> None:
    migrated, created = create_database(None), create_database(None)
    upgrade(migrated)
    Table.metadata.create_all(create_engine(created))
    assert described(migrated) == described(created)
    assert len(described(migrated)) > 50
    command.check(alembic_config(migrated))


def test_a_second_upgrade_and_a_full_downgrade_work(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    upgrade(empty_database_url)
    command.downgrade(alembic_config(empty_database_url), "base")
    assert described(empty_database_url) == set()


def test_a_migration_gives_way_instead_of_queueing(empty_database_url: str) -> None:
    """Whoever holds a table is not waited for endlessly, with every worker queueing behind."""
    upgrade(empty_database_url)
    with create_engine(empty_database_url).begin() as connection:
        connection.execute(text("lock table alembic_version in access exclusive mode"))
        with pytest.raises(DatabaseUnavailable, match="lock timeout"):
            upgrade(empty_database_url)


def test_the_schema_of_a_later_version_is_left_alone(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    with create_engine(empty_database_url).begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    upgrade(empty_database_url)
    schema.check(create_engine(empty_database_url))
    with create_engine(empty_database_url).connect() as connection:
        assert schema.found(connection) == "9999"


@pytest.mark.parametrize("module", ["services.api", "workers.dispatcher", "workers.intake"])
def test_no_process_starts_on_a_schema_that_is_too_old(module: str, empty_database_url: str, tmp_path: Path) -> None:
    """It ends with what to do about it, before it serves anybody."""
    if module != "services.api":  # there it has not even tables
        command.upgrade(alembic_config(empty_database_url), f"{int(schema.REVISION) - 1:04}")
    settings = {
        "database_url": empty_database_url,
        "broker_url": "redis://127.0.0.1:1",
        "storage_url": "folder:/nowhere",
    }
    environment = {**os.environ, **{f"FACEMEM_{name.upper()}": value for name, value in settings.items()}}
    ended = subprocess.run(
        [sys.executable, "-m", module], env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert ended.returncode == 1, ended.stderr
    assert "python -m migrations" in ended.stderr


@pytest.mark.parametrize(
    "url", ["nonsense", "mysql://a/b", "postgresql+psycopg://nobody@127.0.0.1:9/none", "postgresql+psycopg://a:b:c@x/y"]
)
def test_a_wrong_address_is_a_clear_error(url: str) -> None:
    with pytest.raises(DatabaseUnavailable):
        upgrade(url)
