"""Quantiles of pixels, found by counting how often there is each of 256 values: that is quicker than to sort them."""

from math import ceil, floor

import numpy as np

VALUES = 256


def counted(pixels: np.ndarray) -> np.ndarray:
    """How many of `pixels`, uint8 of any shape, have each value: int64 (256,)."""
    return np.bincount(pixels.ravel(), minlength=VALUES)


def quantile(counts: np.ndarray, share: float) -> float:
    """What `share` (0..1) of the pixels that were counted do not exceed; between two of them it is as far as the share
    says, as numpy.quantile has it. There must be a pixel.
    """
    ranks = np.cumsum(counts)
    rank = share * float(ranks[-1] - 1)
    lower, upper = np.searchsorted(ranks, (floor(rank), ceil(rank)), side="right")
    return float(lower + (upper - lower) * (rank - floor(rank)))
