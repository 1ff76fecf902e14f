"""Faces and images as answers show them, from their rows."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from flask import url_for
from sqlalchemy import and_, select
from sqlalchemy.orm import Session, aliased, defer

from services.api import owned, schemas
from services.api.problems import NotFound, NotYet
from services.api.status import bundle_name
from shared.database.tables import Attempt, Explanation, Face, Image, Job
from shared.jobs.states import ImageState, Stage


def explanation(session: Session, face_id: int) -> Explanation:
    """A face's explanation. Raises NotFound, also where it was not kept, or NotYet if the face is not scored yet."""
    face = owned.face(session, face_id)
    found = session.get(Explanation, face_id)
    if found is None and face.score is not None:
        raise NotFound(f"The explanation of face {face_id} was not kept: its job keeps scores only.")
    if found is None:
        raise NotYet(f"Face {face_id} has no score yet.")
    return found


def matrix(content: bytes, why: Explanation) -> np.ndarray:
    """Stored float32 as an array, words x regions."""
    return np.frombuffer(content, dtype="<f4").reshape(len(why.words), why.rows * why.columns)


def explanations(session: Session, face_ids: Sequence[int]) -> dict[int, Explanation]:
    """The explanations of some faces, without the attention: it is as large as all the rest, and not shown here."""
    query = select(Explanation).where(Explanation.face_id.in_(face_ids)).options(defer(Explanation.attention))
    return {why.face_id: why for why in session.scalars(query)}


def originals(session: Session, job: Job, faces: Iterable[Face]) -> dict[int, int]:
    """By the id of a face of a what-if, the face that it is under other words; nothing for other jobs."""
    if not job.what_if:
        return {}
    original = aliased(Face)
    query = (
        select(Face.id, original.id)
        .join(Image, Image.id == Face.image_id)
        .join(original, and_(original.image_id == Image.reused_from, original.position == Face.position))
    )
    return {row[0]: row[1] for row in session.execute(query.where(Face.id.in_([face.id for face in faces])))}


def image_results(session: Session, job: Job, images: Sequence[Image]) -> list[schemas.ImageResult]:
    """Images of a job with everything that belongs to them, read in a few queries however many they are."""
    ids = [image.id for image in images]
    faces = session.scalars(select(Face).where(Face.image_id.in_(ids)).order_by(Face.image_id, Face.position)).all()
    why = explanations(session, [face.id for face in faces])
    others = originals(session, job, faces)
    shown: dict[int, list[schemas.FaceResult]] = defaultdict(list)
    for face in faces:
        shown[face.image_id].append(face_result(face, why.get(face.id), others.get(face.id)))
    attempts = _attempts(session, ids)
    return [_image_result(image, job, shown[image.id], attempts[image.id]) for image in images]


def _attempts(session: Session, image_ids: Sequence[int]) -> dict[int, list[schemas.FailedAttempt]]:
    found: dict[int, list[schemas.FailedAttempt]] = defaultdict(list)
    for each in session.scalars(select(Attempt).where(Attempt.image_id.in_(image_ids)).order_by(Attempt.id)):
        found[each.image_id].append(
            schemas.FailedAttempt(
                stage=Stage(each.stage),
                attempt=each.attempt,
                reason=each.reason,
                detail=each.detail,
                ended_at=each.ended_at,
            )
        )
    return found


def _image_result(
    image: Image, job: Job, faces: list[schemas.FaceResult], attempts: list[schemas.FailedAttempt]
) -> schemas.ImageResult:
    return schemas.ImageResult(
        id=image.id,
        position=image.position,
        image=image.name,
        custom_id=image.custom_id,
        metadata=image.client_metadata,
        state=ImageState(image.state),
        stage=Stage(image.stage),
        reason=image.reason,
        detail=image.detail,
        width=image.width,
        height=image.height,
        detector=image.detector,
        reused=was_reused(image.reused_from, job),
        attempts=attempts,
        faces=faces,
        links={"photo": url_for("pictures.photo", image_id=image.id)} if image.photo_key else {},
    )


def was_reused(reused_from: int | None, job: Job) -> bool:
    """Whether computing an image was spared. In a what-if the column only says which image the face is of."""
    return reused_from is not None and not job.what_if


def face_result(face: Face, why: Explanation | None, what_if_of: int | None = None) -> schemas.FaceResult:
    """A face with its explanation, if it has one."""
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
        encoders=face.encoders,
        explanation=_why(why) if why else None,
        what_if_of=what_if_of,
        links=_links(face, explained=why is not None),
    )


def _links(face: Face, *, explained: bool) -> dict[str, str]:
    links = {"self": url_for("faces.face", face_id=face.id)}
    if face.crop_key:
        links["crop"] = url_for("pictures.crop", face_id=face.id)
    if explained:
        links["explanation"] = url_for("results.explain", face_id=face.id)
        for picture in ("heatmap", "words", "explanation_picture"):
            links[picture] = url_for(f"pictures.{picture}", face_id=face.id)
    return links


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
