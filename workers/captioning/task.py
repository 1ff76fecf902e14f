"""The captioning stage: reads crops; writes captions and who wrote them.

Where this very captioner has described the same bytes before, and the same bundle has scored them, an image ends here.
"""

from typing import cast
from uuid import UUID

import numpy as np
from sqlalchemy import Connection, bindparam, update
from sqlalchemy.orm import Session

from shared.database.faces import faces_of
from shared.database.tables import Face
from shared.errors import FacememError
from shared.jobs import reuse
from shared.jobs.delivery import ClaimedImage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, Failed, Finished, Outcome, Save, Saved, Work
from shared.settings import Captioner
from workers.captioning import reused
from workers.captioning.caption import Captioners, Portrait


def build(connections: Connections) -> tuple[Work, Save]:
    """Set the captioners up; return the stage's work and save."""
    captioners = Captioners(connections.settings)

    def captioned(image: ClaimedImage, faces: list[Face]) -> Outcome:
        wanted = cast(Captioner, image.captioner)
        try:
            return Done(
                image,
                {face.id: captioners.caption(_portrait(connections, face), wanted) for face in faces},
            )
        except FacememError as error:
            return Failed(image, error)

    def work(images: list[ClaimedImage], token: UUID) -> list[Outcome]:
        faces = faces_of(connections.database, [image.id for image in images])
        twins = _scored_twins(connections, images, captioners)
        return [
            Finished(image, reused.take_over(twin, faces[image.id]))
            if (twin := twins.get(image.id)) and twin.fits(faces[image.id])
            else captioned(image, faces[image.id])
            for image in images
        ]

    return work, _save


def _scored_twins(
    connections: Connections, images: list[ClaimedImage], captioners: Captioners
) -> dict[int, reuse.ScoredTwin]:
    """Images of the same bytes that have what these would get, by the captioner that would write theirs now."""
    writer = captioners.identity(cast(Captioner, images[0].captioner))  # a batch is of one job
    if writer is None:
        return {}
    with Session(connections.database, expire_on_commit=False) as session:
        found = reuse.scored(session, [image.id for image in images], writer)
        session.expunge_all()
    return found


def _portrait(connections: Connections, face: Face) -> Portrait:
    left, top, right, bottom = face.crop_box
    return Portrait(
        connections.objects.get(face.crop_key or ""),
        (left, top, right, bottom),
        np.array(face.landmarks, dtype=np.float32).reshape(5, 2),
    )


def _save(connection: Connection, outcomes: list[Saved]) -> None:
    reused.save(connection, {each.image.id: each.output for each in outcomes if isinstance(each, Finished)})
    rows = [
        {"face": face_id, "caption": caption.text, "captioner": caption.captioner}
        for outcome in outcomes
        if isinstance(outcome, Done)
        for face_id, caption in outcome.output.items()
    ]
    if rows:
        connection.execute(
            update(Face)
            .where(Face.id == bindparam("face"))
            .values(caption=bindparam("caption"), captioner=bindparam("captioner")),
            rows,
        )
