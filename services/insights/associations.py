"""Which terms go with high or low scores, beyond what chance does.

Each term's photographs are compared with all others (Welch's test, which lets both sides vary differently). Intervals
are of scores; chance is judged on their normal scores, see `tally.py`. With hundreds of terms some differ by chance; so
those are told that survive Benjamini and Hochberg's control of the false discovery rate: of all sets in which no term
means anything, about FALSE_DISCOVERIES show one.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from services.insights.student import quantile, two_sided
from services.insights.tally import Moments, Side, Tally

# Photographs with a term, and photographs without it, that a comparison needs. Where hundreds of terms compete only far
# tails count, and Welch's degrees of freedom are not good enough there for fewer: in simulations of 200 terms without
# a meaning 5 photographs let a term through in up to 10 % of the sets, 10 photographs in 5 %.
FEWEST = 10
FALSE_DISCOVERIES = 0.05
LEVEL = 0.95  # of the intervals
NO_SPREAD = 1e-9  # a standard error below this is rounding: stored scores have seven digits


@dataclass(frozen=True)
class Association:
    """Terms that occur on exactly the same faces, and the scores with and without them.

    Means count each photograph once. `low` to `high` is the 95 % interval of the `difference`. `contribution` is the
    mean of what the first term adds to the logit. `q` is the rate of false discoveries if all terms as clear as this
    one are told. `clear` if it survives the control.
    """

    terms: tuple[str, ...]
    faces_with: int
    faces_without: int
    photographs_with: int
    photographs_without: int
    mean_with: float
    mean_without: float
    difference: float
    low: float
    high: float
    contribution: float | None
    q: float
    clear: bool


@dataclass(frozen=True)
class Associations:
    """The clear ones sorted by their difference, the largest first; the others likewise; and how many are too rare."""

    clear: list[Association]
    others: list[Association]
    too_rare: int


def associations(tally: Tally) -> Associations:
    """Every term of the set that can be compared, compared."""
    groups: dict[tuple[int, int], list[str]] = defaultdict(list)
    rare = 0
    for term, sums in tally.terms.items():
        if min(side.photographs for side in tally.sides(sums)) < FEWEST:
            rare += 1
        else:
            groups[sums.faces, sums.fingerprint].append(term)
    # Phrases first: they say more than each of their words.
    sets = [sorted(terms, key=lambda term: (-len(term.split()), term)) for terms in groups.values()]
    chances = [_chance(*tally.sides(tally.terms[terms[0]])) for terms in sets]
    rates = false_discovery_rates(chances)
    told = [_association(tally, terms, rate) for terms, rate in zip(sets, rates, strict=True)]
    told.sort(key=lambda each: (-each.difference, each.terms))
    return Associations([each for each in told if each.clear], [each for each in told if not each.clear], rare)


def false_discovery_rates(p_values: Sequence[float]) -> list[float]:
    """For each test the rate of false discoveries if it and all with smaller p are told (Benjamini & Hochberg 1995)."""
    rates = [0.0] * len(p_values)
    lowest = 1.0
    for rank, place in sorted(enumerate(sorted(range(len(p_values)), key=p_values.__getitem__), 1), reverse=True):
        lowest = min(lowest, p_values[place] * len(p_values) / rank)
        rates[place] = lowest
    return rates


def _association(tally: Tally, terms: Sequence[str], rate: float) -> Association:
    sums = tally.terms[terms[0]]
    with_it, without_it = tally.sides(sums)
    difference = with_it.scores.mean - without_it.scores.mean
    error, degrees = _welch(with_it.scores, without_it.scores)
    half = quantile((1 + LEVEL) / 2, degrees) * error
    return Association(
        terms=tuple(terms),
        faces_with=sums.faces,
        faces_without=tally.faces - sums.faces,
        photographs_with=with_it.photographs,
        photographs_without=without_it.photographs,
        mean_with=with_it.scores.mean,
        mean_without=without_it.scores.mean,
        difference=difference,
        low=difference - half,
        high=difference + half,
        contribution=sums.contribution / sums.contributions if sums.contributions else None,
        q=rate,
        clear=rate <= FALSE_DISCOVERIES,
    )


def _chance(with_it: Side, without_it: Side) -> float:
    """The probability of a difference as large or larger where the term means nothing."""
    difference = with_it.normals.mean - without_it.normals.mean
    error, degrees = _welch(with_it.normals, without_it.normals)
    if error == NO_SPREAD:  # all alike on both sides
        return 1.0 if abs(difference) < NO_SPREAD else 0.0
    return two_sided(difference / error, degrees)


def _welch(one: Moments, other: Moments) -> tuple[float, float]:
    """The standard error of the difference of two means, and its degrees of freedom after Welch and Satterthwaite."""
    parts = [side.variance / side.number for side in (one, other)]
    error = sqrt(sum(parts))
    if error < NO_SPREAD:
        return NO_SPREAD, float(one.number + other.number - 2)
    below = parts[0] ** 2 / (one.number - 1) + parts[1] ** 2 / (other.number - 1)
    return error, sum(parts) ** 2 / below
