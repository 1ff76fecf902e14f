"""Reading the faces of images, as every stage after detection does."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from shared.database.session import autocommitting
from shared.database.tables import Face


def faces_of(database: Engine, image_ids: Sequence[int]) -> dict[int, list[Face]]:
    """The faces of each image by image id, in their order. They are detached: read, never written through."""
    found: dict[int, list[Face]] = defaultdict(list)
    with autocommitting(database) as connection, Session(connection, expire_on_commit=False) as session:
        query = select(Face).where(Face.image_id.in_(image_ids)).order_by(Face.image_id, Face.position)
        for face in session.scalars(query):
            found[face.image_id].append(face)
    return found
