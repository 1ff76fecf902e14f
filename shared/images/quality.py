"""Reasons to trust a face's score less, measured on its crop."""

import numpy as np

# Pixels. A face narrower than this in the original holds less than a third of the detail that the model learned from.
SMALL_SIDE = 72
# Variance of the Laplacian over the variance of the grey values, at 224 pixels.
BLURRED_BELOW = 0.004


def flags(crop: np.ndarray, face_side: float) -> list[str]:
    """`small` and `blurred`, where they apply. `crop` is uint8 (224, 224, 3), `face_side` in pixels of the original."""
    found = []
    if face_side < SMALL_SIDE:
        found.append("small")
    if sharpness(crop) < BLURRED_BELOW:
        found.append("blurred")
    return found


def sharpness(crop: np.ndarray) -> float:
    """Variance of the Laplacian of the grey values, as a share of their own variance."""
    grey = crop.astype(np.float32).mean(axis=2)
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return float(laplacian.var() / max(float(grey.var()), 1.0))
