"""How far the scores of two sets are apart, with intervals. The unit is the photograph, as everywhere here.

The difference of means is Welch's: it lets both sets vary differently, and needs nothing of a set but the number, mean
and variance of its photographs. The probability that a photograph of one set scores higher than one of the other is
worked out from the scores themselves, by the variance of their placements (Brunner and Munzel), on the logistic scale
so that its interval stays within 0..1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np

from services.insights.student import quantile

LEVEL = 0.95
# Photographs that each side needs. A test simulates how often the intervals hold the truth.
FEWEST = 10
NO_SPREAD = 1e-9  # a standard error below this is rounding: stored scores have seven digits


@dataclass(frozen=True)
class Sample:
    """What is known of the photographs of a set: their number, and the mean and variance of their scores."""

    photographs: int
    mean: float
    variance: float


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


def difference(a: Sample, b: Sample) -> Estimate:
    """By how much the mean of `a` is higher than that of `b`. Both need two photographs."""
    value = a.mean - b.mean
    parts = [side.variance / side.photographs for side in (a, b)]
    error = sqrt(sum(parts))
    if error < NO_SPREAD:
        return Estimate(value, value, value)
    below = parts[0] ** 2 / (a.photographs - 1) + parts[1] ** 2 / (b.photographs - 1)
    half = quantile((1 + LEVEL) / 2, sum(parts) ** 2 / below) * error
    return Estimate(value, value - half, value + half)


def higher(a: Sequence[float], b: Sequence[float]) -> Estimate:
    """The probability that a photograph of `a` scores higher than one of `b`; equal scores count half."""
    ours, theirs = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    # Of each photograph: the share of the other set that it is above.
    of_ours, of_theirs = _placements(ours, theirs), _placements(theirs, ours)
    value = float(of_ours.mean())
    parts = [float(each.var(ddof=1)) / len(each) for each in (of_ours, of_theirs)]
    error = sqrt(sum(parts))
    if error < NO_SPREAD or not 0 < value < 1:
        return _without_spread(value, min(len(ours), len(theirs)))
    below = parts[0] ** 2 / (len(ours) - 1) + parts[1] ** 2 / (len(theirs) - 1)
    logit = log(value / (1 - value))
    half = quantile((1 + LEVEL) / 2, sum(parts) ** 2 / below) * error / (value * (1 - value))
    return Estimate(value, _logistic(logit - half), _logistic(logit + half))


def _placements(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    ordered = np.sort(others)
    sides = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    placed: np.ndarray = sides / (2 * len(ordered))
    return placed


def _without_spread(value: float, pairs: int) -> Estimate:
    """Where no photograph tells how far the next one may be off.

    If all of one set are higher, so are they in as many independent pairs as the smaller set has photographs: what
    Clopper and Pearson make of that is the widest that the truth can be off by.
    """
    off = ((1 - LEVEL) / 2) ** (1 / pairs)
    if value >= 1:
        return Estimate(1.0, off, 1.0)
    if value <= 0:
        return Estimate(0.0, 0.0, 1 - off)
    return Estimate(value, 0.0, 1.0)


def _logistic(value: float) -> float:
    return 1 / (1 + exp(-value))
