"""Whether a face lies in the dark, whatever the colour of its skin.

The mean lightness of a face is mostly the lightness of its skin, so it is not looked at. What tells exposure from skin
is the lightest hundredth of the face: gloss, teeth and the whites of the eyes are bright on anybody if there was light.
Of red, green and blue the strongest counts, because brown skin is far lighter in red than in grey.
"""

import numpy as np

from shared.images.tones import counted, quantile

# 0..255, of `highlight`. Of the OMI faces none is below it, in any third by rated skin colour (lowest: 169, 163, 166).
# Exposed one stop less 0.7 %, 0.4 % and 1.1 % of the thirds are below (light to dark), two stops 57 %, 59 % and 74 %,
# three stops all.
DARK_BELOW = 130
LIGHTEST = 0.99  # quantile
# Of the landmarks' width and height, on each side: with it cheeks and brows are in, hair and background are out.
MARGIN = 0.3


def is_dark(crop: np.ndarray, landmarks: np.ndarray) -> bool:
    """Whether even the lightest parts of the face are dim: underexposed, or in shadow before a bright background.

    Not told: a picture with one bright spot on the face, as of a lamp at night; a face exposed one stop too little.
    """
    return highlight(crop, landmarks) < DARK_BELOW


def highlight(crop: np.ndarray, landmarks: np.ndarray) -> float:
    """Lightness, 0..255, that a hundredth of the face exceeds.

    `crop` is uint8 (height, width, 3) RGB; `landmarks` (5, 2) in its pixels. Landmarks outside it mean all of it.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    border = (high - low) * MARGIN
    end = np.array([crop.shape[1], crop.shape[0]])
    left, top = np.clip(low - border, 0, end).astype(int)
    right, bottom = np.clip(np.ceil(high + border), 0, end).astype(int)
    face = crop[top:bottom, left:right]
    return quantile(counted(strongest(face if face.size else crop)), LIGHTEST)


def strongest(pixels: np.ndarray) -> np.ndarray:
    """Of red, green and blue the largest: uint8 (height, width) of (height, width, 3)."""
    return _of_channels(np.maximum, pixels)


def weakest(pixels: np.ndarray) -> np.ndarray:
    """The same of the smallest."""
    return _of_channels(np.minimum, pixels)


def _of_channels(extreme: np.ufunc, pixels: np.ndarray) -> np.ndarray:
    """Channel by channel: several times as fast as along the last axis, which has only three."""
    red, green, blue = np.moveaxis(pixels, 2, 0)
    found: np.ndarray = extreme(extreme(red, green), blue)
    return found
