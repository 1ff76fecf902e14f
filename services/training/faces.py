"""From the images of a data set to crops, on the path that images take in production."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from services.training.datasets.data_set import DataSet
from services.training.whole_files import put
from shared.compute import PLAIN
from shared.errors import DataSetInvalid, FacememError
from shared.faces.finder import FaceFinder
from shared.images.crop import crop_face, to_crop
from shared.images.decode import Decoded, decode
from shared.settings import Settings

Progress = Callable[[str, float], None]  # what is being done, and the share of it that is done (0..1)

# Raise it when the same picture and settings no longer give the same crop and landmarks: a change to decoding, to the
# finder or its networks, or to cropping.
CROPS_VERSION = 1
CUTTING = ("max_pixels", "detection_long_side", "detection_min_face", "detection_threshold", "crop_margin")


@dataclass(frozen=True)
class Crops:
    """`pixels` uint8 (N, 224, 224, 3); `landmarks` float32 (N, 5, 2) in crop pixels; `rows` int (N,) of the data set.

    Images without a face have no row here.
    """

    pixels: np.ndarray
    landmarks: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: np.ndarray) -> "Crops":
        return Crops(self.pixels[index], self.landmarks[index], self.rows[index])


def cutting() -> dict[str, Any]:
    """The settings that decide what a crop looks like, at their defaults: a model is trained for these."""
    return {name: Settings.model_fields[name].default for name in CUTTING}


def crops_of(data: DataSet, work: Path, progress: Progress) -> Crops:
    """The largest face of each image, found once and then kept in the folder `work`.

    Raises DataSetInvalid for a file that is no image, or if no image has a face.
    """
    kept = work / f"crops-{_fingerprint(data)}.npz"
    if not kept.is_file():
        crops = _cut(data, progress)
        work.mkdir(parents=True, exist_ok=True)
        put(kept, lambda unfinished: np.savez(unfinished, **vars(crops)))
    with np.load(kept) as arrays:
        return Crops(**arrays)


def _cut(data: DataSet, progress: Progress) -> Crops:
    numbers = cutting()
    finder = FaceFinder(PLAIN, numbers["detection_min_face"], numbers["detection_threshold"])
    pixels, landmarks, rows = [], [], []
    for row, image in enumerate(data.images):
        decoded = _decoded(data, image, numbers)
        for face in finder.find([decoded.pixels])[0][:1]:
            crop = crop_face(decoded.pixels, face.box, margin=numbers["crop_margin"])
            pixels.append(crop.pixels)
            landmarks.append(to_crop(face.landmarks, crop.box))
            rows.append(row)
        progress("finding faces", (row + 1) / len(data))
    if not rows:
        raise DataSetInvalid(f"no face was found in any image of '{data.folder}'")
    return Crops(np.stack(pixels), np.stack(landmarks), np.array(rows))


def _decoded(data: DataSet, image: str, numbers: dict[str, Any]) -> Decoded:
    content = (data.folder / image).read_bytes()
    try:
        return decode(content, max_pixels=numbers["max_pixels"], long_side=numbers["detection_long_side"])
    except FacememError as error:
        raise DataSetInvalid(f"'{data.folder / image}' cannot be used: {error.detail}") from error


def _fingerprint(data: DataSet) -> str:
    digest = sha256(f"{CROPS_VERSION} {cutting()!r}".encode())
    for image in data.images:
        digest.update(f"{image} ".encode() + sha256((data.folder / image).read_bytes()).digest())
    return digest.hexdigest()[:16]
