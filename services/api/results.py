"""Results: images in the order of submission, each with its faces, while the job runs and after."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import Select, select

from services.api import owned, schemas
from services.api.face_results import explanation, image_results, matrix
from services.api.parts import parts
from services.api.problems import Problem
from shared.database.tables import Image, Job
from shared.jobs.states import JobState

api = APIBlueprint("results", __name__, url_prefix="/v1", abp_tags=[Tag(name="results", description="Scores and why.")])


@api.get("/jobs/<uuid:job_id>/results", summary="Read results", responses={200: schemas.ResultsPage, 404: Problem})
def page(path: schemas.JobPath, query: schemas.ResultsQuery) -> dict[str, Any]:
    """A page of images in the order of submission. Positions never change, so pages do not shift while the job runs."""
    with parts().session() as session:
        job = owned.job(session, path.job_id)
        images = session.scalars(_wanted(job, query).limit(query.limit + 1)).all()
        shown, more = images[: query.limit], images[query.limit :]
        return schemas.ResultsPage(
            job=job.id,
            state=JobState(job.state),
            results=image_results(session, job, shown),
            next_cursor=more[0].position if more else None,
        ).model_dump(mode="json")


def _wanted(job: Job, query: schemas.ResultsQuery) -> Select[Image]:
    images = select(Image).where(Image.job_id == job.id, Image.position >= query.cursor).order_by(Image.position)
    if query.state:
        images = images.where(Image.state.in_(query.state))
    if query.reason:
        images = images.where(Image.reason.in_(query.reason))
    return images


@api.get(
    "/faces/<int:face_id>/explanation",
    summary="Explain a score in full",
    responses={200: schemas.Explanation, 404: Problem, 409: Problem},
)
def explain(path: schemas.FacePath) -> dict[str, Any]:
    """What every word adds at every region of the crop. The sum and the constant give the logit exactly."""
    with parts().session() as session:
        why = explanation(session, path.face_id)
        return schemas.Explanation(
            face=path.face_id,
            logit=why.logit,
            constant=why.constant,
            words=[schemas.Word(**word) for word in why.words],
            grid=(why.rows, why.columns),
            contributions=matrix(why.contributions, why).tolist(),
            attention=matrix(why.attention, why).tolist(),
        ).model_dump(mode="json")
