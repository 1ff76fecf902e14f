"""The status of jobs, from their counters: the same cost for ten images as for a million."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any
from uuid import UUID

from flask import request, url_for
from sqlalchemy.orm import Session

from services.api.caller import caller
from services.api.parts import parts
from services.api.problems import NotFound
from services.api.progress import Counts, seconds_left
from services.api.schemas import BundleName, JobStatus, StageProgress
from services.api.schemas.status import HeldUp
from services.api.status_rows import StatusRow, read
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
# Stands for a job's id where an address is made for all of them.
_ANY = str(UUID(int=0))
# What changes by itself while nothing happens.
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
    for status in statuses(session, [job_id]):
        return status
    raise NotFound(f"There is no job {job_id}.")


def statuses(session: Session, job_ids: Sequence[UUID]) -> list[JobStatus]:
    """The status of each of these jobs that is there and the caller's, in this order."""
    found = read(session, caller().tenant, job_ids)
    running = [row.id for row in found.values() if row.state == JobState.RUNNING]
    paces = pace.of_jobs(session, running) if running else {}
    return [_status(found[job_id], paces.get(job_id)) for job_id in job_ids if job_id in found]


def etag(status: JobStatus) -> str:
    """A tag that two answers share if nothing has happened to the job between them."""
    return sha256(status.model_dump_json(exclude=FLEETING).encode()).hexdigest()[:32]


def _status(job: StatusRow, lately: Pace | None) -> JobStatus:
    counted = {(Stage(stage), ImageState(state)): images for stage, state, images in job.counts}
    counts = Counts(counted, job.rescored_from is not None)
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
        held_up=[
            HeldUp(stage=Stage(stage), reason=reason, detail=detail or "", images=images)
            for stage, reason, detail, images in job.held_up
        ],
        created_at=job.created_at,
        finished_at=job.finished_at,
        deadline=job.deadline,
        retention_seconds=job.retention_seconds,
        expires_at=job.expires_at,
        scores_only=job.scores_only,
        what_if=job.what_if,
        rescored_from=job.rescored_from,
        rescored_as=job.rescored_as,
        links={name: address.replace(_ANY, str(job.id)) for name, address in _addresses(request.script_root).items()},
    )


@lru_cache
def _addresses(root: str) -> dict[str, str]:
    """Where a service below `root` does these things with any job. Routing eleven of them takes longer than a query."""
    return {name: url_for(operation, job_id=_ANY) for name, operation in LINKS.items()}


def _stage(counts: Counts, stage: Stage, rate: float | None) -> StageProgress:
    return StageProgress(
        stage=stage,
        waiting=counts.waiting(stage),
        running=counts.running(stage),
        passed=counts.passed(stage),
        rate=round(rate, 3) if rate else None,
    )
