"""The captioning stage: reads crops; writes captions and who wrote them."""

from typing import cast
from uuid import UUID

import numpy as np
from sqlalchemy import Connection, bindparam, update

from shared.database.faces import faces_of
from shared.database.tables import Face
from shared.errors import FacememError
from shared.jobs.delivery import ClaimedImage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, Failed, Outcome, Save, Skipped, Work
from shared.settings import Captioner
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
        return [captioned(image, faces[image.id]) for image in images]

    return work, _save


def _portrait(connections: Connections, face: Face) -> Portrait:
    left, top, right, bottom = face.crop_box
    return Portrait(
        connections.objects.get(face.crop_key),
        (left, top, right, bottom),
        np.array(face.landmarks, dtype=np.float32).reshape(5, 2),
    )


def _save(connection: Connection, outcomes: list[Done | Skipped]) -> None:
    rows = [
        {"face": face_id, "caption": caption.text, "captioner": caption.captioner}
        for outcome in outcomes
        for face_id, caption in outcome.output.items()
    ]
    if rows:
        connection.execute(
            update(Face)
            .where(Face.id == bindparam("face"))
            .values(caption=bindparam("caption"), captioner=bindparam("captioner")),
            rows,
        )
