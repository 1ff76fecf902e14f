"""What the API answers in words for people; `state`, `reason` and the bare numbers are for programs."""

from collections.abc import Iterable

from services.api.schemas import ImageResult, Model
from shared import wording
from shared.jobs.states import ImageState

WHY_NO_SCORE = {
    "no_face": "No face was found.",
    ImageState.CANCELLED: "The job was cancelled before its turn.",
}


def why_no_score(image: ImageResult) -> str:
    """Why an image has no score, in a sentence."""
    known = WHY_NO_SCORE.get(image.reason or image.state) or image.detail
    return known or f"{(image.reason or image.state).replace('_', ' ').capitalize()}."


def about(models: Iterable[Model], digest: str) -> str:
    """What a score of this bundle is and what it is not, from its card."""
    return wording.about(next((model.card for model in models if model.digest == digest), None))
