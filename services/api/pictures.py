"""Photos, crops and heat maps as images. None of them carries metadata of the original.

Storage is read after the session has ended: connections to the database are few, and storage may take its time.
"""

from http import HTTPStatus
from io import BytesIO
from typing import Any

from flask import Response, send_file
from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy.orm import Session

from services.api.parts import parts
from services.api.problems import NotFound, Problem
from services.api.results import explanation, matrix
from services.api.schemas import FacePath, ImagePath
from shared.database.tables import Face, Image
from shared.images.heatmap import overlay

api = APIBlueprint("pictures", __name__, url_prefix="/v1", abp_tags=[Tag(name="pictures", description="To look at.")])

# Pictures of a face never change, but they are personal: no cache that people share may keep them.
PRIVATE_SECONDS = 3600


def _picture(content: bytes, mimetype: str) -> Response:
    answer = send_file(BytesIO(content), mimetype=mimetype)
    answer.headers["Cache-Control"] = f"private, max-age={PRIVATE_SECONDS}"
    return answer


def _responses(mimetype: str) -> dict[str | int | HTTPStatus, Any]:
    return {200: {"content": {mimetype: {"schema": {"type": "string", "format": "binary"}}}}, 404: Problem}


@api.get("/images/<int:image_id>/photo", summary="See a photo", responses=_responses("image/jpeg"))
def photo(path: ImagePath) -> Response:
    """The submitted image, upright, scaled down, without metadata."""
    with Session(parts().database) as session:
        image = session.get(Image, path.image_id)
        if image is None or image.photo_key is None:
            raise NotFound(f"There is no photo of image {path.image_id}.")
        key = image.photo_key
    return _picture(parts().objects.get(key), "image/jpeg")


@api.get("/faces/<int:face_id>/crop", summary="See a face", responses=_responses("image/jpeg"))
def crop(path: FacePath) -> Response:
    """The face as the model saw it, 224 x 224."""
    with Session(parts().database) as session:
        face = session.get(Face, path.face_id)
        if face is None:
            raise NotFound(f"There is no face {path.face_id}.")
        key = face.crop_key
    return _picture(parts().objects.get(key), "image/jpeg")


@api.get(
    "/faces/<int:face_id>/heatmap",
    summary="See what made the score",
    responses={**_responses("image/png"), 409: Problem},
)
def heatmap(path: FacePath) -> Response:
    """The crop under a map of contributions: red regions raise the score, blue ones lower it."""
    with Session(parts().database) as session:
        why = explanation(session, path.face_id)
        regions = matrix(why.contributions, why).sum(axis=0).reshape(why.rows, why.columns)
        key = session.get_one(Face, path.face_id).crop_key
    return _picture(overlay(parts().objects.get(key), regions), "image/png")
