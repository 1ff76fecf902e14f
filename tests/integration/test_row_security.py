"""The second lock between tenants, tried at the database itself, behind all of the API's own conditions."""

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError

from shared.database.tables import Table
from shared.pipeline.connections import Connections
from tests.integration.planted import plant

TABLES = sorted(Table.metadata.tables)
# What the API may only read, or only add to.
FIXED = {"tenants": "no insert, update, delete", "audit": "no update, delete"}


@pytest.fixture
def two_tenants(connections: Connections) -> Engine:
    with connections.database.begin() as connection:
        for tenant in ("anna", "bert"):
            plant(connection, connections.objects, tenant)
    return connections.database


def bind(connection: Connection, tenant: str | None) -> None:
    connection.execute(text("set local role facemem_tenant"))
    if tenant is not None:
        connection.execute(text("select set_config('facemem.tenant', :tenant, true)"), {"tenant": tenant})


def count(connection: Connection, table: str) -> int:
    return connection.execute(text(f"select count(*) from {table}")).scalar_one()


def test_every_table_has_row_security_and_a_policy(database):
    with database.connect() as connection:
        secured = connection.execute(
            text("""
                select relname from pg_class join pg_policy on polrelid = pg_class.oid
                where relrowsecurity and relnamespace = 'public'::regnamespace
            """)
        )
        assert sorted(secured.scalars()) == TABLES


def test_the_role_owns_nothing_and_cannot_pass_by_row_security(database):
    with database.connect() as connection:
        role = connection.execute(
            text("select rolsuper, rolbypassrls, rolcanlogin, oid from pg_roles where rolname = 'facemem_tenant'")
        ).one()
        assert (role.rolsuper, role.rolbypassrls, role.rolcanlogin) == (False, False, False)
        owned = connection.execute(text("select count(*) from pg_class where relowner = :oid"), {"oid": role.oid})
        assert owned.scalar_one() == 0


@pytest.mark.parametrize("table", TABLES)
def test_without_a_tenant_nothing_is_seen(two_tenants, table):
    with two_tenants.begin() as connection:
        assert count(connection, table) >= 2
        bind(connection, None)
        assert count(connection, table) == 0


@pytest.mark.parametrize("table", TABLES)
def test_a_tenant_sees_its_own_rows_only(two_tenants, table):
    with two_tenants.connect() as connection:
        with connection.begin():
            everything = count(connection, table)
            bind(connection, "anna")
            assert count(connection, table) == everything / 2 > 0
        with connection.begin():  # and the connection remembers nothing
            assert count(connection, table) == everything


@pytest.mark.parametrize("table", sorted(set(TABLES) - set(FIXED)))
def test_a_tenant_can_neither_change_nor_remove_rows_of_others(two_tenants, table):
    column = next(iter(Table.metadata.tables[table].primary_key.columns)).name
    # The others cannot be changed at all.
    column = {"job_counts": "images", "paces": "passed"}.get(table, column)
    with two_tenants.begin() as connection:
        before = count(connection, table)
        bind(connection, "nobody")
        assert connection.execute(text(f"delete from {table}")).rowcount == 0
        changed = connection.execute(text(f"update {table} set {_harmless(table, column)}"))
        assert changed.rowcount == 0
    with two_tenants.connect() as connection:
        assert count(connection, table) == before


def _harmless(table: str, column: str) -> str:
    identity = Table.metadata.tables[table].columns[column].identity
    if identity is None:
        return f"{column} = {column}"
    other = next(each.name for each in Table.metadata.tables[table].columns if not each.primary_key)
    return f"{other} = {other}"


@pytest.mark.parametrize(
    "statement",
    [
        "insert into jobs (id, tenant, captioner, bundle) values (gen_random_uuid(), 'bert', 'describer', 'x')",
        "insert into images (job_id, position, name, stage) select id, 9, 'x', 'detection' from bert",
        "insert into job_counts (job_id, stage, state, images) select id, 'scoring', 'ready', 1 from bert",
        "insert into webhooks (id, tenant, url, secret, events) values (gen_random_uuid(), 'bert', 'u', 's', '{}')",
        "insert into api_keys (id, tenant, name, prefix, digest, scopes) "
        "values (gen_random_uuid(), 'bert', 'k', 'p', 'd', '{}')",
        "insert into audit (tenant, actor, action) values ('bert', 'x', 'x')",
        "update jobs set tenant = 'bert'",
        "update api_keys set tenant = 'bert'",
        "insert into tenants (name) values ('x')",
        "update tenants set max_stored_bytes = 1",
        "delete from audit",
    ],
)
def test_a_tenant_cannot_write_rows_of_others(two_tenants, statement):
    with two_tenants.connect() as connection:
        connection.execute(text("create temporary table bert as select id from jobs where tenant = 'bert'"))
        connection.execute(text("grant select on bert to facemem_tenant"))
        bind(connection, "anna")
        with pytest.raises(ProgrammingError, match=r"row-level security|permission denied"):
            connection.execute(text(statement))


def test_the_audit_log_is_never_changed_not_even_by_its_owner(two_tenants):
    for statement in ("update audit set actor = 'x'", "delete from audit", "truncate audit"):
        with two_tenants.connect() as connection, pytest.raises(Exception, match="never changed"):
            connection.execute(text(statement))
