"""How the scores of a set are distributed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WIDTHS = (0.01, 0.02, 0.05, 0.1)  # of a histogram's bins: round numbers
MOST_BINS = 25


@dataclass(frozen=True)
class Scores:
    """Scores of faces. `counts[i]` of them lie from `edges[i]` to below `edges[i + 1]`."""

    faces: int
    mean: float
    deviation: float
    lowest: float
    quartiles: tuple[float, float, float]
    highest: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]


def distribution(scores: Sequence[float]) -> Scores | None:
    """The distribution of scores (0..1); None if there are none."""
    if not scores:
        return None
    values = np.asarray(scores, dtype=np.float64)
    edges = _edges(float(values.min()), float(values.max()))
    counts, _ = np.histogram(values, edges)
    lower, median, upper = (float(each) for each in np.quantile(values, (0.25, 0.5, 0.75)))
    return Scores(
        faces=len(values),
        mean=float(values.mean()),
        deviation=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        lowest=float(values.min()),
        quartiles=(lower, median, upper),
        highest=float(values.max()),
        edges=tuple(round(float(edge), 2) for edge in edges),
        counts=tuple(int(count) for count in counts),
    )


def _edges(lowest: float, highest: float) -> np.ndarray:
    """Edges of bins of the least round width that covers all scores with MOST_BINS bins."""
    for width in WIDTHS:
        first, last = np.floor(lowest / width), np.floor(highest / width) + 1
        if last - first <= MOST_BINS:
            break
    return np.arange(first, last + 1) * width
