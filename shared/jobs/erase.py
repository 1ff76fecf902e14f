"""Deleting jobs and single images, also in mid-run: all rows in one transaction, which also writes the receipt.

Objects follow: the receipt names their prefixes, and the dispatcher removes them. Rows go first, because the receipt
then knows what is left; the other way round a crash would leave rows that show what is not there any more.

Locks are taken in the order in which everybody takes them: job, images, counters. Whoever had images in hand finds them
gone when it comes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, text

from shared.jobs import audit, events, uploads
from shared.jobs.copies import hold_copies
from shared.jobs.events import EventType
from shared.jobs.in_hand import in_hand_until
from shared.jobs.states import FINAL
from shared.storage import keys


@dataclass(frozen=True)
class Order:
    """Who wants something deleted, and why.

    actor: as the audit log names it.
    reason: `request` or `retention`.
    window: seconds for which a worker may go on with what was taken from it, see `in_hand`.
    """

    tenant: str
    actor: str
    reason: str
    window: float


def erase_job(connection: Connection, job_id: UUID, order: Order) -> UUID | None:
    """Delete a job's rows and those of the jobs that score its faces again; the caller commits.

    Returns the id of the receipt, or None if the tenant has no such job (any more).
    """
    hold_copies(connection, job_id)
    owner = _locked(connection, job_id, order.tenant)
    if owner is None:
        return None
    again = _jobs_again(connection, job_id)
    _stop(connection, [job_id, *again])
    # From here on nobody can begin to score it again. Whoever was at it has committed.
    connection.execute(text("select from jobs where id = :job for update"), {"job": job_id})
    jobs = [job_id, *_jobs_again(connection, job_id)]
    receipt = _receipt(connection, jobs, None, order, [keys.job(each) for each in jobs])
    _erase_jobs(connection, jobs, order)
    audit.record(connection, order.tenant, order.actor, "job.deleted", job_id, deletion=receipt, jobs=len(jobs))
    return receipt


def erase_image(connection: Connection, image_id: int, order: Order) -> UUID | None:
    """Delete an image's rows, and its copies in the jobs that score the same faces again; the caller commits.

    Of an image of such a job only this copy goes: photo and crops belong to the job that they were submitted to.
    Returns the id of the receipt, or None if the tenant has no such image (any more).
    """
    job_id = connection.execute(text("select job_id from images where id = :id"), {"id": image_id}).scalar_one_or_none()
    if job_id is None:
        return None
    hold_copies(connection, job_id)
    owner = _locked(connection, job_id, order.tenant)
    if owner is None:
        return None
    _jobs_again(connection, job_id)
    what_ifs = connection.execute(text(_WHAT_IFS), {"image": image_id}).scalars().all()
    _stop(connection, what_ifs)
    images = connection.execute(text(_COPIES), {"image": image_id}).all()
    original = next((image for image in images if image.id == image_id), None)
    if original is None:
        return None
    of_images = [] if owner.rescored_from else _prefixes(connection, original)
    jobs = sorted({image.job_id for image in images})
    prefixes = [*of_images, *map(keys.states, jobs), *map(keys.job, what_ifs)]
    receipt = _receipt(connection, list(what_ifs), original, order, prefixes, [image.id for image in images])
    _erase_jobs(connection, what_ifs, order)
    connection.execute(text(_ERASE_IMAGES), {"images": [image.id for image in images]})
    if original.source_url:
        uploads.release_of(connection, job_id, original.source_url)
    audit.record(connection, order.tenant, order.actor, "image.deleted", image_id, deletion=receipt, job=job_id)
    return receipt


def count_removed(connection: Connection, prefix: str, objects: int) -> None:
    """Note on the receipt that objects under this prefix were removed by somebody else than the dispatcher."""
    connection.execute(
        text("update deletions set objects = objects + :objects where :prefix = any(prefixes)"),
        {"objects": objects, "prefix": prefix},
    )


def _locked(connection: Connection, job_id: UUID, tenant: str) -> Row[Any] | None:
    """A job of the tenant. Nobody else pauses, cancels, retries, tidies or deletes it until this transaction ends."""
    query = "select id, rescored_from from jobs where id = :job and tenant = :tenant for no key update"
    return connection.execute(text(query), {"job": job_id, "tenant": tenant}).one_or_none()


def _jobs_again(connection: Connection, job_id: UUID) -> list[UUID]:
    """The jobs that score this one's faces again, locked likewise."""
    query = "select id from jobs where rescored_from = :job order by id for no key update"
    return list(connection.execute(text(query), {"job": job_id}).scalars())


