"""Ending an image with what the same bytes got before: captions, scores and explanations, as rows to be written."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, update

from shared.database.tables import Explanation, Face, Image
from shared.jobs.reuse import ScoredFace, ScoredTwin

FROM_CAPTION_ON = ("caption", "captioner", "encoders", "score", "uncertainty", "percentile", "bundle", "scored_at")
WHY = ("logit", "constant", "words", "rows", "columns", "contributions", "attention")


@dataclass(frozen=True)
class Reused:
    """What a twin's faces have, by the ids of the faces that are to have it too."""

    twin: int
    faces: dict[int, ScoredFace]


def take_over(twin: ScoredTwin, faces: list[Face]) -> Reused:
    """Pair an image's faces with those of a twin that fits them."""
    return Reused(twin.image_id, {face.id: other for face, other in zip(faces, twin.faces, strict=True)})


def save(connection: Connection, reused: dict[int, Reused]) -> None:
    """Write what images, by id, take over."""
    faces = {face_id: scored for each in reused.values() for face_id, scored in each.faces.items()}
    if not faces:
        return
    connection.execute(
        update(Image).where(Image.id == bindparam("image")).values(reused_from=bindparam("twin")),
        [{"image": image_id, "twin": each.twin} for image_id, each in reused.items()],
    )
    connection.execute(
        update(Face)
        .where(Face.id == bindparam("face"))
        .values({column: bindparam(f"its_{column}") for column in FROM_CAPTION_ON}),
        [
            {"face": face_id, **{f"its_{column}": getattr(scored.face, column) for column in FROM_CAPTION_ON}}
            for face_id, scored in faces.items()
        ],
    )
    connection.execute(delete(Explanation).where(Explanation.face_id.in_(faces)))
    connection.execute(insert(Explanation), [_why(face_id, scored.why) for face_id, scored in faces.items()])


def _why(face_id: int, why: Explanation) -> dict[str, Any]:
    return {"face_id": face_id, **{column: getattr(why, column) for column in WHY}}
