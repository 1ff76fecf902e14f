"""The status of jobs, from their counters: the same cost for ten images as for a million."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from flask import url_for
from sqlalchemy import Uuid, cast, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from services.api import owned
from services.api.parts import parts
from services.api.progress import Counts, seconds_left
from services.api.schemas import BundleName, JobStatus, StageProgress
from services.api.schemas.status import HeldUp
from shared.database.tables import Image, Job, JobCount
from shared.errors import BundleInvalid
from shared.jobs import pace
from shared.jobs.pace import Pace
from shared.jobs.states import OPEN, ImageState, JobState, Priority, Stage
from shared.wording import about

# Operations of a job, by the names that clients find their links under.
LINKS = {
    "self": "watch.show",
    "events": "watch.events",
    "results": "results.page",
    "faces": "faces.listed",
    "export": "export.export",
    "insights": "insights.show",
    "pause": "control.pause",
    "resume": "control.resume",
    "cancel": "control.cancel",
    "retry": "control.retry",
    "rescore": "rescore.rescore_job",
}
# What changes by itself while nothing happens.
# Images that are counted of those that wait for something.
MOST_HELD_UP = 1000
FLEETING: dict[str, Any] = {"rate": True, "estimate_seconds": True, "stages": {"__all__": {"rate"}}}


def bundle_name(digest: str) -> BundleName:
    """The bundle of a digest, by the name it has here."""
    return BundleName(name=parts().bundle_name(digest), digest=digest)


def about_scores(digest: str) -> str:
    """What a score of this bundle is and what it is not, from its card; nothing if the bundle is not here any more."""
    try:
        return about(parts().catalogue.by_digest(digest).card)
    except BundleInvalid:
        return ""


def job_status(session: Session, job_id: UUID) -> JobStatus:
    """A job's status. Raises NotFound."""
    return statuses(session, [owned.job(session, job_id)])[0]


def statuses(session: Session, jobs: Sequence[Job]) -> list[JobStatus]:
    """The status of each of these jobs."""
    ids = [job.id for job in jobs]
    counted: dict[UUID, dict[tuple[Stage, ImageState], int]] = {job_id: {} for job_id in ids}
    rows = session.execute(
        select(JobCount.job_id, JobCount.stage, JobCount.state, JobCount.images).where(
            JobCount.job_id.in_(ids), JobCount.images > 0
        )
    )
    for row in rows:
        counted[row.job_id][Stage(row.stage), ImageState(row.state)] = row.images
    again: dict[UUID | None, list[UUID]] = {}
    jobs_again = select(Job.rescored_from, Job.id).where(Job.rescored_from.in_(ids), ~Job.what_if)
    for source, job_id in session.execute(jobs_again.order_by(Job.created_at)):
        again.setdefault(source, []).append(job_id)
    running = [job.id for job in jobs if job.state == JobState.RUNNING]
    paces = pace.of_jobs(session, running) if running else {}
    sources = {job.rescored_from for job in jobs if job.rescored_from}
    ends: dict[UUID | None, datetime | None] = {}
    if sources:
        ends = {
            row.id: row.expires_at for row in session.execute(select(Job.id, Job.expires_at).where(Job.id.in_(sources)))
        }
    held_up = _held_up(session, [job.id for job in jobs if job.state in OPEN])
    return [
        _status(
            job,
            Counts(counted[job.id], job.rescored_from is not None),
            paces.get(job.id),
            again.get(job.id, []),
            held_up.get(job.id, []),
            ends.get(job.rescored_from, job.expires_at),
        )
        for job in jobs
    ]


def etag(status: JobStatus) -> str:
    """A tag that two answers share if nothing has happened to the job between them."""
    return sha256(status.model_dump_json(exclude=FLEETING).encode()).hexdigest()[:32]


def _held_up(session: Session, job_ids: Sequence[UUID]) -> dict[UUID, list[HeldUp]]:
    """What images of these jobs wait for; of a million that wait only some are looked at."""
    wanted = select(func.unnest(cast(list(job_ids), ARRAY(Uuid))).label("job_id")).subquery()
    some = (
        select(Image.stage, Image.reason, Image.detail)
        .where(Image.job_id == wanted.c.job_id, Image.state == ImageState.READY, Image.reason.is_not(None))
        .limit(MOST_HELD_UP)
        .lateral()
    )
    same = (wanted.c.job_id, some.c.stage, some.c.reason)
    query: Any = select(*same, func.min(some.c.detail), func.count()).select_from(wanted.join(some, true()))
    found: dict[UUID, list[HeldUp]] = {}
    rows: Any = session.execute(query.group_by(*same).order_by(*same))
    for job_id, stage, reason, detail, images in rows:
        held = HeldUp(stage=Stage(stage), reason=reason, detail=detail or "", images=images)
        found.setdefault(job_id, []).append(held)
    return found


def _status(
    job: Job,
    counts: Counts,
    lately: Pace | None,
    again: list[UUID],
    held_up: list[HeldUp],
    expires_at: datetime | None,
) -> JobStatus:
    rates = lately.passed if lately else {}
    open_now = job.state in OPEN
    return JobStatus(
        id=job.id,
        name=job.name,
        metadata=job.client_metadata,
        labels=job.labels,
        state=JobState(job.state),
        priority=Priority(job.priority),
        captioner=job.captioner,
        bundle=bundle_name(job.bundle),
        images=counts.total,
        counts={state: counts.in_state(state) for state in ImageState},
        stages=[_stage(counts, stage, rates.get(stage)) for stage in Stage],
        progress=round(counts.progress, 4),
        rate=round(lately.ended, 3) if lately and lately.ended else None,
        estimate_seconds=seconds_left(counts, rates) if open_now else 0.0,
        held_up=held_up,
        created_at=job.created_at,
        finished_at=job.finished_at,
        deadline=job.deadline,
        retention_seconds=job.retention_seconds,
        expires_at=expires_at,
        scores_only=job.scores_only,
        what_if=job.what_if,
        rescored_from=job.rescored_from,
        rescored_as=again,
        links={name: url_for(operation, job_id=job.id) for name, operation in LINKS.items()},
    )


def _stage(counts: Counts, stage: Stage, rate: float | None) -> StageProgress:
    return StageProgress(
        stage=stage,
        waiting=counts.waiting(stage),
        running=counts.running(stage),
        passed=counts.passed(stage),
        rate=round(rate, 3) if rate else None,
    )
