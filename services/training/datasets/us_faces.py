"""Reads the 10k US Adult Faces Database (Bainbridge, Isola & Oliva 2013) as it lies on its users' disks."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.training.datasets import us_raters
from services.training.datasets.data_set import DataSet
from services.training.datasets.sources import US_FACES, US_FACES_PUBLISHED
from services.training.datasets.spreadsheet import number, rows, text
from services.training.datasets.us_names import PHOTOGRAPHS, key_of
from services.training.datasets.us_raters import Raters
from shared.errors import DataSetInvalid

IMAGES = "10k US Adult Faces Database/Face Images"
SCORES = "Memorability Scores/memorability-scores.xlsx"
RATERS = "Full Attribute Scores/psychology attributes/psychology-attributes.xlsx"
LABELS = "Full Attribute Scores/demographic & others labels/demographic-others-labels.xlsx"
EXPECTED = (IMAGES, SCORES, RATERS)
DEPTH = 4  # folders below --data that are looked through
NAME, HIT_RATE, FALSE_ALARM_RATE, TRUE_HIT_RATE = 0, 6, 7, 8  # columns of SCORES, from zero
LEAST = (0, 0, -1)  # that each of these rates can be; a true hit rate may have false alarms taken off
ROUNDING, MOST = 0.015, 0.9  # rates that differ by no more count as one; a rule holds if it does for so many faces
HOW_TO_GET_IT = (
    "The database is given out by its authors on request, after signing an agreement, and may not be passed on; ask "
    "for the memorability scores and the full attribute scores too."
)


@dataclass(frozen=True)
class Layout:
    """Where the parts lie. `labels`, what people said of each face's age, gender and race, may be missing."""

    images: Path
    scores: Path
    raters: Path
    labels: Path | None


@dataclass(frozen=True)
class Rates:
    """How a face was remembered, as shares; `true_hits` is lower than 0 where false alarms outnumber hits."""

    hits: float
    false_alarms: float
    true_hits: float


def lies_in(folder: Path) -> bool:
    """Whether at least one part of the database lies in `folder`, or in the outer folder that is in it."""
    return any(_find(folder, part) for part in EXPECTED)


def read(folder: Path) -> DataSet:
    """Read and check the database. Raises DataSetInvalid, which says what was expected where."""
    layout = _layout(folder)
    scores = _memorability(layout.scores)
    raters = us_raters.read(layout.raters)
    names = [name for name in scores if name in raters.judgements]
    if not names:
        raise DataSetInvalid(f"no face of '{layout.scores}' was rated in '{layout.raters}'")
    true_hits = np.array([scores[name].true_hits for name in names])
    groups = raters.groups_of(names) | (us_raters.labels_of(layout.labels, names) if layout.labels else {})
    return DataSet(
        folder,
        _photographs(folder, layout.images, names),
        true_hits.clip(0, 1),
        US_FACES,
        groups=groups,
        judged=raters.judged(names),
        published=US_FACES_PUBLISHED,
        notes=(*_notes(len(scores), len(names), raters), _meaning(list(scores.values())), *_clipped(true_hits)),
    )


def _layout(folder: Path) -> Layout:
    found = {part: _find(folder, part) for part in EXPECTED}
    missing = [part for part, path in found.items() if path is None]
    if missing:
        there = [f"'{path.relative_to(folder)}'" for path in found.values() if path]
        raise DataSetInvalid(
            f"the 10k US Adult Faces Database in '{folder}' is not complete. Missing: "
            + ", ".join(f"'{part}'" for part in missing)
            + f". Found: {', '.join(there)}. {HOW_TO_GET_IT}"
        )
    images, scores, raters = (path for path in found.values() if path)
    return Layout(images, scores, raters, _find(folder, LABELS))


def _find(folder: Path, part: str) -> Path | None:
    """A file or folder of the last name in `part`: where it is expected, else the first one that has that name."""
    if (folder / part).exists():
        return folder / part
    name = part.rsplit("/", 1)[-1].casefold()
    level = [folder]
    for _ in range(DEPTH):
        inside = sorted(path for parent in level if _looks_into(parent) for path in parent.iterdir())
        for path in inside:
            if path.name.casefold() == name:
                return path
        level = [path for path in inside if path.is_dir() and not path.is_symlink()]
    return None


def _looks_into(folder: Path) -> bool:
    """Not into the photographs, of which there are thousands."""
    return folder.name.casefold() != IMAGES.rsplit("/", 1)[-1].casefold()


def _memorability(path: Path) -> dict[str, Rates]:
    """The rates of each face by its name."""
    rates: dict[str, Rates] = {}
    for given in rows(path):
        row = (*given, *[None] * (TRUE_HIT_RATE + 1))  # empty cells at a row's end are left out of it
        if not text(row[NAME]):
            continue
        found = [number(row[column]) for column in (HIT_RATE, FALSE_ALARM_RATE, TRUE_HIT_RATE)]
        if all(value is None for value in found) and not rates:
            continue  # the row of titles
        shares = [value for value, low in zip(found, LEAST, strict=True) if value is not None and low <= value <= 1]
        if len(shares) < len(found):
            raise DataSetInvalid(
                f"'{path}' must have the hit rate, the false-alarm rate and the true hit rate in its columns 7, 8 and "
                f"9, as shares and not per cent; for '{text(row[NAME])}' they are {', '.join(map(str, found))}"
            )
        rates[key_of(row[NAME])] = Rates(*shares)
    if not rates:
        raise DataSetInvalid(f"'{path}' has no row with a file name in column 1 and rates in columns 7 to 9")
    return rates


def _photographs(folder: Path, images: Path, names: list[str]) -> list[str]:
    """The photograph of each face, as a path relative to `folder`."""
    there = {key_of(path.name): path for path in images.iterdir() if path.suffix.casefold() in PHOTOGRAPHS}
    missing = [name for name in names if name not in there]
    if missing:
        raise DataSetInvalid(
            f"{len(missing)} of {len(names)} photographs are missing; the first is expected as "
            f"'{images.relative_to(folder) / missing[0]}.jpg'. {HOW_TO_GET_IT}"
        )
    return [str(there[name].relative_to(folder)) for name in names]


def _notes(scored: int, used: int, raters: Raters) -> tuple[str, ...]:
    return (
        f"{raters.dropped} of {raters.dropped + raters.kept} rows of raters were dropped because an attention check "
        "was not answered rightly.",
        f"{used} of {scored} scored faces are used: those with at least one row left. That this is the seed's rule is "
        "inferred: it used 2,216 of 2,222 faces, and did not say which.",
    )


def _meaning(rates: list[Rates]) -> str:
    """What the file's third rate is, judged by its numbers: no document of the database was at hand to say it."""
    hits, false_alarms, true_hits = np.array([(each.hits, each.false_alarms, each.true_hits) for each in rates]).T
    rules = {
        "hits less false alarms (column 7 less column 8)": hits - false_alarms,
        "the hit rate as it is, no false alarms taken off (column 7)": hits,
    }
    for said, expected in rules.items():
        holds = int((np.abs(true_hits - expected) <= ROUNDING).sum())
        if holds >= MOST * len(rates):
            return (
                f"By its numbers, the true hit rate of this file is {said}; so it is for {holds} of {len(rates)} faces."
            )
    return (
        "By its numbers, the true hit rate of this file is neither its hit rate nor that less its false alarms: how it "
        "was corrected is not known here."
    )


def _clipped(true_hits: np.ndarray) -> tuple[str, ...]:
    below = int((true_hits < 0).sum())
    return (f"{below} of {len(true_hits)} true hit rates are below 0 and count as 0.",) if below else ()
