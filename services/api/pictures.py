"""Photos, crops and explanations as images. None of them carries metadata of the original.

Storage is read after the session has ended: connections to the database are few, and storage may take its time.
"""

from hashlib import sha256
from http import HTTPStatus
from io import BytesIO
from typing import Any

from flask import Response, request, send_file
from flask_openapi3 import APIBlueprint, Tag
from PIL.Image import Image as Drawing

from services.api import owned
from services.api.explained import shown
from services.api.face_results import explanation, matrix
from services.api.parts import parts
from services.api.problems import NoSuchWord, NotFound, Problem
from services.api.schemas import FacePath, HeatmapQuery, ImagePath
from shared.drawing.explained import strongest
from shared.drawing.page import caption_picture, page
from shared.images.heatmap import overlay

api = APIBlueprint("pictures", __name__, url_prefix="/v1", abp_tags=[Tag(name="pictures", description="To look at.")])

# Pictures are personal: no cache that people share may keep them. And they may be deleted at any time: whoever has one
# is to ask whether it is still there before it is shown again.
CACHING = "private, no-cache"


def _picture(content: bytes, mimetype: str) -> Response:
    answer = send_file(BytesIO(content), mimetype=mimetype)
    answer.headers["Cache-Control"] = CACHING
    answer.direct_passthrough = False  # the bytes are here already, and are what its ETag is made of
    answer.add_etag()
    answer.make_conditional(request)
    return answer


def _stored(key: str, mimetype: str) -> Response:
    """An object, which never changes under its key. Whoever has it already is told so without reading it."""
    etag = sha256(key.encode()).hexdigest()[:32]
    known = request.if_none_match.contains(etag)
    answer = (
        Response(status=HTTPStatus.NOT_MODIFIED) if known else send_file(BytesIO(parts().objects.get(key)), mimetype)
    )
    answer.headers["Cache-Control"] = CACHING
    answer.set_etag(etag)
    return answer


def _drawn(drawing: Drawing) -> Response:
    buffer = BytesIO()
    drawing.save(buffer, "PNG")
    return _picture(buffer.getvalue(), "image/png")


def _responses(mimetype: str) -> dict[str | int | HTTPStatus, Any]:
    picture = {"content": {mimetype: {"schema": {"type": "string", "format": "binary"}}}}
    return {200: picture, 304: {"description": "unchanged since the answer with that ETag"}, 404: Problem}


@api.get("/images/<int:image_id>/photo", summary="See a photo", responses=_responses("image/jpeg"))
def photo(path: ImagePath) -> Response:
    """The submitted image, upright, scaled down, without metadata."""
    with parts().session() as session:
        image = owned.image(session, path.image_id)
        if image.photo_key is None:
            raise NotFound(f"There is no photo of image {path.image_id}.")
        key = image.photo_key
    return _stored(key, "image/jpeg")


@api.get("/faces/<int:face_id>/crop", summary="See a face", responses=_responses("image/jpeg"))
def crop(path: FacePath) -> Response:
    """The face as the model saw it, 224 x 224."""
    with parts().session() as session:
        key = owned.crop_key(session, path.face_id)
    return _stored(key, "image/jpeg")


EXPLAINED = {**_responses("image/png"), 409: Problem}


@api.get("/faces/<int:face_id>/heatmap", summary="See what made the score", responses=EXPLAINED)
def heatmap(path: FacePath, query: HeatmapQuery) -> Response:
    """The crop under a map of contributions: red regions raise the score, blue ones lower it.

    Each map is on the face's own scale. Of all words: the strongest region has the full colour. Of one `word`: the
    strongest region of any single word has, so that the words of a face can be compared with each other; on the scale
    of all words together, one of thirty would hardly be seen. Faces are not comparable by colour, only by numbers.
    """
    with parts().session() as session:
        why = explanation(session, path.face_id)
        words = matrix(why.contributions, why).reshape(-1, why.rows, why.columns)
        if query.word is not None and query.word >= len(words):
            raise NoSuchWord(f"The caption of face {path.face_id} has {len(words)} words, which count from 0.")
        key = owned.crop_key(session, path.face_id)
    crop = parts().objects.get(key)
    if query.word is None:
        return _picture(overlay(crop, words.sum(axis=0)), "image/png")
    return _picture(overlay(crop, words[query.word], strongest(words)), "image/png")


@api.get("/faces/<int:face_id>/words", summary="See which words made the score", responses=EXPLAINED)
def words(path: FacePath) -> Response:
    """The caption, each word on the colour of what it adds, with a legend and the sum of all parts.

    The colours are those of the heat map: red raises, blue lowers, pale hardly matters; the heaviest word has the
    full colour. Captions beyond some fifty lines end in how many words are not shown and what they add.
    """
    return _drawn(caption_picture(shown(path.face_id).face))


@api.get("/faces/<int:face_id>/explanation/picture", summary="See the whole explanation", responses=EXPLAINED)
def explanation_picture(path: FacePath) -> Response:
    """One page: crop, heat map, score with its uncertainty and percentile, flags, the coloured caption, the heaviest
    words with their own maps, the sum of all parts beside the logit, and what the model is and is not.
    """
    seen = shown(path.face_id)
    return _drawn(page(seen.face, seen.title, seen.about))
