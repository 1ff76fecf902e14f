"""How often flags are raised on the OMI faces, and on copies of them that were spoilt on purpose.

The docstrings of shared/images state the rates of all faces; here every fifteenth is looked at, in the product's way.
"""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageFilter

from shared.compute import PLAIN
from shared.faces.finder import FaceFinder
from shared.images.crop import crop_face, to_crop
from shared.images.decode import decode
from shared.images.quality import flags
from shared.settings import Settings
from tests import drawings

EVERY = 15
SIDE = 200.0  # pixels of a face that is not small


class Faces(NamedTuple):
    crops: np.ndarray
    landmarks: np.ndarray
    skin: np.ndarray


@pytest.fixture(scope="module")
def faces(omi: Path) -> Faces:
    fields = Settings.model_fields
    finder = FaceFinder(PLAIN, fields["detection_min_face"].default, fields["detection_threshold"].default)
    with (omi / "ratings.csv").open() as file:
        rows = list(csv.DictReader(file))[::EVERY]
    crops, landmarks, skin = [], [], []
    for row in rows:
        # Smaller than the product looks at them, because that takes a quarter of the time.
        pixels = decode((omi / row["image"]).read_bytes(), max_pixels=100_000_000, long_side=512).pixels
        for face in finder.find([pixels])[0][:1]:
            crop = crop_face(pixels, face.box, margin=fields["crop_margin"].default)
            crops.append(crop.pixels)
            landmarks.append(to_crop(face.landmarks, crop.box))
            skin.append(float(row["skin_color"]))
    assert len(crops) > 50
    return Faces(np.stack(crops), np.stack(landmarks), np.array(skin))


def rate(faces: Faces, flag: str, change: Callable[[np.ndarray], np.ndarray] = lambda crop: crop) -> float:
    return float(np.mean(raised(faces, flag, change)))


def raised(faces: Faces, flag: str, change: Callable[[np.ndarray], np.ndarray]) -> list[bool]:
    return [
        flag in flags(change(crop), SIDE, points) for crop, points in zip(faces.crops, faces.landmarks, strict=True)
    ]


def darker(stops: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda crop: (255 * ((crop / 255.0) ** 2.2 / 2**stops) ** (1 / 2.2)).round().astype(np.uint8)


def blurred(crop: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(crop).filter(ImageFilter.GaussianBlur(4)))


def enlarged(crop: np.ndarray) -> np.ndarray:
    small = Image.fromarray(crop).resize((75, 75), Image.Resampling.BOX)
    return np.asarray(small.resize((224, 224), Image.Resampling.BICUBIC))


def test_good_portraits_are_hardly_ever_flagged(faces: Faces) -> None:
    assert rate(faces, "turned") <= 0.05
    assert rate(faces, "blurred") == rate(faces, "dark") == 0.0
    assert rate(faces, "not_a_photograph") <= 0.01


def test_dark_is_about_light_and_not_about_skin(faces: Faces) -> None:
    thirds = np.digitize(faces.skin, np.percentile(faces.skin, [100 / 3, 200 / 3]))
    for stops, least, most in ((0, 0.0, 0.0), (1, 0.0, 0.06), (2, 0.4, 0.95), (3, 1.0, 1.0)):
        found = np.array(raised(faces, "dark", darker(stops)))
        for third in range(3):
            assert least <= found[thirds == third].mean() <= most, (stops, third)


@pytest.mark.parametrize("change", [blurred, enlarged, darker(2)], ids=["blurred", "enlarged", "dark"])
def test_spoilt_photographs_are_still_photographs(faces: Faces, change: Callable[[np.ndarray], np.ndarray]) -> None:
    assert rate(faces, "not_a_photograph", change) <= 0.03


@pytest.mark.parametrize(
    ("draw", "least"),
    [
        (drawings.binarised, 1.0),
        (drawings.pencil, 1.0),
        (drawings.vector, 1.0),
        (drawings.few_colours, 0.97),
        (drawings.cartoon, 0.95),
        (drawings.posterised, 0.95),
    ],
)
def test_drawings_are_told(faces: Faces, draw: Callable[[np.ndarray], np.ndarray], least: float) -> None:
    assert rate(faces, "not_a_photograph", draw) >= least


def test_squeezed_and_rotated_faces_are_turned(faces: Faces) -> None:
    """Landmarks as they would lie if MTCNN followed the change; shared/images/pose.py says how far it does."""
    middle = faces.landmarks.mean(axis=1, keepdims=True)
    around = faces.landmarks - middle
    half_as_wide = around * (0.5, 1.0)
    quarter_turn = np.stack([-around[..., 1], around[..., 0]], axis=-1)
    for moved in (half_as_wide, quarter_turn):
        assert rate(faces._replace(landmarks=moved + middle), "turned") == 1.0
