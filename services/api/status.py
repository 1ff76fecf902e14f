"""How far a job is, from its counters: the same cost for ten images as for a million."""

from dataclasses import dataclass
from uuid import UUID

from flask import url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.api.parts import parts
from services.api.problems import NotFound
from services.api.schemas import BundleName, JobStatus, StageProgress
from shared.database.tables import Job, JobCount
from shared.errors import BundleInvalid
from shared.jobs.states import FINAL, ImageState, JobState, Stage
from shared.wording import about


@dataclass(frozen=True)
class Counts:
    """A job's counters. In a job that scores the faces of another again, described images begin at embedding."""

    images: dict[tuple[Stage, ImageState], int]
    rescored: bool = False

    @property
    def total(self) -> int:
        return sum(self.images.values())

    def in_state(self, state: ImageState) -> int:
        return sum(number for (_, there), number in self.images.items() if there == state)

    def stage(self, stage: Stage) -> StageProgress:
        """Where the images are with respect to one stage."""
        running = self.images.get((stage, ImageState.RUNNING), 0)
        waiting = self.images.get((stage, ImageState.READY), 0) + self.images.get((stage, ImageState.DISPATCHED), 0)
        journey = list(Stage)
        passed = sum(
            number
            for (there, state), number in self.images.items()
            if journey.index(there) > journey.index(stage) or (there == stage and state in FINAL)
        )
        return StageProgress(stage=stage, waiting=waiting, running=running, passed=passed)

    @property
    def progress(self) -> float:
        """The share of all stages of all images that is done; 1 if there is nothing to do.

        An ended image has nothing left to do. Intake does not count: uploads have it behind them from the start, and
        would begin at a fifth. Neither does an image that a rescored job has only as the source left it: to count as
        done what was never begun would make the rest look quick.
        """
        journey = list(Stage)
        begin = journey.index(Stage.EMBEDDING if self.rescored else Stage.DETECTION)
        whole = len(journey) - begin
        done = todo = 0
        for (stage, state), number in self.images.items():
            behind = journey.index(stage) - begin
            if self.rescored and behind < 0:
                continue
            done += number * (whole if state in FINAL else max(behind, 0))
            todo += number * whole
        return done / todo if todo else 1.0


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
    found = session.execute(
        select(Job, func.extract("epoch", func.now() - Job.created_at).label("age")).where(Job.id == job_id)
    ).one_or_none()
    if found is None:
        raise NotFound(f"There is no job {job_id}.")
    job, age = found
    rows = session.execute(select(JobCount.stage, JobCount.state, JobCount.images).where(JobCount.job_id == job_id))
    counts = Counts(
        {(Stage(row.stage), ImageState(row.state)): row.images for row in rows if row.images},
        rescored=job.rescored_from is not None,
    )
    again = session.scalars(select(Job.id).where(Job.rescored_from == job_id).order_by(Job.created_at))
    return JobStatus(
        id=job.id,
        name=job.name,
        metadata=job.client_metadata,
        state=JobState(job.state),
        captioner=job.captioner,
        bundle=bundle_name(job.bundle),
        images=counts.total,
        counts={state: counts.in_state(state) for state in ImageState},
        stages=[counts.stage(stage) for stage in Stage],
        progress=round(counts.progress, 4),
        estimate_seconds=_estimate(job, float(age), counts.progress),
        created_at=job.created_at,
        finished_at=job.finished_at,
        rescored_from=job.rescored_from,
        rescored_as=list(again),
        links={
            "self": url_for("jobs.show", job_id=job_id),
            "results": url_for("results.page", job_id=job_id),
            "cancel": url_for("jobs.cancel", job_id=job_id),
            "rescore": url_for("jobs.rescore_job", job_id=job_id),
        },
    )


def _estimate(job: Job, age: float, progress: float) -> float | None:
    """Seconds until the end at the pace so far: 0 when it has ended, None while nothing is done yet."""
    if job.finished_at is not None:
        return 0.0
    return round(age * (1 - progress) / progress, 1) if progress else None
