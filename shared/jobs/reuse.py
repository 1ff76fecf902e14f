"""Finding what was computed before for the same bytes: an image's twins.

A twin is an image of the same tenant with the same SHA-256. Nothing else makes one: no likeness, no person, and never
an image of somebody else's. What is found is copied by the caller, into rows and objects of the image's own job, so
that each can be deleted without the other.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

from shared.database.tables import Explanation, Face, Image
from shared.jobs.states import FINAL, ImageState

# Boxes of the same face in the same bytes differ by no more, in pixels, on whichever machine it was found.
SAME_BOX = 1.0


@dataclass(frozen=True)
class Twin:
    """What detection made of the same bytes. The rows are detached: read, never written through."""

    image: Image
    faces: list[Face]

    @property
    def faceless(self) -> bool:
        return self.image.state == ImageState.SKIPPED


@dataclass(frozen=True)
class ScoredFace:
    """A twin's face, with its caption and its score, and why it has that."""

    face: Face
    why: Explanation


@dataclass(frozen=True)
class ScoredTwin:
    """What all stages made of the same bytes. `faces` are in the order of their positions."""

    image_id: int
    faces: list[ScoredFace]

    def fits(self, faces: Sequence[Face]) -> bool:
        """Whether these are the same faces as the twin's."""
        return len(faces) == len(self.faces) and all(
            one.position == other.face.position
            and all(abs(a - b) <= SAME_BOX for a, b in zip(one.box, other.face.box, strict=True))
            for one, other in zip(faces, self.faces, strict=True)
        )


# Only what has its own pixels can be copied from: a job that scores again looks at another's, and `scores_only` ones
# lose them. LIMIT without ORDER: a set may hold an image a hundred thousand times, and one twin is as good as another.
# Searched for once for all images of a batch with the same bytes.
#
# Here and below bytes are what is searched by, and what their job must be like is asked of each image that is found: in
# subqueries, because a join may as well begin with all jobs of a tenant, and go through all of their images.
_TWINS = """
with mine as (
    select id, content_digest, (select tenant from jobs where jobs.id = images.job_id) as tenant from images
    where id = any(:ids) and content_digest is not null
)
select mine.id as image, twin.id as twin
from (select distinct content_digest, tenant from mine) as wanted
cross join lateral (
    select other.id from images as other
    where other.content_digest = wanted.content_digest and other.id <> all(:ids)
    and other.detector = :detector and other.photo_key is not null and (not :ended or other.state = any(:results))
    and (
        select tenant = wanted.tenant and rescored_from is null and not what_if and not scores_only
        from jobs where jobs.id = other.job_id)
    and (other.state = 'skipped' or exists (select from faces where image_id = other.id))
    and not exists (select from faces where image_id = other.id and crop_key is null)
    limit 1
) as twin
join mine using (content_digest, tenant)
"""

_RESULTS = [str(ImageState.SUCCEEDED), str(ImageState.SKIPPED)]


def repeated(session: Session, image_ids: Collection[int]) -> set[int]:
    """Those of which the same bytes are there once more, anywhere: the others can have no twin. Mostly there are none,
    and nothing more has to be asked.
    """
    # OFFSET 0 keeps it from being made a join, by which whole tables may be gone through.
    query = """
        select id from images as mine
        where id = any(:ids) and exists (
            select from images as other
            where other.content_digest = mine.content_digest and other.id <> mine.id offset 0)
    """
    return set(session.execute(text(query), {"ids": list(image_ids)}).scalars())


