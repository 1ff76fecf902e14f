"""What raters said of the faces of the 10k US Adult Faces Database: one row for each rater and face."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from services.training.datasets.data_set import Judged
from services.training.datasets.spreadsheet import cells, number, rows, text, titles
from services.training.datasets.us_names import key_of
from shared.errors import DataSetInvalid

CHECKS = (("catch", "catchAns"), ("catch.1", "catchAns.1"))  # what was answered and what is right, by title
NEEDED = ("Filename", "memorable", *(title for check in CHECKS for title in check))
GROUPS = ("age", "gender", "race")  # of the face; the columns subage, submale and subrace are the rater's own
FINAL = "Final Values"  # sheet of the labels with one row for each face
HALVES_SEED = 0


@dataclass(frozen=True)
class Raters:
    """Rows that passed the attention checks. `judgements` has what raters answered to `memorable`, by face.

    A face whose raters all left that cell empty has an empty list. `groups` has what they said of the face's age,
    gender and race, where the table has such columns.
    """

    judgements: dict[str, list[float]]
    groups: dict[str, dict[str, list[str]]]
    kept: int
    dropped: int

    def judged(self, names: list[str]) -> Judged:
        """The mean judgement of each face, and that of two random halves of its raters."""
        generator = np.random.default_rng(HALVES_SEED)
        found = np.full((3, len(names)), np.nan)
        for place, name in enumerate(names):
            said = generator.permutation(self.judgements[name])
            middle = len(said) // 2
            for row, part in enumerate((said, said[:middle], said[middle:])):
                if len(part) and middle:
                    found[row, place] = part.mean()
        return Judged(*found)

    def groups_of(self, names: list[str]) -> dict[str, np.ndarray]:
        """The most frequent answer for each face and column, "" where there is none."""
        return {
            title: np.array([_most_frequent(said.get(name, [])) for name in names])
            for title, said in self.groups.items()
        }


def read(path: Path) -> Raters:
    """Read the raters' rows and drop those that fail a check. Raises DataSetInvalid if a column is missing."""
    table = rows(path)
    named = titles(next(table, ()))
    absent = [title for title in NEEDED if title not in named]
    if absent:
        raise DataSetInvalid(
            f"'{path}' has no column {', '.join(absent)} in its first sheet; it needs {', '.join(NEEDED)}"
        )
    judgements: dict[str, list[float]] = {}
    wanted = [title for title in named if title.casefold() in GROUPS]
    groups: dict[str, dict[str, list[str]]] = {title.casefold(): {} for title in wanted}
    counts: Counter[bool] = Counter()
    for row in table:
        line = cells(named, row)
        if not text(line["Filename"]):
            continue
        passed = _passed(line)
        counts[passed] += 1
        if passed:
            name = key_of(line["Filename"])
            value = number(line["memorable"])
            judgements.setdefault(name, []).extend([] if value is None else [value])
            for title in wanted:
                groups[title.casefold()].setdefault(name, []).append(text(line[title]))
    return Raters(judgements, groups, counts[True], counts[False])


def labels_of(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    """Age, gender and race of each face as the database's own labels have them: codes, explained in its README."""
    table = rows(path, FINAL)
    named = titles(next(table, ()))
    by_name = {key_of(line.get("Filename")): line for line in (cells(named, row) for row in table)}
    return {
        title.casefold(): np.array([text(by_name.get(name, {}).get(title)) for name in names])
        for title in named
        if title.casefold() in GROUPS
    }


def _passed(line: dict[str, Any]) -> bool:
    """Whether both checks were answered, and rightly."""
    return all(text(line[said]) and text(line[said]) == text(line[right]) for said, right in CHECKS)


def _most_frequent(answers: list[str]) -> str:
    counted = Counter(answer for answer in answers if answer)
    return min(counted, key=lambda answer: (-counted[answer], answer)) if counted else ""
