"""What was deleted since a backup was made: kept apart from it, and deleted again after it was restored."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from services.backup.archive import replacing_nothing
from services.backup.errors import DeletionsInvalid
from shared.database.session import connect
from shared.jobs.erase import Order, erase_image, erase_job

ACTOR = "restore"  # as the audit log names it
ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class Deleted:
    """A job that was deleted, or one image of it."""

    tenant: str
    job: UUID
    image: int | None


def keep(database_url: str, path: Path) -> int:
    """Write the receipts of all deletions into a new file, one JSON object a line. Returns how many."""
    database, number = connect(database_url), 0
    try:
        with replacing_nothing(path) as file, database.connect() as connection:
            some = {"yield_per": ROWS_AT_ONCE}
            for row in connection.execute(text(_DELETIONS), execution_options=some).mappings():
                file.write(json.dumps(dict(row), default=str).encode() + b"\n")
                number += 1
    finally:
        database.dispose()
    return number


def read(path: Path) -> Iterator[Deleted]:
    """The deletions of such a file. Raises DeletionsInvalid, naming the line."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                found: dict[str, Any] = json.loads(line)
                image = found["image"]
                yield Deleted(str(found["tenant"]), UUID(found["job"]), None if image is None else int(image))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DeletionsInvalid(f"Line {number} of {path} is no deletion.") from error


def repeat(connection: Connection, path: Path) -> int:
    """Delete again what was deleted; the caller commits. Returns how many of them there were to delete.

    Their objects follow when the system runs, as with every deletion.
    """
    again = 0
    for deleted in read(path):
        order = Order(deleted.tenant, ACTOR, "request", window=0)  # nobody has any of it in hand
        if deleted.image is None:
            again += erase_job(connection, deleted.job, order) is not None
        elif connection.execute(text(_SAME), {"image": deleted.image, "job": deleted.job}).scalar_one():
            again += erase_image(connection, deleted.image, order) is not None
    return again


# After a restore a number may have been given to an image of another job.
_SAME = "select exists (select from images where id = :image and job_id = :job)"
_DELETIONS = """
select tenant, job_id as job, image_id as image, reason, requested_at from deletions order by requested_at, id
"""
