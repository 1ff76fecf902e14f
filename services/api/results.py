"""Results: images in the order of submission, each with its faces, while the job runs and after."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
from flask import url_for
from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from services.api import schemas
from services.api.parts import parts
from services.api.problems import NotFound, NotYet, Problem
from services.api.status import bundle_name
from shared.database.tables import Attempt, Explanation, Face, Image, Job
from shared.jobs.states import ImageState, JobState, Stage

api = APIBlueprint("results", __name__, url_prefix="/v1", abp_tags=[Tag(name="results", description="Scores and why.")])


@api.get("/jobs/<uuid:job_id>/results", summary="Read results", responses={200: schemas.ResultsPage, 404: Problem})
def page(path: schemas.JobPath, query: schemas.ResultsQuery) -> dict[str, Any]:
    """A page of images in the order of submission. Positions never change, so pages do not shift while the job runs."""
    with Session(parts().database) as session:
        job = session.get(Job, path.job_id)
        if job is None:
            raise NotFound(f"There is no job {path.job_id}.")
        images = session.scalars(
            select(Image)
            .where(Image.job_id == job.id, Image.position >= query.cursor)
            .order_by(Image.position)
            .limit(query.limit + 1)
        ).all()
        shown, more = images[: query.limit], images[query.limit :]
        return schemas.ResultsPage(
            job=job.id,
            state=JobState(job.state),
            results=_images(session, shown),
            next_cursor=more[0].position if more else None,
        ).model_dump(mode="json")


@api.get("/faces/<int:face_id>", summary="Read a face", responses={200: schemas.FaceResult, 404: Problem})
def face(path: schemas.FacePath) -> dict[str, Any]:
    """One face, as the results of its job have it."""
    with Session(parts().database) as session:
        found = session.get(Face, path.face_id)
        if found is None:
            raise NotFound(f"There is no face {path.face_id}.")
        return _face(found, session.get(Explanation, path.face_id)).model_dump(mode="json")


@api.get(
    "/faces/<int:face_id>/explanation",
    summary="Explain a score in full",
    responses={200: schemas.Explanation, 404: Problem, 409: Problem},
)
def explain(path: schemas.FacePath) -> dict[str, Any]:
    """What every word adds at every region of the crop. The sum and the constant give the logit exactly."""
    with Session(parts().database) as session:
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


def explanation(session: Session, face_id: int) -> Explanation:
    """A face's explanation. Raises NotFound, or NotYet if the face is not scored yet."""
    found = session.get(Explanation, face_id)
    if found is not None:
        return found
    if session.get(Face, face_id) is None:
        raise NotFound(f"There is no face {face_id}.")
    raise NotYet(f"Face {face_id} has no score yet.")


def matrix(content: bytes, why: Explanation) -> np.ndarray:
    """Stored float32 as an array, words x regions."""
    return np.frombuffer(content, dtype="<f4").reshape(len(why.words), why.rows * why.columns)


def _images(session: Session, images: Iterable[Image]) -> list[schemas.ImageResult]:
    """The answer's images, with everything that belongs to them read in three queries."""
    images = list(images)
    ids = [image.id for image in images]
    faces: dict[int, list[schemas.FaceResult]] = defaultdict(list)
    query = select(Face, Explanation).join(Explanation, isouter=True).where(Face.image_id.in_(ids))
    # The attention is as large as all the rest, and only `explain` shows it.
    query = query.options(defer(Explanation.attention)).order_by(Face.image_id, Face.position)
    for face, why in session.execute(query):
        faces[face.image_id].append(_face(face, why))
    attempts: dict[int, list[schemas.FailedAttempt]] = defaultdict(list)
    for each in session.scalars(select(Attempt).where(Attempt.image_id.in_(ids)).order_by(Attempt.id)):
        attempts[each.image_id].append(
            schemas.FailedAttempt(
                stage=Stage(each.stage),
                attempt=each.attempt,
                reason=each.reason,
                detail=each.detail,
                ended_at=each.ended_at,
            )
        )
    return [_image(image, faces[image.id], attempts[image.id]) for image in images]


def _image(image: Image, faces: list[schemas.FaceResult], attempts: list[schemas.FailedAttempt]) -> schemas.ImageResult:
    return schemas.ImageResult(
        id=image.id,
        position=image.position,
        image=image.name,
        metadata=image.client_metadata,
        state=ImageState(image.state),
        stage=Stage(image.stage),
        reason=image.reason,
        detail=image.detail,
        width=image.width,
        height=image.height,
        attempts=attempts,
        faces=faces,
        links={"photo": url_for("pictures.photo", image_id=image.id)} if image.photo_key else {},
    )


def _face(face: Face, why: Explanation | None) -> schemas.FaceResult:
    links = {"self": url_for("results.face", face_id=face.id), "crop": url_for("pictures.crop", face_id=face.id)}
    if why is not None:
        links["explanation"] = url_for("results.explain", face_id=face.id)
        for picture in ("heatmap", "words", "explanation_picture"):
            links[picture] = url_for(f"pictures.{picture}", face_id=face.id)
    return schemas.FaceResult(
        id=face.id,
        face=face.position,
        score=face.score,
        uncertainty=face.uncertainty,
        percentile=face.percentile,
        box=(face.box[0], face.box[1], face.box[2], face.box[3]),
        landmarks=list(zip(face.landmarks[::2], face.landmarks[1::2], strict=True)),
        confidence=face.confidence,
        flags=face.flags,
        caption=face.caption,
        captioner=face.captioner,
        words=_heaviest_first(why) if why else None,
        bundle=bundle_name(face.bundle) if face.bundle else None,
        explanation=_why(why) if why else None,
        links=links,
    )


def _heaviest_first(why: Explanation) -> list[schemas.Word]:
    words = [schemas.Word(**word) for word in why.words]
    return sorted(words, key=lambda word: abs(word.contribution), reverse=True)


def _why(why: Explanation) -> schemas.WhyScore:
    regions = matrix(why.contributions, why).sum(axis=0)
    return schemas.WhyScore(
        logit=why.logit,
        constant=why.constant,
        grid=(why.rows, why.columns),
        regions=[round(float(region), 6) for region in regions],
    )
