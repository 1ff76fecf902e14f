"""The faces of a job, in the order of their scores or of submission, each with its place in the set."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import REAL, ColumnElement, Row, Select, and_, cast, or_, select
from sqlalchemy.orm import Session

from services.api import face_cursor, owned, ranks
from services.api.face_cursor import FaceCursor
from services.api.face_results import explanations, face_result, originals
from services.api.parts import parts
from services.api.problems import Problem
from services.api.schemas import FacePath, FaceResult, JobPath
from services.api.schemas.faces import FaceImage, FaceInSet, FacesPage, FacesQuery, Order, RankedFace
from shared.database.tables import Face, Image, Job

api = APIBlueprint("faces", __name__, url_prefix="/v1", abp_tags=[Tag(name="results", description="Scores and why.")])

_DESCENDING = {Order.HIGHEST: True, Order.LOWEST: False, Order.POSITION: None}
_IMAGE = (Image.position, Image.name, Image.custom_id, Image.client_metadata)


@api.get("/jobs/<uuid:job_id>/faces", summary="List faces with their ranks", responses={200: FacesPage, 404: Problem})
def listed(path: JobPath, query: FacesQuery) -> dict[str, Any]:
    """The faces of a job by score, or in the order of submission, filtered. Ranks and percentiles are among all scored
    faces of the job as they are now, not only among those that the filters let through.
    """
    with parts().session(as_of_one_moment=True) as session:
        job = owned.job(session, path.job_id)
        cursor = face_cursor.read(job.id, query)
        rows = session.execute(_wanted(job, query, cursor).limit(query.limit + 1)).all()
        return _page(session, job, query, cursor, rows[: query.limit], more=len(rows) > query.limit).model_dump(
            mode="json"
        )


@api.get("/faces/<int:face_id>", summary="Read a face", responses={200: FaceInSet, 404: Problem})
def face(path: FacePath) -> dict[str, Any]:
    """One face, as the list of its job's faces has it, and how many faces its rank is among, all of one moment."""
    with parts().session(as_of_one_moment=True) as session:
        found = owned.face(session, path.face_id)
        job = session.get_one(Job, found.job_id)
        row = session.execute(
            select(Face, *_IMAGE).join(Image, Image.id == Face.image_id).where(Face.id == found.id)
        ).one()
        scores = [found.score] if found.score is not None else []
        scored, places = ranks.places(session, job, scores, None, None)
        [shown] = _ranked(session, job, [row], places)
        return FaceInSet(**dict(shown), scored=scored).model_dump(mode="json")


def _wanted(job: Job, query: FacesQuery, cursor: FaceCursor | None) -> Select[Any]:
    """The faces of a list, from behind the cursor on."""
    faces = select(Face, *_IMAGE).join(Image, Image.id == Face.image_id).where(Face.job_id == job.id)
    if query.min_score is not None:
        faces = faces.where(Face.score >= _stored(query.min_score))
    if query.max_score is not None:
        faces = faces.where(Face.score <= _stored(query.max_score))
    if query.min_percentile is not None:
        faces = faces.where(Face.percentile >= _stored(query.min_percentile))
    if query.max_percentile is not None:
        faces = faces.where(Face.percentile <= _stored(query.max_percentile))
    if query.flag:
        faces = faces.where(Face.flags.overlap(query.flag))
    if query.without_flags:
        faces = faces.where(Face.flags == [])
    if query.state:
        faces = faces.where(Image.state.in_(query.state))
    if query.reason:
        faces = faces.where(Image.reason.in_(query.reason))
    return _ordered(faces, job, query.order, cursor)


def _ordered(faces: Select[Any], job: Job, order: Order, cursor: FaceCursor | None) -> Select[Any]:
    if order == Order.POSITION:
        faces = faces.where(Image.job_id == job.id).order_by(Image.position, Face.position)
        if cursor is not None and cursor.position is not None:
            image, face = cursor.position
            behind = or_(Image.position > image, and_(Image.position == image, Face.position > face))
            faces = faces.where(Image.position >= image, behind)
        return faces
    descending = _DESCENDING[order]
    # Both orders read one index, forwards or backwards.
    keys = (Face.score.desc(), Face.id) if descending else (Face.score, Face.id.desc())
    faces = faces.where(Face.score.is_not(None)).order_by(*keys)
    if cursor is None:
        return faces
    last = cast(cursor.score, REAL)
    if descending:
        return faces.where(Face.score <= last, or_(Face.score < last, Face.id > cursor.face))
    return faces.where(Face.score >= last, or_(Face.score > last, Face.id < cursor.face))


def _page(
    session: Session, job: Job, query: FacesQuery, cursor: FaceCursor | None, rows: Sequence[Row[Any]], *, more: bool
) -> FacesPage:
    faces: list[Face] = [row.Face for row in rows]
    as_of = ranks.as_of(session, job)
    known = None
    if cursor is not None and cursor.score is not None and as_of is not None and cursor.as_of == as_of:
        known = ranks.Known(cursor.score, cursor.beside, cursor.scored)
    scores = [face.score for face in faces if face.score is not None]
    scored, places = ranks.places(session, job, scores, _DESCENDING[query.order], known)
    shown = _ranked(session, job, rows, places)
    following = None
    if more:
        end = FaceCursor(listing=face_cursor.listing(job.id, query), face=rows[-1].Face.id)
        following = _behind(end, query.order, rows[-1], scored, places, as_of).written()
    return FacesPage(scored=scored, faces=shown, next_cursor=following)


def _behind(
    end: FaceCursor, order: Order, last: Row[Any], scored: int, places: dict[float, ranks.Place], as_of: str | None
) -> FaceCursor:
    """The cursor behind the last face of a page."""
    if order == Order.POSITION:
        return end.model_copy(update={"position": (last.position, last.Face.position)})
    place = places[last.Face.score]
    beside = place.above if _DESCENDING[order] else place.below
    return end.model_copy(
        update={"score": last.Face.score, "beside": beside, "scored": scored, "as_of": as_of},
    )


def _ranked(
    session: Session, job: Job, rows: Sequence[Row[Any]], places: Mapping[float, ranks.Place]
) -> list[RankedFace]:
    faces: list[Face] = [row.Face for row in rows]
    why = explanations(session, [face.id for face in faces])
    others = originals(session, job, faces)
    return [
        _one(
            row,
            face_result(row.Face, why.get(row.Face.id), others.get(row.Face.id)),
            places[row.Face.score] if row.Face.score is not None else None,
        )
        for row in rows
    ]


def _one(row: Row[Any], result: FaceResult, place: ranks.Place | None) -> RankedFace:
    image = FaceImage(
        id=row.Face.image_id,
        position=row.position,
        name=row.name,
        custom_id=row.custom_id,
        metadata=row.client_metadata,
    )
    return RankedFace(
        **dict(result),
        image=image,
        rank=place.rank if place else None,
        percentile_in_set=place.percentile if place else None,
    )


def _stored(figure: float) -> ColumnElement[float]:
    """A score or percentile as precise as its column is. Postgres would refuse to make 1e-300 that by itself."""
    return cast(face_cursor.as_stored(figure), REAL)
