"""What a caption says, as terms: its words, and attributes such as "broad smile" or "dark background".

An attribute is a part of a portrait with a word that modifies it, found by rules that do not depend on who wrote the
caption: the words right before the part ("full, long hair": full hair, long hair), those that a verb like "is" ties to
it ("the hair is long"), or what denies it ("no smile"). What is denied does not count as a word by itself.
"""

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from shared.captions.answer import MAX_CHARACTERS
from shared.captions.function_words import FUNCTION_WORDS
from shared.captions.places import PLACE_NAMES

# What else captions give attributes to.
SURROUNDINGS = (
    "face", "expression", "light", "lighting", "contrast", "colours", "colors", "focus", "detail", "clothing", "shirt",
)  # fmt: skip
NOT_THINGS = {"smiling"}  # a name of a place that is said of a person, not of a part
# Also an adjective, as in "light brows": a part only where no word follows that it could modify.
AMBIGUOUS = {"light"}
PARTS = {name for names in PLACE_NAMES.values() for name in names}.union(SURROUNDINGS) - NOT_THINGS
NEGATIONS = {"no", "not", "without", "hardly", "barely", "never", "lacks", "lacking"}
ARTICLES = {"a", "an", "any", "the"}
# They belong to the modifier that follows: "very long hair" is another attribute than "long hair".
DEGREES = {"very", "slightly", "perfectly", "mostly", "quite", "fairly", "somewhat", "extremely", "rather"}
TIES = {"is", "are", "appears", "appear", "looks", "look", "seems", "seem"}
NO_MODIFIERS = FUNCTION_WORDS | NEGATIONS | TIES
MOST_MODIFIERS = 4  # of one part on one side: people use no more, and what has more is no sentence
MOST_LETTERS = 30  # of a word; longer ones are not words
WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
POSSESSIVE = ("'s", "’s")
SENTENCE_END = frozenset(".!?;:\n")


@dataclass(frozen=True)
class Weight:
    """What a stretch of the caption, from character `start` to `end`, adds to the logit."""

    start: int
    end: int
    contribution: float


@dataclass(frozen=True)
class _Token:
    """A word. `clause` counts commas too: modifiers go on beyond one ("long, dark hair"), a denial does not."""

    text: str
    start: int
    sentence: int
    clause: int


def terms_of(caption: str, weights: Iterable[Weight] = ()) -> dict[str, float | None]:
    """The terms of a caption, each once, with what its words add to the logit; None where no weight is known.

    A term that is said twice has both contributions added up. Any text is taken; only its first MAX_CHARACTERS count.
    """
    tokens = list(_tokens(caption[:MAX_CHARACTERS]))
    uses: dict[str, set[int]] = defaultdict(set)
    denies = any(token.text in NEGATIONS for token in tokens)  # most captions deny nothing
    denied = [denies and _denial(tokens, place) is not None for place in range(len(tokens))]
    for place, token in enumerate(tokens):
        if token.text not in FUNCTION_WORDS and token.text not in NEGATIONS and not denied[place]:
            uses[token.text].add(place)
        if _is_part(tokens, place):
            for attribute, places in _attributes(tokens, place):
                uses[attribute].update(places)
    added = _contributions(tokens, list(weights))
    return {term: _sum([added[place] for place in places]) for term, places in uses.items()}


def _tokens(caption: str) -> Iterator[_Token]:
    """The words in lower case, each with the number of its sentence and clause."""
    sentence = clause = end = 0
    for match in WORD.finditer(caption):
        between = caption[end : match.start()]
        if between != " ":
            sentence += not SENTENCE_END.isdisjoint(between)
            clause += "," in between
        end = match.end()
        word = match.group().lower()
        if len(word) <= MOST_LETTERS:
            bare = word[:-2] if word.endswith(POSSESSIVE) else word
            yield _Token(bare, match.start(), sentence, sentence + clause)
            # A woman's hair is no hair of the kind "woman": whoever possesses it is not a modifier.
            sentence += bare != word


def _is_part(tokens: Sequence[_Token], place: int) -> bool:
    """Whether the word at `place` is meant as a part of the portrait."""
    token = tokens[place]
    if token.text not in PARTS or token.text not in AMBIGUOUS or place + 1 == len(tokens):
        return token.text in PARTS
    following = tokens[place + 1]
    return following.clause != token.clause or following.text in FUNCTION_WORDS


def _attributes(tokens: Sequence[_Token], part: int) -> Iterator[tuple[str, list[int]]]:
    """The attributes of one part, each with the places of its words."""
    start = _denial(tokens, part)
    name = tokens[part].text
    if start is not None:
        yield " ".join(token.text for token in tokens[start : part + 1]), list(range(start, part + 1))
        return
    after = part + 1
    tied = after < len(tokens) and tokens[after].text in TIES and tokens[after].sentence == tokens[part].sentence
    before = _modifiers(tokens, part, -1)
    for words in [*before, *(_modifiers(tokens, after, 1) if tied else [])]:
        yield " ".join([*(tokens[place].text for place in words), name]), [*words, part]


def _modifiers(tokens: Sequence[_Token], place: int, step: int) -> list[list[int]]:
    """The places of the modifiers beside `place`, each with its word of degree, backwards (-1) or forwards (1)."""
    found: list[list[int]] = []
    degree: list[int] = []
    sentence = tokens[place].sentence
    while 0 <= (place := place + step) < len(tokens) and len(found) < MOST_MODIFIERS:
        token = tokens[place]
        if token.sentence != sentence:
            break
        if token.text in DEGREES and step < 0 and found:
            found[-1].insert(0, place)
        elif token.text in DEGREES:
            degree = [place]
        elif step > 0 and token.text == "and":
            continue
        elif token.text in NO_MODIFIERS or _is_part(tokens, place):
            break
        else:
            found.append([*degree, place] if step > 0 else [place])
            degree = []
    return found


def _denial(tokens: Sequence[_Token], place: int) -> int | None:
    """The place of the word that denies the one at `place`, None if none does.

    "no smile", "hardly a smile" and "without a broad smile" deny the smile. Only parts are denied over an adjective.
    """
    clause = tokens[place].clause
    reach = MOST_MODIFIERS if tokens[place].text in PARTS else 2
    for before in range(place - 1, max(-1, place - 1 - reach), -1):
        token = tokens[before]
        if token.clause != clause or token.text in PARTS:
            return None
        if token.text in NEGATIONS:
            return before
        if token.text not in ARTICLES and (token.text in FUNCTION_WORDS or reach == 2):
            return None
    return None


def _contributions(tokens: Sequence[_Token], weights: Sequence[Weight]) -> list[float | None]:
    """What each token adds. Tokens that share a stretch, as in "scarf/hat", share its contribution equally."""
    ordered = sorted(weights, key=lambda weight: weight.start)
    starts = [weight.start for weight in ordered]
    owners = []
    for token in tokens:
        owner = bisect_right(starts, token.start) - 1
        owners.append(owner if owner >= 0 and token.start < ordered[owner].end else None)
    sharing = Counter(owners)
    return [None if owner is None else ordered[owner].contribution / sharing[owner] for owner in owners]


def _sum(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
