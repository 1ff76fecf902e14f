"""A map of contributions laid over a crop: red raises the score, blue lowers it, strength is opacity."""

from io import BytesIO

import numpy as np
from PIL import Image

# The two ends of a scale that people with red-green blindness can tell apart.
RAISES = np.array([202, 0, 32], dtype=np.float32)
LOWERS = np.array([5, 88, 176], dtype=np.float32)
# Of the strongest region; less than 1, so that the face stays to be seen.
OPACITY = 0.62


def overlay(crop: bytes, regions: np.ndarray, strongest: float | None = None) -> bytes:
    """A PNG of the `crop` (an encoded image) under its `regions`, as `overlaid` lays them."""
    buffer = BytesIO()
    overlaid(Image.open(BytesIO(crop)).convert("RGB"), regions, strongest).save(buffer, "PNG")
    return buffer.getvalue()


def overlaid(picture: Image.Image, regions: np.ndarray, strongest: float | None = None) -> Image.Image:
    """The RGB `picture` under its `regions`: float (rows, columns), what each adds to the logit.

    What adds as much as `strongest` is drawn with full opacity. Without it the scale is the map's own: its strongest
    region is. Between regions it is smooth.
    """
    strongest = strongest or float(np.abs(regions).max()) or 1.0
    small = Image.fromarray((regions / strongest).astype(np.float32))
    weight = np.asarray(small.resize(picture.size, Image.Resampling.BICUBIC)).clip(-1, 1)[..., None]
    colour = np.where(weight > 0, RAISES, LOWERS)
    opacity = np.abs(weight) * OPACITY
    pixels = np.asarray(picture, dtype=np.float32)
    # Grey under colour: skin is red too, and would read as a contribution.
    grey = pixels.mean(axis=2, keepdims=True)
    mixed = grey * (1 - opacity) + colour * opacity
    return Image.fromarray(mixed.round().astype(np.uint8))
