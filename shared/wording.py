"""Results in words for people, wherever they are told: on the screen, in a picture, in an answer of the API."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar

from shared.captions.function_words import FUNCTION_WORDS
from shared.memorability import ADDS_UP_WITHIN

FLAGS = {
    "small": "the face is small in the photograph",
    "blurred": "the face is blurred",
    "turned": "the face is turned away or tilted",
    "dark": "the face lies in the dark",
    "not_a_photograph": "this looks drawn, not photographed",
}
# What a picture of an explanation says of the model, whatever its card says.
NO_CAUSE = "The parts say how this model added up, not why people remember."


class Weighed(Protocol):
    """A word of a caption and what it adds to the logit; `start` and `end` are its place in the caption."""

    @property
    def text(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def contribution(self) -> float: ...


Told = TypeVar("Told", bound=Weighed)


def ordinal(percentile: float) -> str:
    """71.2 as 71st. Nobody is at the 0th or the 100th: a percentile is a place among others."""
    whole = min(99, max(1, round(percentile)))
    ending = "th" if whole in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(whole % 10, "th")
    return f"{whole}{ending}"


def heaviest(words: Iterable[Told] | None, number: int) -> list[Told]:
    """The words that weigh most, without those that only hold a sentence together and without repeating one.

    They weigh something too, and `words` of the API has them all; but "if -0.010" tells people nothing.
    """
    told: dict[str, Told] = {}
    for word in sorted(words or (), key=lambda word: -abs(word.contribution)):
        bare = _bare(word).lower()
        if bare and bare not in FUNCTION_WORDS:
            told.setdefault(bare, word)
    return list(told.values())[:number]


def contribution(word: Weighed) -> str:
    """A word without the punctuation around it, and what it adds."""
    return f"{_bare(word)} {word.contribution:+.3f}"


def _bare(word: Weighed) -> str:
    return word.text.strip(".,;:!?()")


def flagged(flags: Iterable[str]) -> str:
    """Flags as a sentence, or nothing: why this score is to be trusted less."""
    told = [FLAGS.get(flag, flag.replace("_", " ")) for flag in flags]
    return f"Trust this score less: {'; '.join(told)}." if told else ""


def adding_up(constant: float, words: float, logit: float) -> str:
    """The sum that an explanation is, in one line: the model's constant, the sum over all words, and their logit."""
    gap = abs(constant + words - logit)
    verdict = "they add up" if gap <= ADDS_UP_WITHIN else "THEY DO NOT ADD UP"
    return f"constant {constant:+.4f} and words {words:+.4f} give the logit {logit:+.4f} ({verdict}, gap {gap:.1g})"


def about(card: Mapping[str, Any] | None) -> str:
    """What a score is and what it is not, from its bundle's card; nothing if the card says nothing."""
    limits = card.get("limits", []) if card else []
    sentences = [limit.split(". ")[0].rstrip(".") + "." for limit in limits[:2]]
    return " ".join(["About the score:", *sentences]) if sentences else ""


def counted(number: int, noun: str) -> str:
    """A number of things: `1 image`, `2,000 images`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
