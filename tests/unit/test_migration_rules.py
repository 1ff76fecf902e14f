"""Migrations expand first and contract a version later, so that old and new processes run side by side."""

import importlib
import pkgutil
import re
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa
from alembic import op

from migrations import versions
from shared.database import schema
from tests.migration_rules import breaking, statements

ROOT = Path(__file__).parents[2]
# The last migration before there was anything to upgrade from.
BASELINE = "0007"
MIGRATIONS = [
    importlib.import_module(f"migrations.versions.{found.name}")
    for found in sorted(pkgutil.iter_modules(versions.__path__), key=lambda found: found.name)
]
NEW = [migration for migration in MIGRATIONS if migration.revision > BASELINE]
EARLIER = [each for migration in MIGRATIONS if migration.revision <= BASELINE for each in statements(migration)]


def version(name: str) -> tuple[int, ...]:
    return tuple(map(int, name.split(".")))


def allowed(migration: ModuleType, before: list[str], now: str) -> list[str]:
    """What is wrong with a migration of version `now`."""
    since = getattr(migration, "CONTRACT", None)
    if since is None:
        return breaking(statements(migration), before)
    return [] if version(since) < version(now) else [f"{since} is not older than {now}: its processes may still run"]


def test_each_new_migration_leaves_old_processes_alone() -> None:
    now = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    before = list(EARLIER)
    for migration in NEW:
        assert allowed(migration, before, now) == [], migration.__name__
        before += statements(migration)


def test_the_code_knows_the_last_migration_and_they_follow_each_other() -> None:
    assert MIGRATIONS[-1].revision == schema.REVISION
    assert [migration.revision for migration in MIGRATIONS] == [f"{n:04}" for n in range(1, len(MIGRATIONS) + 1)]
    assert [migration.down_revision for migration in MIGRATIONS] == [None, *(m.revision for m in MIGRATIONS[:-1])]
    for migration in MIGRATIONS:
        assert re.fullmatch(rf"migrations\.versions\.m{migration.revision}_\w+", migration.__name__)


STATES = "state in ('ready', 'dispatched', 'running', 'succeeded', 'skipped', 'failed', 'cancelled'"
BAD: list[Any] = [
    lambda: op.drop_column("jobs", "name"),
    lambda: op.drop_table("paces"),
    lambda: op.rename_table("paces", "speeds"),
    lambda: op.alter_column("jobs", "name", new_column_name="title"),
    lambda: op.alter_column("jobs", "name", nullable=False),
    lambda: op.alter_column("jobs", "name", type_=sa.Integer()),
    lambda: op.alter_column("jobs", "labels", server_default=None),
    lambda: op.add_column("jobs", sa.Column("colour", sa.Text(), nullable=False)),
    lambda: op.create_unique_constraint("u", "jobs", ["name"]),
    lambda: op.create_index("u", "jobs", ["name"], unique=True),
    lambda: op.create_check_constraint("short", "jobs", "length(name) < 9"),
    lambda: op.create_check_constraint(op.f("ck_images_state"), "images", STATES.replace("'running', ", "") + ")"),
    lambda: op.create_foreign_key("f", "audit", "tenants", ["tenant"], ["name"]),
    lambda: op.execute("ALTER TABLE jobs\n  DROP COLUMN name"),
    lambda: op.execute('alter table "jobs" rename column name to title'),
    lambda: op.execute("alter table jobs alter name set not null"),
    lambda: op.execute("create trigger t before insert on jobs for each row execute function refuse_change()"),
    lambda: op.execute("revoke insert on jobs from facemem_tenant"),
]
GOOD: list[Any] = [
    lambda: op.add_column("jobs", sa.Column("colour", sa.Text())),
    lambda: op.add_column("jobs", sa.Column("colour", sa.Text(), server_default="red", nullable=False)),
    lambda: op.create_table("albums", sa.Column("id", sa.Uuid(), primary_key=True), sa.Column("n", sa.Text())),
    lambda: op.create_index("i", "jobs", ["name"]),
    lambda: op.drop_index("ix_jobs_labels", table_name="jobs"),
    lambda: op.drop_constraint("ck_images_state", "images"),
    lambda: op.create_check_constraint(op.f("ck_images_state"), "images", f"{STATES}, 'printed')"),
    lambda: op.execute("create table a (id int not null)"),
    lambda: op.execute("update jobs set name = 'drop table jobs'"),
    lambda: op.alter_column("jobs", "captioner", nullable=True),
]


def planted(upgrade: Any, **more: str) -> ModuleType:
    return cast(ModuleType, SimpleNamespace(upgrade=upgrade, **more))


@pytest.mark.parametrize("upgrade", BAD)
def test_what_breaks_old_processes_is_refused(upgrade: Any) -> None:
    assert len(allowed(planted(upgrade), EARLIER, "0.2.0")) == 1


@pytest.mark.parametrize("upgrade", GOOD)
def test_what_only_adds_is_not(upgrade: Any) -> None:
    assert allowed(planted(upgrade), EARLIER, "0.2.0") == []


def test_what_nothing_reads_any_more_may_go_a_version_later() -> None:
    assert allowed(planted(BAD[0], CONTRACT="0.1.0"), EARLIER, "0.2.0") == []
    assert allowed(planted(BAD[0], CONTRACT="0.2.0"), EARLIER, "0.2.0") != []


def test_a_table_of_its_own_may_have_any_rule() -> None:
    def upgrade() -> None:
        op.create_table("albums", sa.Column("id", sa.Uuid(), primary_key=True), sa.Column("name", sa.Text()))
        op.create_unique_constraint("u", "albums", ["name"])
        op.execute("create policy of_tenant on albums to facemem_tenant using (true)")
        op.execute("alter table albums alter name set not null")

    assert allowed(planted(upgrade), EARLIER, "0.2.0") == []
