"""Results as JSON lines."""

import json
from collections.abc import Iterable

from services.export.records import ImageToExport, records


def json_lines(images: Iterable[ImageToExport]) -> str:
    """The records of some images, each a JSON object on a line."""
    return "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for image in images for record in records(image))


def broken_off(code: str, detail: str) -> str:
    """The last line of an export that could not be finished."""
    return f"{json.dumps({'error': {'code': code, 'detail': detail}}, ensure_ascii=False)}\n"