def looked_at(session: Session, image_ids: Collection[int], detector: str, *, ended: bool) -> dict[int, Twin]:
    """By image id, a twin in which faces were looked for with `detector`; with `ended`, one that has its results."""
    found = session.execute(
        text(_TWINS), {"ids": list(image_ids), "detector": detector, "ended": ended, "results": _RESULTS}
    ).all()
    if not found:
        return {}
    twin_ids = {row.twin for row in found}
    images = {image.id: image for image in session.scalars(select(Image).where(Image.id.in_(twin_ids)))}
    faces: dict[int, list[Face]] = {image_id: [] for image_id in images}
    for face in session.scalars(select(Face).where(Face.image_id.in_(twin_ids)).order_by(Face.position)):
        faces[face.image_id].append(face)
    # One that was deleted between these queries is not there in the later ones.
    there = {twin_id: Twin(image, faces[twin_id]) for twin_id, image in images.items()}
    return {
        row.image: there[row.twin]
        for row in found
        if row.twin in there and (there[row.twin].faces or there[row.twin].faceless)
    }


def on_the_way(connection: Connection | Session, image_ids: Collection[int]) -> dict[int, float]:
    """Those with an unfinished twin before them in their own job, and for how many seconds that job has been there.

    Of several twins the first goes on and the others wait for it, so nobody waits in a circle. Results of `scores_only`
    jobs cannot be taken over, so there nobody waits; nor where one of them has failed: the others would fail one after
    the other, each after a wait.
    """
    # Said so that only the index of bytes can be of use: OFFSET 0 makes it no join, and IS NOT DISTINCT FROM and a
    # difference leave the indexes of jobs and of ids out, by either of which whole jobs would be gone through.
    rows = connection.execute(
        text("""
            select mine.id, extract(epoch from now() - jobs.created_at) as seconds
            from images as mine join jobs on jobs.id = mine.job_id
            where mine.id = any(:ids) and mine.content_digest is not null and not jobs.scores_only
            and exists (
                select from images as other
                where other.content_digest = mine.content_digest and other.job_id is not distinct from mine.job_id
                and other.id - mine.id < 0 and other.state <> all(:final) offset 0)
            and not exists (
                select from images as other
                where other.content_digest = mine.content_digest and other.job_id is not distinct from mine.job_id
                and other.state = 'failed' offset 0)
        """),
        {"ids": list(image_ids), "final": [str(state) for state in FINAL]},
    )
    return {row.id: float(row.seconds) for row in rows}


_SCORED_TWINS = """
with mine as (
    select images.id, content_digest, detector, tenant, bundle from images
    cross join lateral (select tenant, bundle from jobs where jobs.id = images.job_id offset 0) as job
    where images.id = any(:ids) and content_digest is not null
)
select mine.id as image, twin.id as twin
from (select distinct content_digest, detector, tenant, bundle from mine) as wanted
cross join lateral (
    select other.id from images as other
    where other.content_digest = wanted.content_digest and other.id <> all(:ids)
    and other.detector = wanted.detector and other.state = 'succeeded'
    and (
        select tenant = wanted.tenant and bundle = wanted.bundle and not what_if and not scores_only
        from jobs where jobs.id = other.job_id)
    and exists (select from faces where image_id = other.id)
    and not exists (
        select from faces left join explanations on explanations.face_id = faces.id
        where image_id = other.id and (
            captioner is distinct from cast(:captioner as jsonb) or caption is null or score is null
            or faces.bundle is distinct from wanted.bundle or explanations.face_id is null))
    limit 1
) as twin
join mine using (content_digest, detector, tenant, bundle)
"""


def scored(session: Session, image_ids: Collection[int], captioner: dict[str, Any]) -> dict[int, ScoredTwin]:
    """By image id, a twin whose faces this very captioner described and the job's bundle scored."""
    found = session.execute(text(_SCORED_TWINS), {"ids": list(image_ids), "captioner": json.dumps(captioner)}).all()
    if not found:
        return {}
    query = (
        select(Face, Explanation)
        .join(Explanation, Explanation.face_id == Face.id)
        .where(Face.image_id.in_({row.twin for row in found}))
        .order_by(Face.image_id, Face.position)
    )
    faces: dict[int, list[ScoredFace]] = {}
    for face, why in session.execute(query):
        faces.setdefault(face.image_id, []).append(ScoredFace(face, why))
    return {row.image: ScoredTwin(row.twin, faces[row.twin]) for row in found if row.twin in faces}
