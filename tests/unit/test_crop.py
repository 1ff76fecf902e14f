"""The crop of a face: where it lies, what it shows outside the picture, and where points go."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.images.crop import CROP_SIZE, crop_face, to_crop


def ramp(height: int = 100, width: int = 120) -> np.ndarray:
    """Red grows to the right, green downwards, by two a pixel."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([columns * 2, rows * 2, np.zeros_like(rows)], axis=-1).astype(np.uint8)


def test_square_around_the_box() -> None:
    crop = crop_face(ramp(), (40, 30, 60, 70), margin=0.25)
    assert crop.box == (20, 20, 80, 80)
    assert crop.pixels.shape == (CROP_SIZE, CROP_SIZE, 3)
    assert crop.pixels.dtype == np.uint8


def test_pixels_are_those_of_the_square() -> None:
    pixels = crop_face(ramp(), (40, 40, 60, 60), margin=0.0, size=20).pixels
    assert (pixels == ramp()[40:60, 40:60]).all()


def test_outside_the_picture_its_edge_goes_on() -> None:
    image = ramp()
    pixels = crop_face(image, (-10, -10, 10, 10), margin=0.0, size=20).pixels
    assert (pixels[:10, :10] == image[0, 0]).all()
    assert (pixels[10:, 10:] == image[:10, :10]).all()
    assert (pixels[10:, :10, 0] == image[0, 0, 0]).all()


@settings(deadline=None)
@given(
    left=st.floats(-300, 300),
    top=st.floats(-300, 300),
    width=st.floats(0.01, 400),
    height=st.floats(0.01, 400),
    margin=st.floats(0, 1),
)
def test_any_box(left: float, top: float, width: float, height: float, margin: float) -> None:
    box = (left, top, left + width, top + height)
    crop = crop_face(ramp(), box, margin=margin)
    assert crop.pixels.shape == (CROP_SIZE, CROP_SIZE, 3)
    x0, y0, x1, y1 = crop.box
    assert x1 - x0 == y1 - y0 >= 1
    assert abs((x1 - x0) - max(width, height) * (1 + 2 * margin)) <= 1
    assert abs((x0 + x1) / 2 - (left + width / 2)) <= 1


@pytest.mark.parametrize("box", [(10, 10, 10, 20), (10, 10, 20, 5), (0, 0, float("nan"), 5), (0, 0, float("inf"), 5)])
def test_what_is_no_box(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="not a box"):
        crop_face(ramp(), box, margin=0.25)


def test_points_lie_on_the_same_pixels() -> None:
    image = np.zeros((100, 120, 3), np.uint8)
    image[50:53, 60:63] = 255
    crop = crop_face(image, (40, 30, 80, 70), margin=0.25)
    (x, y), *_ = to_crop(np.array([[61.5, 51.5], [30.0, 20.0]]), crop.box)
    rows, columns = np.nonzero(crop.pixels[..., 0] > 128)
    assert abs(columns.mean() + 0.5 - x) < 1
    assert abs(rows.mean() + 0.5 - y) < 1


def test_corners_of_the_box_are_corners_of_the_crop() -> None:
    points = to_crop(np.array([[10, 20], [40, 50]]), (10, 20, 40, 50), size=100)
    assert points.dtype == np.float32
    assert points.tolist() == [[0, 0], [100, 100]]
