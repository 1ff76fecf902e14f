"""Sums over a set, from which means and variances of every term follow. One photograph after the other is added.

Faces of one photograph are not independent: they share light, background and occasion. So the unit of counting is the
photograph: its faces with a term are averaged to one value, and likewise its faces without. A photograph with both
kinds has a value on each side.

Beside the scores themselves, their normal scores are added up (the normal quantile of a score's rank): means and
intervals are told of scores, but chance is judged by normal scores, because far tails of t cannot be trusted where the
distribution is skewed.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from statistics import NormalDist

# Terms kept. Photographs come in random order, so a term that many of them have is met long before the table is full;
# one that is met first afterwards is left out altogether, and none is ever counted in part.
MOST_TERMS = 20_000
MARK_BYTES = 8  # of a face in a fingerprint: two different sets of faces agree once in 2^64


@dataclass(frozen=True)
class FaceTerms:
    """A scored face: its id, its score (0..1), and the terms of its caption with what each adds to the logit."""

    id: int
    score: float
    terms: dict[str, float | None]


@dataclass(slots=True)
class Moments:
    """Number, sum and sum of squares of values."""

    number: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, value: float, times: int = 1) -> None:
        """One more value; one less with `times` -1."""
        self.number += times
        self.total += times * value
        self.squares += times * value * value

    def without(self, other: "Moments") -> "Moments":
        """What is left when the values of `other` are taken out."""
        return Moments(self.number - other.number, self.total - other.total, self.squares - other.squares)

    def plus(self, other: "Moments") -> "Moments":
        """Both together."""
        return Moments(self.number + other.number, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        return self.total / self.number

    @property
    def variance(self) -> float:
        """Of a single value, estimated from the sample (divisor n - 1)."""
        return max(0.0, self.squares - self.total * self.total / self.number) / (self.number - 1)


@dataclass(slots=True)
class Side:
    """The values of some photographs: means of their faces' scores, and of their faces' normal scores."""

    scores: Moments = field(default_factory=Moments)
    normals: Moments = field(default_factory=Moments)

    @property
    def photographs(self) -> int:
        return self.scores.number

    def add(self, score: float, normal: float) -> None:
        """One more photograph."""
        self.scores.add(score)
        self.normals.add(normal)

    def take(self, score: float, normal: float) -> None:
        """One photograph less."""
        self.scores.add(score, -1)
        self.normals.add(normal, -1)

    def without(self, other: "Side") -> "Side":
        """What is left when the photographs of `other` are taken out."""
        return Side(self.scores.without(other.scores), self.normals.without(other.normals))

    def plus(self, other: "Side") -> "Side":
        """Both together."""
        return Side(self.scores.plus(other.scores), self.normals.plus(other.normals))


@dataclass(slots=True)
class TermSums:
    """One term: faces that have it, values of photographs with it, its contributions.

    Photographs without it need no sums of their own: they are all photographs less those with it. Where only some faces
    of a photograph have the term that is not so; `mixed` is what then has to be added.
    """

    faces: int = 0
    with_it: Side = field(default_factory=Side)
    mixed: Side = field(default_factory=Side)
    contributions: int = 0
    contribution: float = 0.0
    fingerprint: int = 0  # equal for terms that occur on exactly the same faces

    def count(self, term: str, faces: Sequence[FaceTerms]) -> None:
        """The faces of one photograph that have the term."""
        self.faces += len(faces)
        for face in faces:
            self.fingerprint ^= _mark(face.id)
            added = face.terms[term]
            if added is not None:
                self.contributions += 1
                self.contribution += added


class Tally:
    """The sums of a set. Memory depends on its scores and the number of different terms, which are both bounded."""

    def __init__(self, scores: Sequence[float]) -> None:
        """`scores` are those of all faces that will be added: they give each score its rank."""
        self._sorted = sorted(scores)
        self.faces = 0
        self.all = Side()
        self.terms: dict[str, TermSums] = {}

    def add(self, photograph: Sequence[FaceTerms]) -> None:
        """The scored faces of one photograph, all of them at once."""
        values = [(face.score, self._normal(face.score)) for face in photograph]
        whole = _means(values)
        self.faces += len(photograph)
        self.all.add(*whole)
        having: dict[str, list[int]] = {}
        for place, face in enumerate(photograph):
            for term in face.terms:
                having.setdefault(term, []).append(place)
        for term, places in having.items():
            sums = self.terms.get(term)
            if sums is None:
                if len(self.terms) == MOST_TERMS:
                    continue
                sums = self.terms[term] = TermSums()
            if len(places) == len(values):
                sums.with_it.add(*whole)
            else:
                part = _means([values[place] for place in places])
                others = _means([value for place, value in enumerate(values) if place not in places])
                sums.with_it.add(*part)
                sums.mixed.add(*part)
                sums.mixed.add(*others)
                sums.mixed.take(*whole)
            sums.count(term, [photograph[place] for place in places])

    def sides(self, sums: TermSums) -> tuple[Side, Side]:
        """The photographs with a term and those without."""
        return sums.with_it, self.all.without(sums.with_it).plus(sums.mixed)

    def _normal(self, score: float) -> float:
        """The normal quantile of the middle of a score's ranks."""
        middle = (bisect_left(self._sorted, score) + bisect_right(self._sorted, score)) / 2
        return NormalDist().inv_cdf(middle / len(self._sorted))


def _means(values: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Of scores and of normal scores."""
    if len(values) == 1:
        return values[0]
    return sum(score for score, _ in values) / len(values), sum(normal for _, normal in values) / len(values)


@lru_cache(maxsize=64)
def _mark(face: int) -> int:
    """A number for a face that looks random and is always the same: the faces of a set are told apart by their XOR."""
    return int.from_bytes(blake2b(face.to_bytes(8), digest_size=MARK_BYTES).digest())
