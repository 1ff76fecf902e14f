"""Reading the images of a job for an export: in the order of submission, some at a time.

Each batch is read in a transaction of its own, and the connection given back before it is written out: who receives an
export may be slow, connections are few, and a transaction that stays open for minutes keeps Postgres from clearing up
behind everybody else. Positions never change, so nothing comes twice or is left out; an image is as it was when its
batch was read.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session

from services.api.face_results import was_reused
from services.api.parts import Parts
from services.api.problems import NotFound
from services.export.records import ImageToExport, ScoredFace
from shared.database.tables import Explanation, Face, Image, Job

BATCH = 500  # images

_IMAGE = (Image.id, Image.position, Image.name, Image.state, Image.reason)
_IMAGE_SAID = (Image.custom_id, Image.client_metadata, Image.reused_from)
_FACE = (Face.image_id, Face.id, Face.position, Face.score, Face.uncertainty, Face.percentile)
_FACE_SAID = (Face.box, Face.flags, Face.caption, Face.bundle, Explanation.words)


def batches(ours: Parts, tenant: str, job_id: UUID) -> Iterator[list[ImageToExport]]:
    """All images of a job. Raises NotFound when the job is deleted on the way, so that no part looks like the whole.

    Needs no request: most of it happens while the answer is being sent.
    """
    position = 0
    while True:
        with ours.session(tenant=tenant) as session:
            job = session.scalar(select(Job).where(Job.id == job_id, Job.tenant == tenant))
            if job is None:
                raise NotFound(f"There is no job {job_id}.")
            wanted: Select[Any] = select(*_IMAGE, *_IMAGE_SAID).order_by(Image.position).limit(BATCH)
            wanted = wanted.where(Image.job_id == job.id, Image.position >= position)
            images = session.execute(wanted).all()
            faces = _faces(session, ours, [image.id for image in images])
        if not images:
            return
        position = images[-1].position + 1
        yield [_image(image, job, faces[image.id]) for image in images]


def _faces(session: Session, ours: Parts, image_ids: Sequence[int]) -> dict[int, list[ScoredFace]]:
    found: dict[int, list[ScoredFace]] = defaultdict(list)
    query: Select[Any] = select(*_FACE, *_FACE_SAID).outerjoin(Explanation, Explanation.face_id == Face.id)
    query = query.where(Face.image_id.in_(image_ids), Face.score.is_not(None)).order_by(Face.image_id, Face.position)
    for row in session.execute(query):
        found[row.image_id].append(_face(row, ours.bundle_name(row.bundle)))
    return found


def _image(row: Row[Any], job: Job, faces: Sequence[ScoredFace]) -> ImageToExport:
    return ImageToExport(
        id=row.id,
        name=row.name,
        state=row.state,
        reason=row.reason,
        custom_id=row.custom_id,
        metadata=row.client_metadata,
        reused=was_reused(row.reused_from, job),
        faces=faces,
    )


def _face(row: Row[Any], bundle: str | None) -> ScoredFace:
    words = [(word["text"], word["contribution"]) for word in row.words or ()]
    return ScoredFace(
        id=row.id,
        position=row.position,
        score=row.score,
        uncertainty=row.uncertainty,
        percentile=row.percentile,
        box=row.box,
        flags=row.flags,
        caption=row.caption,
        words=sorted(words, key=lambda word: -abs(word[1])),
        bundle={"name": bundle, "digest": row.bundle},
    )