def _stop(connection: Connection, jobs: Sequence[UUID]) -> None:
    """Wait for those who are just saving what they did with images of these jobs. Nobody can begin to afterwards."""
    query = "select from images where job_id = any(:jobs) and state <> all(:final) order by id for update"
    connection.execute(text(query), {"jobs": list(jobs), "final": [str(state) for state in FINAL]})


def _prefixes(connection: Connection, image: Row[Any]) -> list[str]:
    """Where the objects of an image lie that are its alone. Two lines that name one upload share an original."""
    query = "select exists (select from images where job_id = :job and original_key = :key and id <> :id)"
    values = {"job": image.job_id, "key": image.original_key, "id": image.id}
    if image.original_key and connection.execute(text(query), values).scalar_one():
        return keys.of_image(image.job_id, image.id, fetched=False)
    prefixes = keys.of_image(image.job_id, image.id, fetched=image.source_url is not None)
    if image.original_key and image.original_key.startswith(keys.originals(image.job_id)):
        prefixes.append(image.original_key)
    return prefixes


def _receipt(
    connection: Connection,
    jobs: list[UUID],
    image: Row[Any] | None,
    order: Order,
    prefixes: list[str],
    images: Sequence[int] = (),
) -> UUID:
    """Write the receipt for whole jobs, or for an image with its copies, while their rows are still there."""
    receipt = uuid4()
    values = {
        "id": receipt,
        "tenant": order.tenant,
        "job": image.job_id if image else jobs[0],
        "image": image.id if image else None,
        "reason": order.reason,
        "jobs": jobs,
        "images": list(images),
        "prefixes": prefixes,
        "until": in_hand_until(connection, jobs, images, order.window),
    }
    connection.execute(text(_RECEIPT), values)
    return receipt


def _erase_jobs(connection: Connection, jobs: Sequence[UUID], order: Order) -> None:
    """Delete these jobs' rows. Those that there are many of go in one statement each, not row by row."""
    for job_id in jobs:
        events.emit(connection, order.tenant, EventType.DELETED, job_id)
        uploads.release(connection, job_id)
    for statement in (_EXPLANATIONS, _FACES, _ATTEMPTS, "delete from jobs where id = any(:jobs)"):
        connection.execute(text(statement), {"jobs": list(jobs)})


# Scored under a caption of the client's; there is nothing else in such a job.
_WHAT_IFS = """
select jobs.id
from images as source
join jobs on jobs.rescored_from = source.job_id and jobs.what_if
join images on images.job_id = jobs.id and images.photo_key = source.photo_key
where source.id = :image order by jobs.id
"""

# Copies have the place of what they are copies of.
_COPIES = """
select images.id, images.job_id, images.source_url, images.original_key
from images as source
join images on images.id = source.id or images.job_id in (
    select id from jobs where rescored_from = source.job_id and not what_if) and images.position = source.position
where source.id = :image order by images.id for update of images
"""

_RECEIPT = """
insert into deletions (id, tenant, job_id, image_id, reason, jobs, images, faces, prefixes, last_sweep_at)
values (:id, :tenant, :job, :image, :reason, cardinality(cast(:jobs as uuid[])),
    (select coalesce(sum(job_counts.images), 0) from job_counts where job_id = any(:jobs))
        + cardinality(cast(:images as bigint[])),
    (select count(*) from images join faces on faces.image_id = images.id
        where images.job_id = any(:jobs) or images.id = any(:images)),
    :prefixes, :until)
"""

_EXPLANATIONS = """
delete from explanations using faces, images
where face_id = faces.id and image_id = images.id and images.job_id = any(:jobs)
"""
_FACES = "delete from faces using images where image_id = images.id and images.job_id = any(:jobs)"
_ATTEMPTS = "delete from attempts using images where image_id = images.id and job_id = any(:jobs)"

# The counters are touched in the order in which moves touch them.
_ERASE_IMAGES = """
with gone as (
    delete from images where id = any(:images)
    returning job_id, stage, state, coalesce(original_bytes, 0) + derived_bytes as bytes
), freed as (
    update jobs set stored_bytes = stored_bytes - bytes
    from (select job_id, sum(bytes) as bytes from gone group by job_id) as each where each.job_id = jobs.id
)
insert into job_counts (job_id, stage, state, images)
select job_id, stage, state, -count(*) from gone group by job_id, stage, state order by job_id, stage, state
on conflict (job_id, stage, state) do update set images = job_counts.images + excluded.images
"""
