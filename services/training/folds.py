"""Which faces are held out when."""

import numpy as np


def folds(count: int, parts: int, seed: int) -> list[np.ndarray]:
    """`count` faces in `parts` random parts of equal size, give or take one: the indices of each."""
    order = np.random.default_rng(seed).permutation(count)
    return [np.sort(order[part::parts]) for part in range(parts)]


def all_but(count: int, held_out: np.ndarray) -> np.ndarray:
    """The indices that are not held out."""
    return np.setdiff1d(np.arange(count), held_out)
