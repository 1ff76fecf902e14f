"""The summed-area table against torch's own resampling by areas."""

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from shared.faces.areas import SHARE_PIXELS, SummedAreas


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(params=[SHARE_PIXELS, SHARE_PIXELS + 1], ids=["one word for all colours", "a word for each"])
def most(request: pytest.FixtureRequest) -> int:
    """Of how many pixels a mean may be."""
    return int(request.param)


def resampled(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """What facenet-pytorch does, in float64: (3, height, width)."""
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None].double()
    return interpolate(tensor, size=(height, width), mode="area")[0].numpy()


@pytest.mark.parametrize(
    ("shape", "size"),
    [((64, 48), (39, 29)), ((100, 300), (7, 211)), ((5, 5), (5, 5)), ((3, 4), (12, 9)), ((1, 9), (1, 1))],
)
def test_an_image_at_another_size(shape: tuple[int, int], size: tuple[int, int], most: int) -> None:
    pixels = noise(*shape)
    assert SummedAreas(pixels, most).scaled(*size) == pytest.approx(resampled(pixels, *size), abs=1e-4)


def test_an_image_is_filled_up_with_its_last_row_and_column(most: int) -> None:
    areas = SummedAreas(noise(64, 48), most)
    filled, plain = areas.scaled(33, 24, 8), areas.scaled(33, 24)
    assert filled.shape == (3, 40, 24)
    assert (filled[:, :33] == plain).all()
    assert (filled[:, 33:] == plain[:, -1:]).all()


@pytest.mark.parametrize("value", [0, 1, 254, 255])
def test_the_largest_mean_of_one_word(value: int) -> None:
    """One colour fills its share of the word, its neighbours have nothing, and do not get anything of it."""
    side = int(SHARE_PIXELS**0.5)
    for colour in range(3):
        pixels = np.zeros((2 * side, 2 * side, 3), np.uint8)
        pixels[..., colour] = value
        means = SummedAreas(pixels, side**2).scaled(2, 2)
        assert (means == np.eye(3)[colour][:, None, None] * value).all()


def test_crops_of_any_size(most: int) -> None:
    pixels = noise(90, 70)
    boxes = np.array(
        [[0, 0, 70, 90], [3, 5, 53, 45], [60, 80, 70, 90], [10, 10, 11, 11], [5, 5, 29, 29], [0, 40, 70, 43]]
    )
    found = SummedAreas(pixels, most).crops(boxes, 24)
    for crop, (left, top, right, bottom) in zip(found, boxes, strict=True):
        assert crop == pytest.approx(resampled(pixels[top:bottom, left:right], 24, 24), abs=1e-4)


def test_sums_beyond_the_range_of_their_type(most: int) -> None:
    """255 in each of 25 million pixels passes 2**32, and a colour's share of a word; means of parts are right."""
    white = np.full((5000, 5000, 3), 255, np.uint8)
    white[4990:, 4990:] = 7
    areas = SummedAreas(white, most)
    assert areas.crops(np.array([[4980, 4980, 4990, 4990], [4990, 4990, 5000, 5000]]), 2)[:, 0, 0, 0] == pytest.approx(
        [255, 7]
    )
