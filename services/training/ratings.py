"""Reads a data set: a folder with ratings.csv and the images that it names."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.errors import DataSetInvalid

RATINGS = "ratings.csv"
SCALE = 100.0  # `memorable` is 0..100
EDGE = 0.01  # shares are kept this far from 0 and 1, where the logit has no end
GROUPS = ("gender", "skin_color", "age")  # only to measure gaps between groups; never inputs


@dataclass(frozen=True)
class Ratings:
    """`images` are paths relative to `folder`; `columns` holds the other columns, float64 (N,), nan where empty."""

    folder: Path
    images: list[str]
    columns: dict[str, np.ndarray]

    @property
    def shares(self) -> np.ndarray:
        """How memorable each image was judged, 0..1: float64 (N,)."""
        return self.columns["memorable"] / SCALE


def read(folder: Path) -> Ratings:
    """Read and check a data set. Raises DataSetInvalid, which says what is missing."""
    try:
        with (folder / RATINGS).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataSetInvalid(f"'{folder / RATINGS}' cannot be read: {error}") from error
    if not rows or not {"image", "memorable"} <= rows[0].keys():
        raise DataSetInvalid(f"'{folder / RATINGS}' needs rows, and the columns image and memorable")
    images = [row["image"] for row in rows]
    missing = [image for image in images if not (folder / image).is_file()]
    if missing:
        raise DataSetInvalid(
            f"{len(missing)} images of '{folder / RATINGS}' are not there, the first is '{missing[0]}'"
        )
    try:
        columns = {
            name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0].keys() - {"image"} if name
        }
    except (TypeError, ValueError) as error:
        raise DataSetInvalid(f"'{folder / RATINGS}' holds something that is not a number: {error}") from error
    if not ((columns["memorable"] >= 0) & (columns["memorable"] <= SCALE)).all():
        raise DataSetInvalid(f"the column memorable of '{folder / RATINGS}' must be filled, from 0 to 100")
    return Ratings(folder, images, columns)


def logits(shares: np.ndarray) -> np.ndarray:
    """The logit of shares 0..1."""
    inside = np.clip(shares, EDGE, 1 - EDGE)
    return np.log(inside / (1 - inside))
