"""Records as rows of a table."""

import json
from collections.abc import Iterator
from typing import Any

from services.export.records import ImageToExport, records

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
    "custom_id",
    "metadata",
    "reused",
    "image_id",
)


def rows(image: ImageToExport) -> Iterator[dict[str, Any]]:
    """The rows of one image, by column: numbers, truth values, texts, or None."""
    for record in records(image):
        cells = {"state": image.state, "reason": image.reason, **record}
        if "box" in cells:
            cells |= dict(zip(("left", "top", "right", "bottom"), cells.pop("box"), strict=True))
            cells["words"] = "; ".join(f"{word['text']} {word['contribution']:+.4f}" for word in cells["words"])
            cells["flags"] = "; ".join(cells["flags"])
            bundle = cells["bundle"]
            cells |= {"bundle": bundle["name"], "bundle_digest": bundle["digest"]}
        cells["metadata"] = json.dumps(cells["metadata"], ensure_ascii=False)
        yield cells
