"""What an export has of an image: one record for each face that has a score, or one for the image if none has."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ScoredFace:
    """A face that has a score. `words` are text and contribution, those that weigh most first."""

    id: int
    position: int
    score: float
    uncertainty: float | None
    percentile: float | None
    box: Sequence[float]
    flags: Sequence[str]
    caption: str | None
    words: Sequence[tuple[str, float]]
    bundle: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class ImageToExport:
    """An image with its scored faces."""

    id: int
    name: str
    state: str
    reason: str | None
    custom_id: str | None
    metadata: Mapping[str, Any]
    reused: bool
    faces: Sequence[ScoredFace]


def records(image: ImageToExport) -> Iterator[dict[str, Any]]:
    """The records of one image."""
    said = {"custom_id": image.custom_id, "metadata": image.metadata, "reused": image.reused, "image_id": image.id}
    for face in image.faces:
        yield {"image": image.name, **_of_face(face), **said}
    if not image.faces:
        yield {"image": image.name, "state": image.state, "reason": image.reason, **said}


def _of_face(face: ScoredFace) -> dict[str, Any]:
    return {
        "face": face.position,
        "face_id": face.id,
        "score": face.score,
        "uncertainty": face.uncertainty,
        "percentile": face.percentile,
        "box": face.box,
        "flags": face.flags,
        "caption": face.caption,
        "words": [{"text": text, "contribution": contribution} for text, contribution in face.words],
        "bundle": face.bundle,
    }
