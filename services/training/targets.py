"""From rates of 0 to 1 to the logits that a linear fit wants."""

import numpy as np

EDGE = 0.01  # rates are kept this far from 0 and 1, where the logit has no end


def logits(rates: np.ndarray) -> np.ndarray:
    """The logit of rates 0..1."""
    inside = np.clip(rates, EDGE, 1 - EDGE)
    return np.log(inside / (1 - inside))
