"""How good predictions are, with intervals, beside what people reach among themselves."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import rankdata

from services.training.ratings import GROUPS

RESAMPLES = 2000  # of the bootstrap: the ends of an interval are then good to about 0.003
BOOTSTRAP_SEED = 20
COVERAGE = 0.9  # stated for the interval around a score


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
    """Spearman, Pearson and mean absolute error of `scores` (N,) against `shares` (N,), both 0..1."""
    measures = {"spearman": spearman, "pearson": pearson, "mean_absolute_error": mean_error}
    return {name: with_interval(measure, scores, shares) for name, measure in measures.items()}


def human_ceiling(columns: dict[str, np.ndarray]) -> dict[str, float] | None:
    """How well one half of the raters predicts the other (Spearman), and by Spearman-Brown what all predict of all.

    None if the data set does not tell the halves apart.
    """
    if not {"memorable_half_a", "memorable_half_b"} <= columns.keys():
        return None
    half = spearman(columns["memorable_half_a"], columns["memorable_half_b"])
    return {"split_half_spearman": _short(half), "spearman_brown": _short(2 * half / (1 + half))}


def group_gaps(scores: np.ndarray, shares: np.ndarray, columns: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """For the lower, middle and upper third of each attribute: faces, Spearman, mean score less mean rating."""
    gaps = []
    for name in [group for group in GROUPS if group in columns]:
        thirds = np.digitize(columns[name], np.nanpercentile(columns[name], [100 / 3, 200 / 3]))
        for third, label in enumerate(("lower", "middle", "upper")):
            inside = thirds == third
            gaps.append(
                {
                    "attribute": name,
                    "third": label,
                    "faces": int(inside.sum()),
                    "spearman": _short(spearman(scores[inside], shares[inside])),
                    "mean_rating": _short(shares[inside].mean()),
                    "mean_score_less_mean_rating": _short((scores[inside] - shares[inside]).mean()),
                }
            )
    return gaps


def interval_for(scores: np.ndarray, spreads: np.ndarray, shares: np.ndarray) -> dict[str, float]:
    """The calibration of `scorer.half_width`, from held-out faces: half the interval is factor * (floor + spread).

    `spreads` (N,) are the members' standard deviations. Normalised conformal prediction (Lei et al. 2018): the floor is
    the typical error, so that the spread widens an interval without ruling it.
    """
    errors = np.abs(scores - shares)
    floor = float(np.median(errors))
    return {"coverage": COVERAGE, "floor": floor, "factor": float(np.quantile(errors / (floor + spreads), COVERAGE))}


def coverage(scores: np.ndarray, spreads: np.ndarray, shares: np.ndarray, parts: list[np.ndarray]) -> float:
    """The share of faces within their interval when it is calibrated on the other parts."""
    within = []
    for part in parts:
        others = np.setdiff1d(np.arange(len(scores)), part)
        interval = interval_for(scores[others], spreads[others], shares[others])
        width = interval["factor"] * (interval["floor"] + spreads[part])
        within.append(np.abs(scores[part] - shares[part]) <= width)
    return _short(np.concatenate(within).mean())


def _short(value: float) -> float:
    return round(float(value), 3)
