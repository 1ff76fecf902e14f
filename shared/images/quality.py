"""Reasons to trust a face's score less: too few pixels, or too little in them."""

import numpy as np
from PIL import Image

# Pixels of the original image across the face. At the default margin a crop gives the face 149 of its 224: below half
# of that, most pixels of the crop were made up by enlarging.
SMALL_SIDE = 75
# Of `sharpness`. Of 107 sharp portraits none is below 0.048. Blurred by a Gaussian of 2 pixels (of 224) half of them
# are below this, by 3 pixels all; smeared along a line of 9 pixels two thirds, of 15 pixels all.
BLURRED_BELOW = 0.016
LOOKED_AT = 112  # pixels; half the crop's size, where noise and JPEG no longer pass for detail


def flags(crop: np.ndarray, face_side: float) -> list[str]:
    """`small` and `blurred`, where they apply.

    `crop` is uint8 (height, width, 3) RGB, square; `face_side` is the shorter side of the face's box in pixels of the
    original image.
    """
    found = []
    if face_side < SMALL_SIDE:
        found.append("small")
    if sharpness(crop) < BLURRED_BELOW:
        found.append("blurred")
    return found


def sharpness(crop: np.ndarray) -> float:
    """Variance of the second difference of grey over the variance of grey, in the middle of the crop.

    Of the differences along rows and along columns the smaller one counts, because motion blurs in one direction.
    """
    small = Image.fromarray(crop).convert("L").resize((LOOKED_AT, LOOKED_AT), Image.Resampling.BOX)
    grey = np.asarray(small, dtype=np.float32)[LOOKED_AT // 4 : -LOOKED_AT // 4, LOOKED_AT // 4 : -LOOKED_AT // 4]
    least = min(float(np.diff(grey, 2, axis=axis).var()) for axis in (0, 1))
    return least / max(float(grey.var()), 1.0)
