"""Results in words for people; `state`, `reason` and the bare numbers are for programs."""

from collections.abc import Iterable

from services.api.schemas import ImageResult, Model, Word
from shared.jobs.states import ImageState

WHY_NO_SCORE = {
    "no_face": "No face was found.",
    ImageState.CANCELLED: "The job was cancelled before its turn.",
}


def why_no_score(image: ImageResult) -> str:
    """Why an image has no score, in a sentence."""
    known = WHY_NO_SCORE.get(image.reason or image.state) or image.detail
    return known or f"{(image.reason or image.state).replace('_', ' ').capitalize()}."


def ordinal(percentile: float) -> str:
    """71.2 as 71st. Nobody is at the 0th or the 100th: a percentile is a place among others."""
    whole = min(99, max(1, round(percentile)))
    ending = "th" if whole in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(whole % 10, "th")
    return f"{whole}{ending}"


def contribution(word: Word) -> str:
    """A word without the punctuation around it, and what it adds."""
    return f"{word.text.strip('.,;:!?()')} {word.contribution:+.3f}"


def about(models: Iterable[Model], digest: str) -> str:
    """What a score of this bundle is and what it is not, from its card."""
    limits = [limit for model in models if model.digest == digest for limit in model.card.get("limits", [])]
    sentences = [limit.split(". ")[0].rstrip(".") + "." for limit in limits[:2]]
    return " ".join(["About the score:", *sentences]) if sentences else ""
