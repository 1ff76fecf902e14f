"""Results for programs: one record for each face, one for each image without a score; as JSON lines or as CSV."""

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from services.api.schemas import FaceResult, ImageResult

# Some read columns by their place: new ones come last.
COLUMNS = (
    "image",
    "state",
    "reason",
    "face",
    "score",
    "uncertainty",
    "percentile",
    "left",
    "top",
    "right",
    "bottom",
    "caption",
    "words",
    "bundle",
    "bundle_digest",
    "face_id",
    "flags",
)
# A spreadsheet would take a cell that begins with one of these for a formula and run it (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def json_lines(images: Iterable[ImageResult]) -> Iterator[str]:
    """A JSON object for each face that has a score and for each image that has none."""
    for image in images:
        scored = [face for face in image.faces if face.score is not None]
        for face in scored:
            yield _line({"image": image.image, **_face(face)})
        if not scored:
            yield _line({"image": image.image, "state": image.state, "reason": image.reason})


def write_csv(images: Iterable[ImageResult], file: TextIO) -> None:
    """The same as a table that a spreadsheet opens, with a row of headings."""
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    for image in images:
        first = {"image": image.image, "state": image.state, "reason": image.reason}
        scored = [face for face in image.faces if face.score is not None]
        for row in [{**first, **_cells(face)} for face in scored] or [first]:
            writer.writerow({column: _harmless(value) for column, value in row.items()})


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False)


def _face(face: FaceResult) -> dict[str, Any]:
    return {
        "face": face.face,
        "face_id": face.id,
        "score": face.score,
        "uncertainty": face.uncertainty,
        "percentile": face.percentile,
        "box": face.box,
        "flags": face.flags,
        "caption": face.caption,
        "words": [{"text": word.text, "contribution": word.contribution} for word in face.words or []],
        "bundle": face.bundle and face.bundle.model_dump(),
    }


def _cells(face: FaceResult) -> dict[str, Any]:
    cells = _face(face)
    del cells["box"]
    cells |= dict(zip(("left", "top", "right", "bottom"), face.box, strict=True))
    cells["words"] = "; ".join(f"{word.text} {word.contribution:+.4f}" for word in face.words or [])
    cells["flags"] = "; ".join(face.flags)
    cells["bundle"] = face.bundle and face.bundle.name
    cells["bundle_digest"] = face.bundle and face.bundle.digest
    return cells


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
