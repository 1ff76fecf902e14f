"""Results as CSV that a spreadsheet opens."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from services.export.cells import COLUMNS, rows
from services.export.records import ImageToExport

# A spreadsheet would take a cell that begins with one of these for a formula and run it (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def headings() -> str:
    """The first line."""
    return _written([dict(zip(COLUMNS, COLUMNS, strict=True))])


def csv_lines(images: Iterable[ImageToExport]) -> str:
    """The rows of some images, without headings."""
    return _written(row for image in images for row in rows(image))


def broken_off(code: str, detail: str) -> str:
    """The last row of an export that could not be finished."""
    return _written([{"image": f"THIS FILE IS INCOMPLETE. {detail}", "state": "error", "reason": code}])


def _written(cells: Iterable[dict[str, Any]]) -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, COLUMNS)
    for row in cells:
        writer.writerow({column: _harmless(value) for column, value in row.items()})
    return file.getvalue()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
