"""Making a backup of a system, also while it runs.

First the rows, all as they were at one moment; then, by a list that was made at that moment, the objects that they
name. What is needed no more meanwhile stays until it is copied (`shared.jobs.keeping`); what clients delete goes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO
from uuid import uuid4

from sqlalchemy import Connection, Engine, text

from services.backup import folder, objects, tables
from services.backup.archive import Writer, written
from services.backup.place import Place, Report, to_nobody
from shared.database import schema
from shared.database.session import connect
from shared.jobs import audit
from shared.jobs.keeping import everything_kept
from shared.storage import keys

FORMAT = 1  # of the archive; one that reads differently gets the next number
KEYS_AT_ONCE = 1000
TENANT, ACTOR = "local", "operator"  # as the audit log names whom it concerns, and who did it


@dataclass(frozen=True)
class Backup:
    """What was kept: as of when, how much, and how many objects were not there any more.

    gone: of jobs and images that were deleted while the backup was made. lost: those that rows still name.
    """

    at: datetime
    rows: int
    objects: int
    bytes: int
    gone: int
    lost: int


@dataclass
class _Tally:
    objects: int = 0
    bytes: int = 0
    gone: int = 0
    lost: int = 0


def backup(place: Place, path: Path, report: Report = to_nobody) -> Backup:
    """Keep everything of a system in a new file. If it fails, or is interrupted, there is no such file.

    Raises SchemaTooOld, StorageUnavailable, and FileExistsError.
    """
    database = connect(place.database_url)
    try:
        with written(path) as archive, TemporaryFile(dir=path.parent) as names, everything_kept(database):
            report("Waiting for the database", 0, 1)
            manifest, number = _rows(database, archive, names, report)
            tally = _objects(place, database, archive, _names(names), lambda done: report("Objects", done, number))
            manifest["objects"], manifest["bytes"] = tally.objects, tally.bytes
            manifest["files"] = folder.keep(place, archive)
            archive.end(manifest)
        with database.begin() as connection:
            audit.record(connection, TENANT, ACTOR, "backup.created", manifest["id"], objects=tally.objects)
    finally:
        database.dispose()
    rows = sum(table["rows"] for table in manifest["tables"].values())
    at = datetime.fromisoformat(manifest["at"])
    return Backup(at, rows, tally.objects, tally.bytes, tally.gone, tally.lost)


def _rows(database: Engine, archive: Writer, names: BinaryIO, report: Report) -> tuple[dict[str, Any], int]:
    """All rows into the archive, the keys that they name into a file, one a line. Returns what is known of them."""
    done = 0

    def step(table: str, rows: int) -> None:
        nonlocal done
        done += 1
        report(f"Rows of {table}", done, total)

    with _snapshot(database) as connection:
        revision = schema.found(connection)
        if revision is None:
            raise schema.SchemaTooOld("There is nothing in this database.")
        total = len(tables.ordered(connection))
        manifest = {
            "format": FORMAT,
            "id": str(uuid4()),
            "facemem": version("facemem"),
            "schema": revision,
            "at": connection.execute(text("select now()")).scalar_one().astimezone(UTC).isoformat(),
            "tables": tables.copy_out(connection, archive, step),
            # Numbers that are given meanwhile do no harm: they are passed over.
            "sequences": tables.sequences(connection),
        }
        number = 0
        for key in objects.named(connection):
            names.write(f"{key}\n".encode())
            number += 1
    return manifest, number


def _snapshot(database: Engine) -> Connection:
    return database.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _names(names: BinaryIO) -> Iterator[str]:
    names.seek(0)
    for line in names:
        yield line.decode().removesuffix("\n")


def _objects(place: Place, database: Engine, archive: Writer, some: Iterator[str], step: Any) -> _Tally:
    tally, done = _Tally(), 0
    while names := list(islice(some, KEYS_AT_ONCE)):
        missed = []
        for key, content in objects.fetched(place.objects, names):
            if content is None:
                missed.append(key)
            else:
                archive.add(f"{objects.FOLDER}{key}", content)
                tally.objects, tally.bytes = tally.objects + 1, tally.bytes + len(content)
            done += 1
            step(done)
        if missed:
            with database.connect() as connection:
                needed = objects.still_needed(connection, missed)
            tally.lost += len(needed)
            # An upload that nobody waits for may be announced and not there yet, or be in its job's place.
            tally.gone += sum(key not in needed and not key.startswith(keys.UPLOADS) for key in missed)
    return tally
