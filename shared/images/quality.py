"""Reasons to trust a face's score less: the pictures that the model learned from had none of these.

The figures beside the thresholds are rates over the 854 OMI faces (synthetic portraits that look like photographs) and
over spoilt copies of them; tests/unit/test_flag_rates.py measures them again on a part of these faces.
"""

import numpy as np
from PIL import Image

from shared.images.drawn import is_drawn
from shared.images.exposure import is_dark
from shared.images.pose import is_turned

# Pixels of the original image across the face. At the default margin a crop gives the face 149 of its 224: below half
# of that, most pixels of the crop were made up by enlarging.
SMALL_SIDE = 75
# Of `sharpness`. Of 107 sharp portraits none is below 0.048. Blurred by a Gaussian of 2 pixels (of 224) half of them
# are below this, by 3 pixels all; smeared along a line of 9 pixels two thirds, of 15 pixels all.
BLURRED_BELOW = 0.016
LOOKED_AT = 112  # pixels; half the crop's size, where noise and JPEG no longer pass for detail


def flags(crop: np.ndarray, face_side: float, landmarks: np.ndarray) -> list[str]:
    """`small`, `blurred`, `turned`, `dark` and `not_a_photograph`, where they apply, in this order.

    `crop` is uint8 (height, width, 3) RGB, square; `face_side` is the shorter side of the face's box in pixels of the
    original image; `landmarks` (5, 2) are those of `shared.faces` in pixels of the crop.
    """
    blurred = sharpness(crop) < BLURRED_BELOW
    applies = {
        "small": face_side < SMALL_SIDE,
        "blurred": blurred,
        "turned": is_turned(landmarks),
        "dark": is_dark(crop, landmarks),
        # A blurred crop shows no texture, whatever it is a picture of: `blurred` is all that can be said.
        "not_a_photograph": not blurred and is_drawn(crop),
    }
    return [flag for flag, holds in applies.items() if holds]


def sharpness(crop: np.ndarray) -> float:
    """Variance of the second difference of grey over the variance of grey, in the middle of the crop.

    Of the differences along rows and along columns the smaller one counts, because motion blurs in one direction.
    """
    small = Image.fromarray(crop).convert("L").resize((LOOKED_AT, LOOKED_AT), Image.Resampling.BOX)
    grey = np.asarray(small, dtype=np.float32)[LOOKED_AT // 4 : -LOOKED_AT // 4, LOOKED_AT // 4 : -LOOKED_AT // 4]
    least = min(float(np.diff(grey, 2, axis=axis).var()) for axis in (0, 1))
    return least / max(float(grey.var()), 1.0)
