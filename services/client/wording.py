"""Results in words for people; `state`, `reason` and the bare numbers are for programs."""

from collections.abc import Iterable

from services.api.schemas import ImageResult, Model, Word
from shared.jobs.states import ImageState

# fmt: off
FUNCTION_WORDS = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "below", "but", "by", "for", "from", "has", "have", "if", "in", "is",
    "it", "its", "of", "on", "or", "some", "that", "the", "their", "there", "this", "to", "under", "very", "which",
    "with",
})
# fmt: on
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


def heaviest(words: Iterable[Word] | None, number: int) -> list[Word]:
    """The words that weigh most, without those that only hold a sentence together and without repeating one.

    They weigh something too, and `words` of the API has them all; but "if -0.010" tells people nothing.
    """
    told: dict[str, Word] = {}
    for word in words or ():
        bare = _bare(word).lower()
        if bare and bare not in FUNCTION_WORDS:
            told.setdefault(bare, word)
    return list(told.values())[:number]


def contribution(word: Word) -> str:
    """A word without the punctuation around it, and what it adds."""
    return f"{_bare(word)} {word.contribution:+.3f}"


def _bare(word: Word) -> str:
    return word.text.strip(".,;:!?()")


def about(models: Iterable[Model], digest: str) -> str:
    """What a score of this bundle is and what it is not, from its card."""
    limits = [limit for model in models if model.digest == digest for limit in model.card.get("limits", [])]
    sentences = [limit.split(". ")[0].rstrip(".") + "." for limit in limits[:2]]
    return " ".join(["About the score:", *sentences]) if sentences else ""
