"""Quality flags on real faces, sharp and spoilt."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from shared.images.crop import crop_face
from shared.images.quality import SMALL_SIDE, flags, sharpness
from tests.photographs import ASTRONAUT, HOPPER

FACES = {ASTRONAUT: (180, 61, 268, 172), HOPPER: (136, 105, 375, 344)}  # where the faces are


@pytest.fixture(params=FACES, ids=lambda path: path.stem)
def crop(request: pytest.FixtureRequest) -> np.ndarray:
    image = np.asarray(Image.open(request.param).convert("RGB"))
    return crop_face(image, FACES[request.param], margin=0.25).pixels


def blurred(crop: np.ndarray, radius: float) -> np.ndarray:
    return np.asarray(Image.fromarray(crop).filter(ImageFilter.GaussianBlur(radius)))


def test_a_good_face(crop: np.ndarray) -> None:
    assert flags(crop, 200) == []


def test_small(crop: np.ndarray) -> None:
    assert flags(crop, SMALL_SIDE - 1) == ["small"]
    assert flags(crop, SMALL_SIDE) == []


def test_blurred(crop: np.ndarray) -> None:
    assert flags(blurred(crop, 4), 200) == ["blurred"]
    assert flags(blurred(crop, 4), 20) == ["small", "blurred"]


@pytest.mark.parametrize("axis", [0, 1])
def test_motion_blur(crop: np.ndarray, axis: int) -> None:
    smeared = np.mean([np.roll(crop, step, axis) for step in range(19)], axis=0).astype(np.uint8)
    assert "blurred" in flags(smeared, 200)


def test_noise_is_not_detail(crop: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(0, 3, crop.shape)
    assert "blurred" in flags(np.clip(blurred(crop, 4) + noise, 0, 255).astype(np.uint8), 200)


def test_sharpness_falls_with_blur_and_not_with_light(crop: np.ndarray) -> None:
    values = [sharpness(blurred(crop, radius)) for radius in (0, 1, 2, 3, 5)]
    assert values == sorted(values, reverse=True)
    assert sharpness((crop * 0.5).astype(np.uint8)) == pytest.approx(sharpness(crop), rel=0.15)


def test_an_empty_crop_is_blurred() -> None:
    assert flags(np.zeros((224, 224, 3), np.uint8), 200) == ["blurred"]
