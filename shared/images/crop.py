"""The square crop of one face: what captioner and encoders see."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

CROP_SIZE = 224  # pixels; the side that the visual encoders take

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Crop:
    """`pixels` is uint8 (size, size, 3) RGB; `box` is the square taken: (left, top, right, bottom)."""

    pixels: np.ndarray
    box: Box


def crop_face(pixels: np.ndarray, box: Box, *, margin: float, size: int = CROP_SIZE) -> Crop:
    """Cut out the square around a face and scale it to `size`.

    `pixels` is uint8 (height, width, 3); `box` is the face in pixels of that array. The square has the longer side of
    the box plus `margin` (a share of that side) on each side. Where it leaves the picture, the picture's edge goes on.
    """
    left, top, right, bottom = box
    if not (np.isfinite(box).all() and right > left and bottom > top):
        raise ValueError(f"not a box: {box}")
    side = crop_side(box, margin=margin)
    left, top = round((left + right - side) / 2), round((top + bottom - side) / 2)
    height, width = pixels.shape[:2]
    if min(top, left) >= 0 and top + side <= height and left + side <= width:
        square = np.ascontiguousarray(pixels[top : top + side, left : left + side])
    else:
        rows = np.clip(np.arange(top, top + side), 0, height - 1)
        columns = np.clip(np.arange(left, left + side), 0, width - 1)
        square = pixels[rows[:, None], columns]
    scaled = Image.fromarray(square).resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return Crop(np.array(scaled), (float(left), float(top), float(left + side), float(top + side)))


def crop_side(box: Box, *, margin: float) -> int:
    """How many pixels the square around a face is wide and high."""
    left, top, right, bottom = box
    return max(1, round(max(right - left, bottom - top) * (1 + 2 * margin)))


def to_crop(points: np.ndarray, crop_box: Box, size: int = CROP_SIZE) -> np.ndarray:
    """`points` (K, 2), given where `crop_box` is given, in pixels of the crop taken from there: float32 (K, 2)."""
    left, top, right, bottom = crop_box
    scale = np.array([size / (right - left), size / (bottom - top)])
    return ((np.asarray(points, dtype=np.float64) - (left, top)) * scale).astype(np.float32)
