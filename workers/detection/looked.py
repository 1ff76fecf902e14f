"""What detection found out about an image, whether it was computed or taken over from a twin, and what it stored."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared.database.tables import Face
from shared.jobs.delivery import ClaimedImage
from shared.jobs.reuse import Twin
from shared.storage import keys
from shared.storage.objects import Objects
from workers.detection.detect import CroppedFace, Photograph


@dataclass(frozen=True)
class Looked:
    """The outputs of an image: sizes in pixels and bytes, where photo and crops are, and the rows of its faces.

    reused_from: the image that they were taken over from, if they were.
    """

    width: int
    height: int
    photo_key: str
    derived_bytes: int
    faces: list[dict[str, Any]]
    reused_from: int | None = None


def store(objects: Objects, image: ClaimedImage, seen: Photograph, token: UUID) -> Looked:
    """Put what people and later stages look at into storage."""
    photo_key = keys.photo(image.job_id, image.id, token)
    objects.put(photo_key, seen.jpeg)
    rows = []
    for position, face in enumerate(seen.faces):
        crop_key = keys.crop(image.job_id, image.id, position, token)
        objects.put(crop_key, face.crop_jpeg)
        rows.append(_row(face, position, crop_key))
    size = len(seen.jpeg) + sum(len(face.crop_jpeg) for face in seen.faces)
    return Looked(seen.width, seen.height, photo_key, size, rows)


def take_over(objects: Objects, image: ClaimedImage, twin: Twin, token: UUID) -> Looked:
    """Copy what a twin has. Raises ObjectMissing if it was deleted meanwhile."""
    photo_key = keys.photo(image.job_id, image.id, token)
    objects.copy(twin.image.photo_key or "", photo_key)
    rows = []
    for face in twin.faces:
        crop_key = keys.crop(image.job_id, image.id, face.position, token)
        objects.copy(face.crop_key or "", crop_key)
        rows.append(_copied_row(face, crop_key))
    size = twin.image.derived_bytes
    return Looked(twin.image.width or 0, twin.image.height or 0, photo_key, size, rows, twin.image.id)


def _row(face: CroppedFace, position: int, crop_key: str) -> dict[str, Any]:
    return {
        "position": position,
        "box": list(face.box),
        "crop_box": list(face.crop_box),
        "landmarks": face.landmarks.ravel().tolist(),
        "confidence": face.confidence,
        "flags": face.flags,
        "crop_key": crop_key,
    }


def _copied_row(face: Face, crop_key: str) -> dict[str, Any]:
    return {
        "position": face.position,
        "box": face.box,
        "crop_box": face.crop_box,
        "landmarks": face.landmarks,
        "confidence": face.confidence,
        "flags": face.flags,
        "crop_key": crop_key,
    }
