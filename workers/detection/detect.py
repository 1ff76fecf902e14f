"""From the bytes of photographs to upright photos and cropped faces. Knows no queue and no database."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from shared.compute import Compute
from shared.errors import PermanentError
from shared.faces.finder import FaceFinder, FoundFace
from shared.images import quality
from shared.images.crop import CROP_SIZE, Box, Crop, crop_face, crop_side, to_crop
from shared.images.decode import Decoded, encode_jpeg
from shared.images.decoders import Decode
from shared.settings import Settings

# Goes into `detector`; raise it when the same file would give another photo, other faces, crops or flags.
DETECTOR_VERSION = "4"
# Crops are cut from so many times the pixels that they get, or from all that there are.
CROP_PIXELS_SPARE = 2
# JPEG at 95 leaves the crop's pixels within a grey level or two of what was cut.
CROP_QUALITY = 95


def detector(settings: Settings, compute: Compute) -> str:
    """What faces are looked for with, and how: images of the same bytes and the same detector have the same faces."""
    return (
        f"{DETECTOR_VERSION}, facenet-pytorch {version('facenet-pytorch')}, long side {settings.detection_long_side}, "
        f"faces from {settings.detection_min_face}, sure from {settings.detection_threshold:g}, "
        f"at most {settings.detection_max_faces}, margin {settings.crop_margin:g}, {compute.finding}"
    )


@dataclass(frozen=True)
class CroppedFace:
    """A face: boxes and landmarks in pixels of the upright original, the crop as JPEG (224 x 224)."""

    box: Box
    crop_box: Box
    landmarks: np.ndarray
    confidence: float
    flags: list[str]
    crop_jpeg: bytes


@dataclass(frozen=True)
class Photograph:
    """An image that was looked at: its upright size in pixels, a bounded copy without metadata, its faces."""

    width: int
    height: int
    jpeg: bytes
    faces: list[CroppedFace]


def detect(
    finder: FaceFinder, decode: Decode, contents: Sequence[bytes], settings: Settings
) -> list[Photograph | PermanentError]:
    """Look for faces in files. A file that cannot be read gives its error and leaves the others alone.

    One by one, and each to its end: what was decoded lies in the cache, and is not kept beside the others of a batch.
    """
    return [_looked_at(finder, decode, content, settings) for content in contents]


def _looked_at(finder: FaceFinder, decode: Decode, content: bytes, settings: Settings) -> Photograph | PermanentError:
    try:
        small = decode(content, max_pixels=settings.max_pixels, long_side=settings.detection_long_side)
        [found] = finder.find([small.pixels])
        kept, full = found[: settings.detection_max_faces], small
        if kept and small.scale < 1:
            full = decode(content, max_pixels=settings.max_pixels, reduced=_reduced(kept, small.scale, settings))
    except PermanentError as error:
        return error
    return Photograph(
        small.width,
        small.height,
        encode_jpeg(small.pixels, full_colour=False),
        [_cropped(full, face, small.scale, settings) for face in kept],
    )


def _reduced(faces: list[FoundFace], scale: float, settings: Settings) -> int:
    """At which part of its size a photograph has pixels enough for the crops of its faces."""
    smallest = min(crop_side(face.box, margin=settings.crop_margin) for face in faces) / scale
    return next((part for part in (8, 4, 2) if smallest / part >= CROP_PIXELS_SPARE * CROP_SIZE), 1)


def _cropped(full: Decoded, face: FoundFace, scale: float, settings: Settings) -> CroppedFace:
    box, landmarks = _scaled(face.box, 1 / scale), face.landmarks / scale
    crop = crop_face(full.pixels, _scaled(box, full.scale), margin=settings.crop_margin)
    crop = Crop(crop.pixels, _scaled(crop.box, 1 / full.scale))
    left, top, right, bottom = box
    return CroppedFace(
        box,
        crop.box,
        landmarks,
        face.confidence,
        quality.flags(crop.pixels, min(right - left, bottom - top), to_crop(landmarks, crop.box)),
        encode_jpeg(crop.pixels, CROP_QUALITY),
    )


def _scaled(box: Box, by: float) -> Box:
    left, top, right, bottom = box
    return left * by, top * by, right * by, bottom * by
