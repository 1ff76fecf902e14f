"""The way of one image, as far as the database keeps it: what was accepted, what failed, what became of its job."""

from collections.abc import Iterator
from typing import Any

from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.api import owned, schemas
from services.api.caller import caller
from services.api.face_results import image_results
from services.api.parts import parts
from services.api.problems import Problem
from services.api.schemas.trace import ImageTrace, TraceStep
from shared.database.tables import Audit, Image, Job
from shared.jobs.states import JobState, Stage

api = APIBlueprint("trace", __name__, url_prefix="/v1", abp_tags=[Tag(name="results", description="Scores and why.")])

# Told by the rows of job and image themselves.
TOLD = ("job.submitted", "job.cancelled")


@api.get("/images/<int:image_id>/trace", summary="Follow an image's way", responses={200: ImageTrace, 404: Problem})
def show(path: schemas.ImagePath) -> dict[str, Any]:
    """All that the database keeps of an image's way, in the order of time. `facemem trace` lays the logs beside it."""
    with parts().session(as_of_one_moment=True) as session:
        image = owned.image(session, path.image_id)
        job = session.get_one(Job, image.job_id)
        [result] = image_results(session, job, [image])
        return ImageTrace(
            job=job.id,
            job_state=JobState(job.state),
            image=result,
            attempt=image.attempt,
            batch=image.batch_id,
            not_before=image.not_before,
            steps=sorted(_steps(session, job, image, result), key=lambda step: step.at),
        ).model_dump(mode="json")


def _steps(session: Session, job: Job, image: Image, result: schemas.ImageResult) -> Iterator[TraceStep]:
    """In an order that holds among those of one moment."""
    yield TraceStep(at=image.created_at, event="accepted")
    for failed in result.attempts:
        yield TraceStep(
            at=failed.ended_at,
            event="attempt_failed",
            stage=failed.stage,
            attempt=failed.attempt,
            reason=failed.reason,
            detail=failed.detail,
        )
    done = select(Audit.at, Audit.action).where(
        Audit.tenant == caller().tenant,
        Audit.subject == str(job.id),
        Audit.action.not_in(TOLD),
    )
    for action in session.execute(done.order_by(Audit.id)):
        yield TraceStep(at=action.at, event=action.action)
    if image.finished_at is not None:
        stage = Stage(image.stage)
        yield TraceStep(at=image.finished_at, event=image.state, stage=stage, reason=image.reason, detail=image.detail)
    if job.finished_at is not None:
        yield TraceStep(at=job.finished_at, event=f"job.{job.state}")
