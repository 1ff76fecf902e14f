"""Restoring a backup into an empty system.

The archive is read whole and found good before anything changes. Then objects, then all rows in one transaction. What
follows is done again when the same restore is: an interrupted one goes on, from its objects or from its rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from services.backup import deletions, folder, objects, tables
from services.backup.archive import Member, checked, members
from services.backup.create import FORMAT
from services.backup.errors import BackupTooNew, NotEmpty
from services.backup.place import Place, Report, to_nobody
from shared.database import schema
from shared.database.migrate import known, move_empty, upgrade
from shared.database.session import connect
from shared.jobs.sweep import take_back_all
from shared.storage import keys
from shared.storage.objects import Objects, S3Objects

# Say of which backup the objects are that an interrupted restore has left, and of which the rows.
MARK = "restoring/"
PREFIXES = ("jobs/", keys.UPLOADS)


@dataclass(frozen=True)
class Restored:
    """What there is again, as of when it was; how many images will be worked on anew, and what was deleted again.

    left: files of bundles and the like that have no place here.
    """

    at: datetime
    rows: int
    objects: int
    resumed: int
    deleted: int
    left: int


def restore(place: Place, path: Path, deleted: Path | None = None, report: Report = to_nobody) -> Restored:
    """Fill an empty system from a backup, then delete again what a file of deletions names.

    A backup of an older schema is brought to this version's before it is deleted from; until both is done, do not start
    the system. Raises BackupDamaged, BackupTooNew, DeletionsInvalid and NotEmpty, all of them before anything was
    changed; and StorageUnavailable and DatabaseUnavailable, after which the same may be tried again.
    """
    size = path.stat().st_size
    manifest = checked(path, lambda read: report("Checking the backup", read, size))
    _refuse_newer(manifest)
    for _ in () if deleted is None else deletions.read(deleted):
        pass  # or it would be found wrong when all is done
    mark = _mark(manifest)
    if _its_rows_are_there(place, mark):
        left, resumed, again, repeated = 0, 0, 0, False
    else:
        if isinstance(place.objects, S3Objects):
            place.objects.create_bucket()
        place.objects.put(mark, b"")
        move_empty(place.database_url, manifest["schema"])
        _bring_objects(place.objects, path, lambda done: report("Objects", done, manifest["objects"]))
        left = folder.bring_back(place, members(path))
        resumed, again = _bring_rows(place, path, manifest, deleted, report)
        repeated = manifest["schema"] == schema.REVISION
    upgrade(place.database_url)
    if not repeated:
        again = _delete_again(place, deleted)
    place.objects.delete([mark])
    rows = sum(table["rows"] for table in manifest["tables"].values())
    at = datetime.fromisoformat(manifest["at"])
    return Restored(at, rows, manifest["objects"], resumed, again, left)


def _mark(manifest: dict[str, Any]) -> str:
    return f"{MARK}{manifest['id']}"


def _refuse_newer(manifest: dict[str, Any]) -> None:
    if manifest["format"] != FORMAT or not known(manifest["schema"]):
        raise BackupTooNew(
            f"The backup was made by facemem {manifest['facemem']}, with schema {manifest['schema']}; "
            f"this version knows schemas up to {schema.REVISION}."
        )


def _its_rows_are_there(place: Place, mark: str) -> bool:
    """Whether this very restore was begun before and came as far as that. Raises NotEmpty if anything else is there."""
    begun = mark in _keys(place.objects, MARK)
    database = connect(place.database_url)
    try:
        with database.connect() as connection:
            if begun and tables.origin(connection) == mark:
                return True
            _refuse_rows(connection)
            if schema.is_newer(found := schema.found(connection)):
                raise NotEmpty(f"The database belongs to a newer facemem: it has schema {found}.")
    finally:
        database.dispose()
    if begun:
        return False  # what is there is its own
    for prefix in (*PREFIXES, MARK):
        if (key := next(_keys(place.objects, prefix), None)) is not None:
            raise NotEmpty(f"There are objects in the storage already, such as {key}.")
    return False


def _keys(there: Objects, prefix: str) -> Iterator[str]:
    """The keys that begin with a prefix; none where there is no bucket yet."""
    if isinstance(there, S3Objects) and not there.exists():
        return iter(())
    return there.keys(prefix)


def _refuse_rows(connection: Connection) -> None:
    if table := tables.filled(connection):
        raise NotEmpty(f"There are rows in the database already, in the table {table}.")


def _bring_objects(there: Objects, path: Path, step: Any) -> None:
    def contents() -> Iterator[tuple[str, bytes]]:
        for member in members(path):
            if member.name.startswith(objects.FOLDER):
                yield member.name.removeprefix(objects.FOLDER), member.content()

    def put(each: tuple[str, bytes]) -> None:
        there.put(*each)

    for done, _ in enumerate(objects.side_by_side(put, contents()), start=1):
        step(done)


def _bring_rows(
    place: Place, path: Path, manifest: dict[str, Any], deleted: Path | None, report: Report
) -> tuple[int, int]:
    """All rows at once, but for what is to be deleted again, if they have the schema of this version.

    Returns how many images were on their way, which nobody has any more, so they wait again; and what was deleted.
    """
    done = 0

    def step(table: str, rows: int) -> None:
        nonlocal done
        done += 1
        report(f"Rows of {table}", done, len(manifest["tables"]))

    database = connect(place.database_url)
    try:
        with database.begin() as connection:
            tables.hold(connection)
            _refuse_rows(connection)  # somebody may have started a system on it meanwhile
            tables.copy_in(connection, _rows(path), manifest["tables"], step)
            tables.set_sequences(connection, manifest["sequences"])
            tables.set_origin(connection, _mark(manifest))
            resumed = take_back_all(connection)
            current = manifest["schema"] == schema.REVISION
            return resumed, deletions.repeat(connection, deleted) if deleted and current else 0
    finally:
        database.dispose()


def _rows(path: Path) -> Iterator[Member]:
    """The members with rows, which come before all others."""
    for member in members(path):
        if not member.name.startswith(tables.FOLDER):
            return
        yield member


def _delete_again(place: Place, deleted: Path | None) -> int:
    if deleted is None:
        return 0
    database = connect(place.database_url)
    try:
        with database.begin() as connection:
            return deletions.repeat(connection, deleted)
    finally:
        database.dispose()
