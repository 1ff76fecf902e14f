"""Removing the objects of direct uploads: of those that intake has moved to their job, and those that no job took."""

from collections.abc import Iterator
from itertools import islice
from uuid import UUID

import structlog

from shared.database.session import autocommitting
from shared.jobs import uploads
from shared.jobs.keeping import unless_kept
from shared.pipeline.connections import Connections
from shared.storage import keys

log = structlog.get_logger()

UPLOADS_A_ROUND = 1000


def remove_uploads(connections: Connections, only_let_go: bool = False) -> int:
    """Remove what of some uploads is not needed any more. Returns how many there were to look at.

    First the objects, then the rows: what a crash leaves undone is found again. With `only_let_go` those that clients
    deleted, for which nothing waits, not even a backup. Raises StorageUnavailable.
    """
    with autocommitting(connections.database) as connection:
        due = uploads.due(connection, UPLOADS_A_ROUND, only_let_go)
    if not due:
        return 0

    def remove() -> int:
        connections.objects.delete([keys.upload(upload.id) for upload in due if not upload.needed])
        with connections.database.begin() as connection:
            uploads.settled(connection, due)
        return len(due)

    return remove() if only_let_go else unless_kept(connections.database, remove)


def remove_strays(connections: Connections) -> int:
    """Remove objects that were put by a link after their upload had gone. Raises StorageUnavailable.

    A row is there before its link is given to anybody, so an object without one is nobody's. Always returns 0: it has
    seen them all.
    """
    found = connections.objects.keys(keys.UPLOADS)
    while some := list(islice(found, UPLOADS_A_ROUND)):
        ids = dict(_named(some))
        with connections.database.connect() as connection:
            strays = ids.keys() - uploads.known(connection, list(ids))
        connections.objects.delete([ids[stray] for stray in strays])
        if strays:
            log.info("strays_removed", objects=len(strays))
    return 0


def _named(object_keys: list[str]) -> Iterator[tuple[UUID, str]]:
    """The uploads that objects are named after. What somebody else put there stays."""
    for key in object_keys:
        try:
            yield UUID(key.removeprefix(keys.UPLOADS)), key
        except ValueError:
            log.warning("not_ours", key=key)
