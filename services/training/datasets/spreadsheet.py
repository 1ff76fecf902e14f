"""Reads tables from Excel files."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from shared.errors import DataSetInvalid

Row = tuple[Any, ...]  # of cells as Excel has them: str, int, float, bool, datetime, or None where empty


def rows(path: Path, sheet: str | None = None) -> Iterator[Row]:
    """The rows of the first sheet, or of the one of that name, its titles among them.

    Raises DataSetInvalid if it cannot be read.
    """
    try:
        book = load_workbook(path, read_only=True, data_only=True)
        try:
            chosen = book.worksheets[0] if sheet is None else book[sheet]
            chosen.reset_dimensions()  # some programs write a wrong size into the file, and it would be believed
            yield from chosen.iter_rows(values_only=True)
        finally:
            book.close()
    except (OSError, BadZipFile, InvalidFileException, KeyError, IndexError, ValueError) as error:
        raise DataSetInvalid(f"'{path}' cannot be read as an Excel file: {error}") from error


def titles(row: Row) -> list[str]:
    """The titles of columns; one that comes again gets .1, .2, ... as programs that read tables name them."""
    seen: Counter[str] = Counter()
    named = []
    for cell in row:
        title = text(cell)
        named.append(f"{title}.{seen[title]}" if seen[title] else title)
        seen[title] += 1
    return named


def cells(titles: list[str], row: Row) -> dict[str, Any]:
    """A row by title; cells that the row does not reach are None."""
    return dict(zip(titles, [*row, *[None] * (len(titles) - len(row))], strict=False))


def text(cell: Any) -> str:
    """A cell as text, the same for 3, 3.0 and "3 ": numbers are often kept as text, and the other way round."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    said = "" if cell is None else str(cell).strip()
    return said[:-2] if said.endswith(".0") and said[:-2].lstrip("-").isdigit() else said


def number(cell: Any) -> float | None:
    """A cell as a number; None if it is none."""
    if isinstance(cell, bool):
        return None
    try:
        return float(text(cell))
    except ValueError:
        return None
