"""The summed-area table against torch's own resampling by areas."""

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from shared.faces.areas import SummedAreas


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)


def resampled(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """What facenet-pytorch does, in float64."""
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None].double()
    return interpolate(tensor, size=(height, width), mode="area")[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize(
    ("shape", "size"),
    [((64, 48), (39, 29)), ((100, 300), (7, 211)), ((5, 5), (5, 5)), ((3, 4), (12, 9)), ((1, 9), (1, 1))],
)
def test_an_image_at_another_size(shape: tuple[int, int], size: tuple[int, int]) -> None:
    pixels = noise(*shape)
    assert SummedAreas(pixels).scaled(*size) == pytest.approx(resampled(pixels, *size), abs=1e-4)


def test_crops_of_any_size() -> None:
    pixels = noise(90, 70)
    boxes = np.array(
        [[0, 0, 70, 90], [3, 5, 53, 45], [60, 80, 70, 90], [10, 10, 11, 11], [5, 5, 29, 29], [0, 40, 70, 43]]
    )
    found = SummedAreas(pixels).crops(boxes, 24)
    for crop, (left, top, right, bottom) in zip(found, boxes, strict=True):
        assert crop == pytest.approx(resampled(pixels[top:bottom, left:right], 24, 24), abs=1e-4)


def test_sums_beyond_the_range_of_their_type() -> None:
    """255 in each of 25 million pixels passes 2**32; means of parts of them are right all the same."""
    white = np.full((5000, 5000, 3), 255, np.uint8)
    white[4990:, 4990:] = 7
    areas = SummedAreas(white)
    assert areas.crops(np.array([[4980, 4980, 4990, 4990], [4990, 4990, 5000, 5000]]), 2)[:, 0, 0, 0] == pytest.approx(
        [255, 7]
    )
