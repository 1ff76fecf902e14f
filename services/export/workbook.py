"""Results as XLSX. A row is written to a file as soon as it is there, so the size of the set does not matter."""

from collections.abc import Iterable
from pathlib import Path

import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from services.export.cells import COLUMNS, rows
from services.export.records import ImageToExport

MOST_ROWS = 1_048_576  # of a sheet, headings included; what is more goes on in another sheet
MOST_SIGNS = 32_767  # of a cell, counted as UTF-16 has them
_CUT = " [cut]"
# Text stays text, whatever it looks like: formulas and links in it are not for the reader's program to run.
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


def write(images: Iterable[ImageToExport], path: Path, most_rows: int = MOST_ROWS) -> None:
    """Writes the rows of all images to a file. What it needs on the way lies beside it."""
    book = xlsxwriter.Workbook(str(path), {**_OPTIONS, "tmpdir": str(path.parent)})
    book.use_zip64()
    sheet, line = _sheet(book, 1), 1
    number = 1
    for image in images:
        for row in rows(image):
            if line == most_rows:
                number += 1
                sheet, line = _sheet(book, number), 1
            for column, name in enumerate(COLUMNS):
                _put(sheet, line, column, row.get(name))
            line += 1
    book.close()


def _sheet(book: xlsxwriter.Workbook, number: int) -> Worksheet:
    sheet: Worksheet = book.add_worksheet("Results" if number == 1 else f"Results {number}")
    for column, name in enumerate(COLUMNS):
        sheet.write_string(0, column, name)
    return sheet


def _put(sheet: Worksheet, line: int, column: int, value: object) -> None:
    if isinstance(value, str):
        sheet.write_string(line, column, _fitting(value))
    elif isinstance(value, bool):
        sheet.write_boolean(line, column, value)
    elif isinstance(value, int | float):
        sheet.write_number(line, column, value)


def _fitting(text: str) -> str:
    """As much of a text as a cell may hold."""
    units = text.encode("utf-16-le")
    if len(units) // 2 <= MOST_SIGNS:
        return text
    return units[: 2 * (MOST_SIGNS - len(_CUT))].decode("utf-16-le", errors="ignore") + _CUT
