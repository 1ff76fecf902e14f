"""Removing the objects of what was deleted, again and again until nobody can write one any more.

The rows are gone; the receipt knows the prefixes. A worker that had the work in hand may still write an object, so
after the first time the prefixes are swept at growing intervals, and for the last time when every such worker has
ended.
"""

from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, text

from shared.database.session import autocommitting
from shared.errors import StorageUnavailable
from shared.pipeline.connections import Connections
from shared.storage import keys

log = structlog.get_logger()

RECEIPTS_A_ROUND = 20
# A dispatcher that is killed at it leaves the rest to the next one, after so long.
LEASE_SECONDS = 60


def erase(connections: Connections) -> int:
    """Sweep for some receipts that are due. Returns for how many."""
    with autocommitting(connections.database) as connection:
        receipts = connection.execute(text(_DUE), {"lease": LEASE_SECONDS, "limit": RECEIPTS_A_ROUND}).all()
    for receipt in receipts:
        try:
            _sweep(connections, receipt)
        except StorageUnavailable as error:
            log.warning("not_erased", deletion=str(receipt.id), error=error.detail)
    return len(receipts)


def _sweep(connections: Connections, receipt: Row[Any]) -> None:
    """Remove what lies under the receipt's prefixes, and note when to come again, if so."""
    removed = 0
    waiting = _uploads_left(connections, receipt.tenant)
    for prefix in receipt.prefixes:
        states_of = keys.job_of_states(prefix)
        if states_of is None:
            removed += connections.objects.clear(prefix)
            continue
        found = list(connections.objects.keys(prefix))
        # Looked at after the list was made: what is on it is of the time before the job was tidied.
        if _untidy(connections, states_of):
            waiting = True
        else:
            connections.objects.delete(found)
            removed += len(found)
    with connections.database.begin() as connection:
        values = {"id": receipt.id, "began": receipt.began, "removed": removed, "waiting": waiting}
        connection.execute(text(_SWEPT), values)
    log.info("erased", deletion=str(receipt.id), objects=removed, waiting=waiting)


def _uploads_left(connections: Connections, tenant: str) -> bool:
    """Whether objects of uploads that the tenant's deleted jobs took are still there; another round removes them."""
    query = text("""
        select exists (select from uploads where tenant = :tenant and name = '' and expires_at <= created_at)
    """)
    with connections.database.connect() as connection:
        return connection.execute(query, {"tenant": tenant}).scalar_one()


def _untidy(connections: Connections, job_id: UUID) -> bool:
    """Whether a job still needs its states: an image's are in one object with those of the others of its batch.

    They would have to be read and written anew without it, under the eyes of a worker. They go when the job has ended.
    """
    query = text("select exists (select from jobs where id = :job and tidied_at is null)")
    with connections.database.connect() as connection:
        return connection.execute(query, {"job": job_id}).scalar_one()


# A second dispatcher, or this one after a crash, finds them again when the lease is over.
_DUE = """
update deletions set next_sweep_at = now() + make_interval(secs => :lease)
where id in (
    select id from deletions where next_sweep_at <= now() order by next_sweep_at limit :limit for update skip locked)
returning id, tenant, prefixes, clock_timestamp() as began
"""

# The pause is as long as it has been since the deletion: soon after it there is most to find.
_SWEPT = """
update deletions set objects = objects + :removed,
    removed_at = case when removed_at is null and not :waiting then now() else removed_at end,
    next_sweep_at = case
        when :waiting then now() + least(greatest(now() - requested_at, interval '1 second'), interval '1 minute')
        when :began >= last_sweep_at then null
        else least(last_sweep_at, now() + greatest(now() - requested_at, interval '1 second'))
    end
where id = :id
"""
