"""Quality flags on real faces, good and spoilt."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from shared.images.crop import crop_face, to_crop
from shared.images.drawn import evenness, few_tones, is_drawn
from shared.images.exposure import DARK_BELOW, highlight, is_dark
from shared.images.pose import Pose, is_turned, pose_of
from shared.images.quality import SMALL_SIDE, flags, sharpness
from tests.drawings import binarised, cartoon, few_colours, pencil, posterised, vector
from tests.photographs import ASTRONAUT, HOPPER

# Where the faces are, and left eye, right eye, nose, left and right corner of the mouth, about as MTCNN finds them.
FACES = {ASTRONAUT: (180, 61, 268, 172), HOPPER: (136, 105, 375, 344)}
POINTS = {
    ASTRONAUT: [(202, 108), (245, 105), (225, 128), (208, 145), (243, 143)],
    HOPPER: [(211, 195), (308, 195), (262, 243), (220, 298), (302, 298)],
}
FRONTAL = np.array([(80, 90), (140, 90), (110, 122), (86, 150), (134, 150)], dtype=np.float32)


@pytest.fixture(params=FACES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def crop(path: str) -> np.ndarray:
    image = np.asarray(Image.open(path).convert("RGB"))
    return crop_face(image, FACES[path], margin=0.25).pixels


@pytest.fixture
def landmarks(path: str) -> np.ndarray:
    image = np.asarray(Image.open(path).convert("RGB"))
    return to_crop(np.array(POINTS[path]), crop_face(image, FACES[path], margin=0.25).box)


def blurred(crop: np.ndarray, radius: float) -> np.ndarray:
    return np.asarray(Image.fromarray(crop).filter(ImageFilter.GaussianBlur(radius)))


def exposed(crop: np.ndarray, stops: float) -> np.ndarray:
    """As if so many stops more light had come in: the light itself is multiplied, not its sRGB values."""
    light = (crop / 255.0) ** 2.2 * 2.0**stops
    return (255 * light.clip(0, 1) ** (1 / 2.2)).round().astype(np.uint8)


def test_a_good_face(crop: np.ndarray, landmarks: np.ndarray) -> None:
    assert flags(crop, 200, landmarks) == []


def test_all_flags_have_an_order(crop: np.ndarray) -> None:
    spoilt = exposed(blurred(crop, 6), -4)
    assert flags(spoilt, 20, FRONTAL[::-1]) == ["small", "blurred", "turned", "dark"]


def test_small(crop: np.ndarray, landmarks: np.ndarray) -> None:
    assert flags(crop, SMALL_SIDE - 1, landmarks) == ["small"]
    assert flags(crop, SMALL_SIDE, landmarks) == []


# --- blurred -----------------------------------------------------------------------------------------------------


def test_blurred_is_blurred_and_not_drawn(crop: np.ndarray, landmarks: np.ndarray) -> None:
    for radius in (4, 8, 20):
        assert flags(blurred(crop, radius), 200, landmarks) == ["blurred"]


@pytest.mark.parametrize("axis", [0, 1])
def test_motion_blur(crop: np.ndarray, landmarks: np.ndarray, axis: int) -> None:
    smeared = np.mean([np.roll(crop, step, axis) for step in range(19)], axis=0).astype(np.uint8)
    assert "blurred" in flags(smeared, 200, landmarks)


def test_noise_is_not_detail(crop: np.ndarray, landmarks: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(0, 3, crop.shape)
    assert "blurred" in flags(np.clip(blurred(crop, 4) + noise, 0, 255).astype(np.uint8), 200, landmarks)


def test_sharpness_falls_with_blur_and_not_with_light(crop: np.ndarray) -> None:
    values = [sharpness(blurred(crop, radius)) for radius in (0, 1, 2, 3, 5)]
    assert values == sorted(values, reverse=True)
    assert sharpness((crop * 0.5).astype(np.uint8)) == pytest.approx(sharpness(crop), rel=0.15)


def test_an_empty_crop_is_blurred_and_dark() -> None:
    assert flags(np.zeros((224, 224, 3), np.uint8), 200, FRONTAL) == ["blurred", "dark"]


# --- turned ------------------------------------------------------------------------------------------------------


def rotated(points: np.ndarray, degrees: float) -> np.ndarray:
    turn = np.radians(degrees)
    middle = points.mean(axis=0)
    return (points - middle) @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + middle


def moved(nose: tuple[float, float]) -> np.ndarray:
    points = FRONTAL.copy()
    points[2] += nose
    return points


def test_a_face_from_the_front_is_not_turned(landmarks: np.ndarray) -> None:
    assert not is_turned(FRONTAL)
    assert not is_turned(landmarks)
    assert not is_turned(FRONTAL * 0.01 + 1000)
    assert pose_of(FRONTAL) == Pose(0.0, pytest.approx(0.9), pytest.approx(32 / 60), pytest.approx(0.0))


@pytest.mark.parametrize("side", [-1, 1])
def test_turned_to_a_side(side: int) -> None:
    assert is_turned(moved((side * 24, 0))), "the nose is at the far eye"
    assert not is_turned(moved((side * 10, 0)))
    # Eyes and mouth, seen so far from the side that their width is half of what it was.
    assert is_turned((FRONTAL - 110) * (0.6, 1) + 110)


def test_raised_bowed_and_tilted() -> None:
    assert is_turned(moved((0, -20)))
    assert is_turned(moved((0, 25)))
    assert not is_turned(rotated(FRONTAL, 15))
    assert abs(pose_of(rotated(FRONTAL, 15)).leaning) == pytest.approx(15, abs=0.1)
    for degrees in (35, -35, 90, 180):
        assert is_turned(rotated(FRONTAL, degrees))


def test_what_is_no_face_counts_as_turned() -> None:
    assert is_turned(np.zeros((5, 2)))
    assert is_turned(FRONTAL[:, ::-1])
    assert is_turned(np.full((5, 2), np.nan))


# --- dark --------------------------------------------------------------------------------------------------------


def test_less_light_is_dark_and_less_colour_of_skin_is_not(crop: np.ndarray, landmarks: np.ndarray) -> None:
    assert is_dark(exposed(crop, -3), landmarks)
    assert not is_dark(exposed(crop, -0.5), landmarks)
    # Far darker skin in the same light, as dark in the mean as an underexposed picture: only gloss and eyes are left.
    lightest = crop.max(axis=2, keepdims=True)
    darker_skin = np.where(lightest > np.percentile(lightest, 96), crop, (crop * 0.35).astype(np.uint8))
    assert darker_skin.mean() < exposed(crop, -2).mean()
    assert not is_dark(darker_skin, landmarks)


def test_a_face_in_shadow_before_a_bright_wall_is_dark(crop: np.ndarray, landmarks: np.ndarray) -> None:
    shadow = np.full_like(crop, 255)
    left, top = (landmarks.min(axis=0) - 40).astype(int).clip(0)
    right, bottom = (landmarks.max(axis=0) + 40).astype(int)
    shadow[top:bottom, left:right] = exposed(crop, -3)[top:bottom, left:right]
    assert is_dark(shadow, landmarks)


def test_landmarks_outside_the_crop_mean_all_of_it() -> None:
    crop = np.full((224, 224, 3), DARK_BELOW + 1, np.uint8)
    assert highlight(crop, FRONTAL + 1000) == DARK_BELOW + 1
    assert highlight(crop, FRONTAL - 1000) == DARK_BELOW + 1


# --- not a photograph --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", [binarised, cartoon, few_colours, pencil, posterised, vector])
def test_drawings_of_a_face_are_told(crop: np.ndarray, landmarks: np.ndarray, draw: object) -> None:
    assert flags(draw(crop), 200, landmarks)[-1:] == ["not_a_photograph"]


def test_spoilt_photographs_are_no_drawings(crop: np.ndarray) -> None:
    picture = Image.fromarray(crop)
    small = picture.resize((75, 75), Image.Resampling.BOX).resize((224, 224), Image.Resampling.BICUBIC)
    noisy = np.clip(crop + np.random.default_rng(0).normal(0, 10, crop.shape), 0, 255).astype(np.uint8)
    for photograph in (crop, np.asarray(small), noisy, exposed(crop, -2), exposed(crop, 1), blurred(crop, 1)):
        assert not is_drawn(photograph)
    assert not is_drawn(np.asarray(picture.convert("L").convert("RGB"))), "grey is not drawn"


def test_what_is_measured() -> None:
    noise = np.random.default_rng(0).normal(128, 20, (150, 150)).clip(0, 255).astype(np.uint8)
    lines = np.full((150, 150), 200, np.uint8)
    lines[::10] = 20
    assert evenness(noise) > 0.5
    assert evenness(lines) == 0.0
    assert evenness(np.full((150, 150), 255, np.uint8)) == 1.0, "burnt out: nothing is known"
    assert few_tones(noise) < 0.2
    assert few_tones(np.where(lines == 20, lines, np.uint8(110)) + np.uint8(90) * (np.arange(150) < 3)) > 0.85
