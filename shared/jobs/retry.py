"""Trying images again that failed, because their owner asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from shared.jobs.moves import move_all
from shared.jobs.wake import wake


@dataclass(frozen=True)
class Failure:
    """How many images of a job failed for a reason, and how many of them can be tried again."""

    reason: str
    images: int
    again: int


@dataclass(frozen=True)
class Retriable:
    """Failed images of a job: by reason, those that can be tried again, and how many cannot."""

    by_reason: dict[str, int]
    left_out: int

    @property
    def images(self) -> int:
        return sum(self.by_reason.values())


def failures(connection: Connection, job_id: UUID, reasons: Sequence[str] = ()) -> list[Failure]:
    """Why images failed, of these reasons if some are named."""
    rows = connection.execute(text(_COUNT), {"job": job_id, "reasons": list(reasons) or None})
    return [Failure(row.reason, row.images, row.again) for row in rows]


def retriable(connection: Connection, job_id: UUID, reasons: Sequence[str] = ()) -> Retriable:
    """The images that failed, for any of these reasons if some are named, and what of them `retry` would try again."""
    found = failures(connection, job_id, reasons)
    return Retriable(
        {each.reason: each.again for each in found if each.again}, sum(each.images - each.again for each in found)
    )


def retry(connection: Connection, job_id: UUID, reasons: Sequence[str] = ()) -> int:
    """failed -> ready, at the stage where they failed and with all their attempts before them; the job runs again.

    Earlier attempts stay on record. A deadline that has passed is taken away, or they would fail at once; so is the
    time at which the job was to delete itself, until it ends anew. Returns how many images that are. The caller has
    taken `hold_copies`, then locked the job and made sure that it was not cancelled.
    """
    moved = move_all(connection, _RETRY, job=job_id, reasons=list(reasons) or None)
    if moved:
        connection.execute(text(_OPEN_AGAIN), {"job": job_id})
        wake(connection)
    return moved


# What an image needs for its stage may be gone: lines that led nowhere never had it, jobs that keep scores only have
# let it go, and a job that scores another one's faces again has only those.
_CAN = """
    case stage
        when 'intake' then source_url is not null and not exists (
            select from jobs where id = images.job_id and rescored_from is not null)
        when 'detection' then original_key is not null
        when 'captioning' then photo_key is not null and exists (select from faces where image_id = images.id)
            and not exists (select from faces where image_id = images.id and crop_key is null)
        else exists (select from faces where image_id = images.id)
            and not exists (select from faces where image_id = images.id and (crop_key is null or caption is null))
    end
"""
_WANTED = "job_id = :job and state = 'failed' and (cast(:reasons as text[]) is null or reason = any(:reasons))"

_COUNT = f"""
select reason, count(*) as images, count(*) filter (where {_CAN}) as again
from images where {_WANTED} group by reason order by reason
"""  # noqa: S608  # constants of this module

# The states that scoring reads are removed when a job has ended, so it begins with making them anew.
_RETRY = f"""
update images set state = 'ready', stage = case when stage = 'scoring' then 'embedding' else stage end,
    reason = null, detail = null, attempt = 0, not_before = null, finished_at = null
where {_WANTED} and {_CAN}
"""  # noqa: S608

_OPEN_AGAIN = """
update jobs set state = case when state = 'paused' then 'paused' else 'running' end,
    finished_at = null, expires_at = null, tidied_at = null,
    deadline = case when deadline > now() then deadline end
where id = :job
"""
