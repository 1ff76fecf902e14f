"""Reads a folder as the data set that lies in it."""

from pathlib import Path

from services.training.datasets import table, us_faces
from services.training.datasets.data_set import DataSet


def read(folder: Path, scale: tuple[float, float] | None = None) -> DataSet:
    """The 10k US Adult Faces Database if its parts lie in `folder`, else the table of ratings that does.

    `scale` is the least and the most that a rater could say, where that is not 0 and 1. Raises DataSetInvalid, which
    says what is missing or wrong.
    """
    if us_faces.lies_in(folder):
        return us_faces.read(folder)
    return table.read(folder, scale)
