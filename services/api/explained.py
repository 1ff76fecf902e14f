"""Reading a scored face with all that its pictures show."""

from dataclasses import dataclass
from functools import partial

from services.api import owned
from services.api.face_results import explanation, matrix
from services.api.parts import parts
from services.api.schemas import Word
from services.api.status import about_scores
from shared.database.tables import Face, Image
from shared.drawing.explained import ExplainedFace


@dataclass(frozen=True)
class Shown:
    """A face, what its page is headed with, and what its bundle's card says of scores."""

    face: ExplainedFace
    title: str
    about: str


def shown(face_id: int) -> Shown:
    """The face with its crop. Raises NotFound, or NotYet if it is not scored yet.

    Storage is read after the session has ended, as for every picture.
    """
    with parts().session() as session:
        why = explanation(session, face_id)
        face = session.get_one(Face, face_id)
        image = session.get_one(Image, face.image_id)
        drawn_with = partial(
            ExplainedFace,
            caption=face.caption or "",
            words=[Word(**word) for word in why.words],
            contributions=matrix(why.contributions, why).reshape(-1, why.rows, why.columns),
            constant=why.constant,
            logit=why.logit,
            score=face.score or 0.0,
            uncertainty=face.uncertainty or 0.0,
            percentile=face.percentile or 0.0,
            flags=list(face.flags),
        )
        key, digest, name = owned.crop_key(session, face_id), face.bundle or "", image.name
    bundle = f"bundle {parts().bundle_name(digest) or 'unknown'} {digest[:8]}"
    title = f"Face {face_id} · {bundle} · {name}"
    return Shown(drawn_with(parts().objects.get(key)), title, about_scores(digest))
