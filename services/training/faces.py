"""From the images of a data set to crops and captions, on the path that images take in production."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from services.training.ratings import Ratings
from shared.captions.describer import describe
from shared.errors import DataSetInvalid
from shared.faces.finder import FaceFinder
from shared.images.crop import crop_face, to_crop
from shared.images.decode import decode
from shared.settings import Settings

Progress = Callable[[str, float], None]  # what is being done, and the share of it that is done (0..1)

CUTTING = ("max_pixels", "detection_long_side", "detection_min_face", "detection_threshold", "crop_margin")


@dataclass(frozen=True)
class Crops:
    """`pixels` uint8 (N, 224, 224, 3); `landmarks` float32 (N, 5, 2) in crop pixels; `rows` int (N,) of the ratings.

    Images without a face have no row here.
    """

    pixels: np.ndarray
    landmarks: np.ndarray
    rows: np.ndarray


def cutting() -> dict[str, Any]:
    """The settings that decide what a crop looks like, at their defaults: a model is trained for these."""
    return {name: Settings.model_fields[name].default for name in CUTTING}


def crops_of(ratings: Ratings, work: Path, progress: Progress) -> Crops:
    """The largest face of each image, found once and then kept in the folder `work`."""
    kept = work / f"crops-{_fingerprint(ratings)}.npz"
    if not kept.is_file():
        crops = _cut(ratings, progress)
        work.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(".part.npz")
        np.savez(unfinished, **vars(crops))
        unfinished.replace(kept)
    with np.load(kept) as arrays:
        return Crops(**arrays)


def captions_of(crops: Crops, progress: Progress) -> list[str]:
    """What the describer says of each crop."""
    captions = []
    for pixels, landmarks in zip(crops.pixels, crops.landmarks, strict=True):
        captions.append(describe(pixels, landmarks))
        progress("describing faces", len(captions) / len(crops.rows))
    return captions


def _cut(ratings: Ratings, progress: Progress) -> Crops:
    numbers = cutting()
    finder = FaceFinder("cpu", numbers["detection_min_face"], numbers["detection_threshold"])
    pixels, landmarks, rows = [], [], []
    for row, image in enumerate(ratings.images):
        content = (ratings.folder / image).read_bytes()
        decoded = decode(content, max_pixels=numbers["max_pixels"], long_side=numbers["detection_long_side"])
        for face in finder.find([decoded.pixels])[0][:1]:
            crop = crop_face(decoded.pixels, face.box, margin=numbers["crop_margin"])
            pixels.append(crop.pixels)
            landmarks.append(to_crop(face.landmarks, crop.box))
            rows.append(row)
        progress("finding faces", (row + 1) / len(ratings.images))
    if not rows:
        raise DataSetInvalid(f"no face was found in any image of '{ratings.folder}'")
    return Crops(np.stack(pixels), np.stack(landmarks), np.array(rows))


def _fingerprint(ratings: Ratings) -> str:
    digest = sha256(repr(cutting()).encode())
    for image in ratings.images:
        digest.update(f"{image} ".encode() + sha256((ratings.folder / image).read_bytes()).digest())
    return digest.hexdigest()[:16]
