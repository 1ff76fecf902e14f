"""Reads a folder with images and one CSV: `image`, a score, perhaps a caption, and columns to tell groups by."""

import csv
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from services.training.datasets import sources
from services.training.datasets.data_set import DataSet, Source
from shared.errors import DataSetInvalid

RATINGS = "ratings.csv"
FEW = 10  # different numbers in a column: up to so many are categories, more are cut into thirds
MANY = 20  # different texts in a column: more are no groups but names or remarks
SCALES = ((0, 1), (1, 5), (1, 7), (1, 9), (0, 10), (1, 10), (0, 100))  # in use; the first that fits is proposed
# What tells the table of One Million Impressions from others with the same two columns, and its groups.
OMI_COLUMNS = {"image", "memorable", "memorable_sd", "memorable_n", "typical", "skin_color"}
OMI_GROUPS = ("gender", "skin_color", "age")


@dataclass(frozen=True)
class Layout:
    """Which column holds what, and the scale of the scores."""

    score: str
    scale: tuple[float, float]

    @property
    def halves(self) -> tuple[str, str]:
        """The columns with the scores that two halves of the raters gave."""
        return f"{self.score}_half_a", f"{self.score}_half_b"


def read(folder: Path, scale: tuple[float, float] | None) -> DataSet:
    """Read and check a table. Raises DataSetInvalid, which says what is missing or wrong."""
    path = _table_in(folder)
    columns = _columns(path)
    if "image" not in columns or not {"score", "memorable"} & columns.keys():
        found = ", ".join(columns) or "none"
        raise DataSetInvalid(f"'{path}' needs rows, and the columns image and score; its columns are: {found}")
    score = "score" if "score" in columns else "memorable"
    layout = Layout(score, scale or ((0, 1) if score == "score" else (0, 100)))
    images = columns["image"]
    _check_images(path, images)
    is_omi = columns.keys() >= OMI_COLUMNS and layout.scale == (0, 100)
    groups, unused = _groups(columns, layout, OMI_GROUPS if is_omi else None)
    return DataSet(
        folder,
        images,
        _scores(path, columns, layout, score),
        sources.OMI if is_omi else _own(folder, layout),
        groups=groups,
        halves=_halves(path, columns, layout),
        captions=_captions(path, columns.get("caption")),
        unused=unused,
    )


def _table_in(folder: Path) -> Path:
    if (folder / RATINGS).is_file():
        return folder / RATINGS
    tables = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv")
    if len(tables) != 1:
        found = f"has {len(tables)} CSV files and none is called {RATINGS}" if tables else "has no CSV file"
        raise DataSetInvalid(
            f"'{folder}' {found}; it needs one with the columns image and score. It is not the 10k US Adult Faces "
            "Database either: that has a folder 'Face Images' and spreadsheets"
        )
    return tables[0]


def _columns(path: Path) -> dict[str, list[str]]:
    """The table by column, cells without the spaces around them."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="", strict=True)
            titles = [title.strip() for title in reader.fieldnames or ()]
            _check_titles(path, titles, reader.line_num)
            reader.fieldnames = titles
            rows = [_checked(path, row, reader) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataSetInvalid(f"'{path}' cannot be read: {error}") from error
    names = [name for name in (rows[0] if rows else ()) if name]
    return {name: [str(row[name]).strip() for row in rows] for name in names}


def _check_titles(path: Path, titles: list[str], line: int) -> None:
    twice = [title for number, title in enumerate(titles) if title and title in titles[:number]]
    if twice:
        raise DataSetInvalid(f"line {line} of '{path}' has several columns called {twice[0]}; give each its own title")


def _checked(path: Path, row: dict[str | Any, Any], reader: "csv.DictReader[str]") -> dict[str, str]:
    """A row, which must not have more cells than there are titles. Empty ones at its end are nothing."""
    beyond = row.pop(None, [])
    if any(cell.strip() for cell in beyond):
        titles = len(reader.fieldnames or ())
        raise DataSetInvalid(
            f"line {reader.line_num} of '{path}' has {titles + len(beyond)} cells, but there are {titles} titles; a "
            "text that has a comma in it must stand in double quotes"
        )
    return row


def _check_images(path: Path, images: list[str]) -> None:
    missing = [image for image in images if not image or not (path.parent / image).is_file()]
    if missing:
        raise DataSetInvalid(f"{len(missing)} images of '{path}' are not there, the first is '{missing[0]}'")
    if len(set(images)) < len(images):
        twice = next(image for image in images if images.count(image) > 1)
        raise DataSetInvalid(f"'{path}' must name each image once; '{twice}' comes several times")


def _scores(path: Path, columns: dict[str, list[str]], layout: Layout, column: str) -> np.ndarray:
    """A column of scores brought to 0..1, float64 (N,)."""
    try:
        values = np.array([float(cell or "nan") for cell in columns[column]])
    except ValueError as error:
        raise DataSetInvalid(
            f"the column {column} of '{path}' holds something that is not a number: {error}"
        ) from error
    low, high = layout.scale
    if not np.isfinite(values).all():
        first = columns["image"][int(np.argmin(np.isfinite(values)))]
        raise DataSetInvalid(f"the column {column} of '{path}' must be filled; it is not for '{first}'")
    if values.min() < low or values.max() > high:
        proposed = _proposed(values)
        raise DataSetInvalid(
            f"the column {column} of '{path}' goes from {values.min():g} to {values.max():g}, not {low:g} to {high:g}; "
            f"say which scale the raters had, such as --scale {proposed[0]:g} {proposed[1]:g}"
        )
    return (values - low) / (high - low)


def _proposed(values: np.ndarray) -> tuple[float, float]:
    fitting = [(low, high) for low, high in SCALES if low <= values.min() and values.max() <= high]
    return fitting[0] if fitting else (float(np.floor(values.min())), float(np.ceil(values.max())))


def _halves(path: Path, columns: dict[str, list[str]], layout: Layout) -> tuple[np.ndarray, np.ndarray] | None:
    first, second = layout.halves
    if not {first, second} <= columns.keys():
        return None
    return _scores(path, columns, layout, first), _scores(path, columns, layout, second)


def _captions(path: Path, captions: list[str] | None) -> list[str] | None:
    if captions is None:
        return None
    empty = sum(not caption for caption in captions)
    if empty:
        raise DataSetInvalid(
            f"{empty} cells of the column caption of '{path}' are empty; fill them, or remove the column and let the "
            "captioner write all of them"
        )
    return [" ".join(caption.split()) for caption in captions]


def _groups(
    columns: dict[str, list[str]], layout: Layout, only: tuple[str, ...] | None
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    taken = {"image", "caption", layout.score, *layout.halves}
    groups, unused = {}, []
    for name in only or [name for name in columns if name not in taken]:
        column = _group(columns[name])
        if column is None:
            unused.append(name)
        else:
            groups[name] = column
    return groups, tuple(unused)


def _group(cells: list[str]) -> np.ndarray | None:
    """A column as numbers or as categories; None if it tells no groups."""
    different = {cell for cell in cells if cell}
    if len(different) > FEW and all(_is_number(cell) for cell in different):
        return np.array([float(cell or "nan") for cell in cells])
    return np.array(cells) if 1 < len(different) <= MANY else None


def _is_number(cell: str) -> bool:
    try:
        return isfinite(float(cell))
    except ValueError:
        return False


def _own(folder: Path, layout: Layout) -> Source:
    return sources.own(folder.resolve().name, layout.score, *layout.scale)
