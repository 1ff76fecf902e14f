"""What would become of a submission: told from rows that were written and are taken back."""

from collections import Counter
from collections.abc import Iterable, Iterator
from uuid import UUID

from sqlalchemy import Connection, text

from services.api.progress import Counts, seconds_left
from services.api.schemas import Preview, Rejected, Rejection
from services.api.schemas.submission import SHOWN_REJECTIONS, UsedLimit
from shared.jobs import pace
from shared.jobs.accept import NewImage
from shared.jobs.states import ImageState, Stage
from shared.settings import Settings


class Rejections:
    """Counts the images that are rejected while they pass, and keeps the first."""

    def __init__(self, images: Iterable[NewImage]) -> None:
        self._images = images
        self._by_reason: Counter[str] = Counter()
        self._first: list[Rejection] = []

    def __iter__(self) -> Iterator[NewImage]:
        for position, image in enumerate(self._images):
            if (error := image.rejected) is not None:
                self._by_reason[error.code] += 1
                if len(self._first) < SHOWN_REJECTIONS:
                    self._first.append(
                        Rejection(
                            position=position,
                            line=image.line,
                            name=image.name,
                            reason=error.code,
                            detail=error.detail,
                        )
                    )
            yield image

    def told(self) -> Rejected:
        return Rejected(images=self._by_reason.total(), by_reason=dict(self._by_reason), first=self._first)


def preview(
    connection: Connection, job_id: UUID, images: int, rejections: Rejections, used: list[UsedLimit]
) -> Preview:
    """What this transaction has written of a job, in numbers. The caller takes it back."""
    known = connection.execute(text(_KNOWN), {"job": job_id}).one()
    rejected = rejections.told()
    return Preview(
        images=images,
        accepted=images - rejected.images,
        rejected=rejected,
        duplicates=known.duplicates,
        already_scored=known.already_scored,
        estimate_seconds=_estimate(
            connection, job_id, images - rejected.images, known.duplicates, known.already_scored
        ),
        limits=used,
    )


def _estimate(
    connection: Connection, job_id: UUID, accepted: int, duplicates: int, already_scored: int
) -> float | None:
    """How long the job would take by itself, at the best pace that this service has had lately. What is taken over from
    the same images costs next to nothing.
    """
    rows = connection.execute(
        text("select stage, state, images from job_counts where job_id = :job and images > 0"), {"job": job_id}
    )
    counts = Counts({(Stage(row.stage), ImageState(row.state)): row.images for row in rows})
    seconds = seconds_left(counts, pace.of_service(connection))
    if not seconds:
        return seconds
    return round(seconds * max(accepted - duplicates - already_scored, 0) / accepted, 1)


def used_limits(settings: Settings, used: dict[str, int]) -> list[UsedLimit]:
    """How much of the limits a submission takes, by the names of their settings."""
    return [UsedLimit(name=name, used=number, maximum=getattr(settings, name)) for name, number in used.items()]


# Images are the same if their bytes are; where these are not known yet, if their links are.
_KNOWN = """
with these as (
    select coalesce(images.content_digest, uploads.digest) as digest, images.source_url, jobs.tenant, jobs.bundle,
        jobs.scores_only
    from images join jobs on jobs.id = images.job_id
    left join uploads on uploads.tenant = jobs.tenant and images.source_url = 'upload:' || uploads.id
    where images.job_id = :job and images.state <> 'failed'
)
select count(*) - count(distinct coalesce(encode(digest, 'hex'), source_url)) as duplicates,
    count(*) filter (where digest is not null and not scores_only and exists (
        select from images as twin join jobs on jobs.id = twin.job_id
        where twin.content_digest = these.digest and twin.state = 'succeeded' and jobs.id <> :job
        and jobs.tenant = these.tenant and jobs.bundle = these.bundle and not jobs.what_if
        and not jobs.scores_only)) as already_scored
from these
"""
