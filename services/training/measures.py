"""How good predictions are, with intervals, beside what people reach among themselves."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import rankdata

RESAMPLES = 2000  # of the bootstrap: the ends of an interval are then good to about 0.003
BOOTSTRAP_SEED = 20
COVERAGE = 0.9  # stated for the interval around a score
FIFTHS = 5
FEW = 10  # faces in a group: of fewer no correlation is given
THIRDS = ("lower third", "middle third", "upper third")


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation."""
    return float(np.corrcoef(a, b)[0, 1])


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation, ties sharing their mean rank."""
    return pearson(rankdata(a), rankdata(b))


def mean_error(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference."""
    return float(np.abs(a - b).mean())


def with_interval(measure: Callable[[np.ndarray, np.ndarray], float], a: np.ndarray, b: np.ndarray) -> dict[str, Any]:
    """A measure and its 95 % interval, by the percentile bootstrap over faces."""
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    draws = [generator.integers(0, len(a), len(a)) for _ in range(RESAMPLES)]
    low, high = np.percentile([measure(a[draw], b[draw]) for draw in draws], [2.5, 97.5])
    return {"value": _short(measure(a, b)), "interval_95": [_short(low), _short(high)]}


def quality(scores: np.ndarray, shares: np.ndarray) -> dict[str, Any]:
    """Spearman, Pearson, mean absolute error and calibration slope of `scores` (R, N) against `shares` (N,), all 0..1.

    Each is the mean over the R repeats; the bootstrap draws faces, with all repeats of each.
    """
    measures = {"spearman": spearman, "pearson": pearson, "mean_absolute_error": mean_error, "calibration_slope": slope}
    return {name: with_interval(over_repeats(measure), scores.T, shares) for name, measure in measures.items()}


def over_repeats(
    measure: Callable[[np.ndarray, np.ndarray], float],
) -> Callable[[np.ndarray, np.ndarray], float]:
    """The mean of a measure over the columns of its first argument (N, R)."""
    return lambda repeats, b: float(np.mean([measure(column, b) for column in repeats.T]))


def calibration(
    scores: np.ndarray, spreads: np.ndarray, shares: np.ndarray, parts: list[np.ndarray]
) -> list[dict[str, Any]]:
    """Whether a score means what it says: `scores` and `spreads` (N,) against `shares` (N,).

    For each fifth of the faces, from the lowest scores to the highest: mean score, mean rating, and the share of
    ratings within the interval that was calibrated on the other `parts`.
    """
    within = covered(scores, spreads, shares, parts)
    return [
        {
            "scores": f"fifth {number + 1}",
            "faces": len(rows),
            "mean_score": _short(scores[rows].mean()),
            "mean_rating": _short(shares[rows].mean()),
            "within_interval": _short(within[rows].mean()),
        }
        for number, rows in enumerate(np.array_split(np.argsort(scores, kind="stable"), FIFTHS))
    ]


def chosen_within(variants: list[np.ndarray], shares: np.ndarray, parts: list[np.ndarray]) -> np.ndarray:
    """Scores (N,) where each part has those of the variant that did best on the other parts.

    What a choice between variants gained by being made on the very faces it is measured on is gone from these.
    """
    scores = np.zeros(len(shares))
    for part in parts:
        others = np.setdiff1d(np.arange(len(shares)), part)
        scores[part] = max(variants, key=lambda each: spearman(each[others], shares[others]))[part]
    return scores


def slope(a: np.ndarray, b: np.ndarray) -> float:
    """Of the least-squares line that gives `b` from `a`: 1 if scores differ as much as the ratings that go with them.

    Less than 1: scores are too far apart; more: too close together.
    """
    return float(np.polyfit(a, b, 1)[0])


def less_than(scores: np.ndarray, variant: np.ndarray, shares: np.ndarray) -> dict[str, Any]:
    """By how much the Spearman correlation of `scores` is above that of `variant` (N,), with a paired interval."""
    both = np.stack([scores, variant], axis=1)
    return with_interval(lambda a, b: spearman(a[:, 0], b) - spearman(a[:, 1], b), both, shares)


def human_ceiling(half_a: np.ndarray, half_b: np.ndarray) -> dict[str, Any]:
    """As `ceiling_of`, from two halves of the raters, with an interval."""
    half = with_interval(spearman, half_a, half_b)
    return ceiling_of(spearman(half_a, half_b)) | {"split_half_interval_95": half["interval_95"]}


def ceiling_of(split_half: float) -> dict[str, Any]:
    """A split-half correlation, and what follows from it.

    `spearman_brown`: all raters against as many others. `noise_ceiling`: against the mean of these raters nothing is
    expected to reach more, its root.
    """
    full = 2 * split_half / (1 + split_half)
    return {
        "split_half_spearman": _short(split_half),
        "spearman_brown": _short(full),
        "noise_ceiling": _short(full**0.5),
    }


def group_gaps(scores: np.ndarray, shares: np.ndarray, groups: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """For each group of each attribute: faces, Spearman (None for few), mean absolute error, mean score less rating.

    `scores` (R, N), each figure the mean over the R repeats; `groups` as in DataSet: numbers are cut into thirds,
    texts are categories.
    """
    gaps = []
    for name, column in groups.items():
        for label, inside in _members(column):
            few = inside.sum() < FEW
            gaps.append(
                {
                    "attribute": name,
                    "group": label,
                    "faces": int(inside.sum()),
                    "spearman": None if few else _short(over_repeats(spearman)(scores.T[inside], shares[inside])),
                    "mean_absolute_error": _short(over_repeats(mean_error)(scores.T[inside], shares[inside])),
                    "mean_rating": _short(shares[inside].mean()),
                    "mean_score_less_mean_rating": _short((scores[:, inside] - shares[inside]).mean()),
                }
            )
    return gaps


def _members(column: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The groups of an attribute that have faces: their names, and which faces are in them, bool (N,)."""
    if column.dtype.kind == "f":
        thirds = np.digitize(column, np.nanpercentile(column, [100 / 3, 200 / 3]))
        found = [(label, (thirds == third) & ~np.isnan(column)) for third, label in enumerate(THIRDS)]
    else:
        found = [(str(label), column == label) for label in np.unique(column[column != ""])]
    return [(label, inside) for label, inside in found if inside.any()]


def interval_for(scores: np.ndarray, spreads: np.ndarray, shares: np.ndarray) -> dict[str, float]:
    """The calibration of `scorer.half_width`, from held-out faces: half the interval is factor * (floor + spread).

    `spreads` (N,) are the members' standard deviations. After normalised conformal prediction (Lei et al. 2018), with
    its quantile for N + 1 faces: the floor is the typical error, so that the spread widens an interval without ruling
    it.
    """
    errors = np.abs(scores - shares)
    floor = float(np.median(errors))
    share = min(COVERAGE * (len(errors) + 1) / len(errors), 1.0)
    factor = float(np.quantile(errors / (floor + spreads), share, method="higher"))
    return {"coverage": COVERAGE, "floor": floor, "factor": factor}


def covered(scores: np.ndarray, spreads: np.ndarray, shares: np.ndarray, parts: list[np.ndarray]) -> np.ndarray:
    """Which faces lie within their interval when it is calibrated on the other parts: bool (N,)."""
    within = np.zeros(len(scores), dtype=bool)
    for part in parts:
        others = np.setdiff1d(np.arange(len(scores)), part)
        interval = interval_for(scores[others], spreads[others], shares[others])
        width = interval["factor"] * (interval["floor"] + spreads[part])
        within[part] = np.abs(scores[part] - shares[part]) <= width
    return within


def _short(value: float) -> float:
    return round(float(value), 3)
