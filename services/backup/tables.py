"""The tables of a database as they are, whatever version they are of: out by COPY, and in again.

Which tables, columns and sequences there are, and which row needs which, the database itself says.
"""

import gzip
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from typing import Any

from psycopg import sql
from sqlalchemy import Connection, text

from services.backup.archive import Member, Writer
from services.backup.errors import BackupDamaged

FOLDER = "tables/"
VERSION_TABLE = "alembic_version"  # it is written by the migrations
PIECE_BYTES = 8 * 1024 * 1024  # of rows in one member: so much is in memory at a time
QUICK = 3  # of gzip's nine levels: rows are mostly ids and numbers, and the others take longer for little

Copied = dict[str, dict[str, Any]]
"""By table: its `columns`, and how many `rows` were copied."""


def copy_out(connection: Connection, archive: Writer, step: Any) -> Copied:
    """Write all rows that this transaction sees. `step` is called with the table and the rows of each that is done."""
    copied: Copied = {}
    for table in ordered(connection):
        columns = _columns(connection, table)
        query = sql.SQL("copy {} ({}) to stdout").format(sql.Identifier(table), _listed(columns))
        with _cursor(connection) as cursor:
            with cursor.copy(query) as rows:
                for number, piece in enumerate(_joined(map(bytes, rows))):
                    archive.add(f"{FOLDER}{table}/{number:06}.gz", gzip.compress(piece, QUICK, mtime=0))
            copied[table] = {"columns": columns, "rows": cursor.rowcount}
        step(table, cursor.rowcount)
    return copied


def copy_in(connection: Connection, archive: Iterable[Member], copied: Copied, step: Any) -> None:
    """Write the rows of an archive. The tables must be there, of its version and empty."""
    pieces = (member for member in archive if member.name.startswith(FOLDER))
    member = next(pieces, None)
    for table, known in copied.items():
        query = sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(table), _listed(known["columns"]))
        with _cursor(connection) as cursor:
            with cursor.copy(query) as rows:
                while member is not None and member.name.startswith(f"{FOLDER}{table}/"):
                    rows.write(gzip.decompress(member.content()))
                    member = next(pieces, None)
            if cursor.rowcount != known["rows"]:
                raise BackupDamaged(f"The backup has {cursor.rowcount:,} rows of {table}, not {known['rows']:,}.")
        step(table, known["rows"])


def sequences(connection: Connection) -> dict[str, list[Any]]:
    """By table and column, where its numbers are: the last one, and whether that was given to anybody."""
    found = {}
    for table, column, sequence in connection.execute(text(_SEQUENCES)).all():
        query = f"select last_value, is_called from {sequence}"  # noqa: S608 - a name, as Postgres quotes it
        found[f"{table}.{column}"] = list(connection.execute(text(query)).one())
    return found


def set_sequences(connection: Connection, known: dict[str, list[Any]]) -> None:
    """Have numbers go on where they were, so that none is given twice, not even of a row that was deleted."""
    for name, (last, called) in known.items():
        table, _, column = name.partition(".")
        query = "select setval(pg_get_serial_sequence(:table, :column), :last, :called)"
        connection.execute(text(query), {"table": table, "column": column, "last": last, "called": called})


def origin(connection: Connection) -> str | None:
    """What `set_origin` has said of these rows, if anything, whatever has become of them since."""
    asked = "select obj_description(to_regclass('jobs'), 'pg_class')"
    return connection.execute(text(asked)).scalar_one()


def set_origin(connection: Connection, said: str) -> None:
    """Note where the rows come from, in their transaction: as a comment, for which every version has room."""
    statement = sql.SQL("comment on table jobs is {}").format(sql.Literal(said))
    with _cursor(connection) as cursor:
        cursor.execute(statement)


def filled(connection: Connection) -> str | None:
    """The name of a table that has rows, or None."""
    for table in ordered(connection):
        if connection.execute(text(f"select exists (select from {_quoted(table)})")).scalar_one():  # noqa: S608
            return table
    return None


def hold(connection: Connection) -> None:
    """Until this transaction ends, nobody else writes any row."""
    names = ", ".join(map(_quoted, sorted(ordered(connection))))
    connection.execute(text(f"lock table {names} in share row exclusive mode"))


def ordered(connection: Connection) -> list[str]:
    """All tables, each after those that its rows refer to."""
    graph: TopologicalSorter[str] = TopologicalSorter()
    names: list[str] = list(connection.execute(text(_TABLES)).scalars())
    for name in names:
        graph.add(name)
    for referring, needed in connection.execute(text(_REFERENCES)).all():
        graph.add(str(referring), str(needed))
    return [table for table in graph.static_order() if table != VERSION_TABLE]


def _columns(connection: Connection, table: str) -> list[str]:
    return list(connection.execute(text(_COLUMNS), {"table": table}).scalars())


def _cursor(connection: Connection) -> Any:
    """SQLAlchemy has no COPY; psycopg has."""
    driver: Any = connection.connection.driver_connection
    return driver.cursor()


def _listed(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _joined(rows: Iterable[bytes]) -> Iterator[bytes]:
    """Rows in pieces of some size."""
    piece, size = [], 0
    for row in rows:
        piece.append(row)
        size += len(row)
        if size >= PIECE_BYTES:
            yield b"".join(piece)
            piece, size = [], 0
    if piece:
        yield b"".join(piece)


_TABLES = "select tablename::text from pg_tables where schemaname = current_schema() order by tablename"
_REFERENCES = """
select distinct conrelid::regclass::text, confrelid::regclass::text from pg_constraint
where contype = 'f' and connamespace = current_schema()::regnamespace and conrelid <> confrelid order by 1, 2
"""
_COLUMNS = """
select column_name::text from information_schema.columns
where table_schema = current_schema() and table_name = :table and is_generated = 'NEVER' order by ordinal_position
"""
_SEQUENCES = """
select table_name::text, column_name::text, pg_get_serial_sequence(table_name::text, column_name::text)
from information_schema.columns
where table_schema = current_schema() and is_identity = 'YES' order by 1, 2
"""
