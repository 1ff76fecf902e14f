"""A made-up 10k US Adult Faces Database: folders, file names and spreadsheets as the real one has them.

Its photographs are variations of the two portraits that packages carry. Each is tinted between blue and red by an
amount of its own, and how often it was recognised follows that amount, or nothing at all.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from openpyxl import Workbook
from PIL import Image, ImageOps

from tests.photographs import ASTRONAUT, HOPPER

IMAGES = "10k US Adult Faces Database/Face Images"
SCORES = "Memorability Scores/memorability-scores.xlsx"
PSYCHOLOGY = "Full Attribute Scores/psychology attributes/psychology-attributes.xlsx"
LABELS = "Full Attribute Scores/demographic & others labels/demographic-others-labels.xlsx"
RATERS = 6  # rows for each face, of which one fails a check
PSYCHOLOGY_TITLES = ["Filename", "Image #", "happy", "memorable", "catch", "catchAns", "subage", "submale", "subrace"]
PSYCHOLOGY_TITLES += ["typical", "catch.1", "catchAns.1"]
SCORE_TITLES = ["Filename", "Image #", "Hits", "Misses", "False Alarms", "Correct Rejections", "HR", "FAR", "True HR"]
BOXES = {HOPPER: (100, 20, 420, 440), ASTRONAUT: (100, 0, 340, 300)}  # around the head and shoulders


@dataclass(frozen=True)
class MadeUp:
    """Where the database is, its scored faces in order, and how each is tinted, -1..1."""

    folder: Path
    names: list[str]
    tints: np.ndarray


def write(folder: Path, faces: int, *, signal: bool, unrated: int = 2, twice: bool = False) -> MadeUp:
    """Write the database. `unrated` faces have no rater who passed the checks.

    Without `signal` the hit rates are shuffled, so that photographs say nothing about them. With `twice` columns of
    one name have one title, as Excel allows, instead of titles as pandas makes them.
    """
    random = np.random.default_rng(7)
    tints = random.permutation(np.linspace(-1, 1, faces))
    names = [f"Google_1_Name {number:04}_{number % 9}_oval.jpg" for number in range(faces)]
    rates = np.clip(0.55 + 0.25 * tints + random.normal(0, 0.04, faces), 0.02, 0.98)
    if not signal:
        rates = random.permutation(rates)
    _photographs(folder / IMAGES, names, tints)
    _scores(folder / SCORES, names, rates, random)
    _psychology(folder / PSYCHOLOGY, names, rates, unrated, twice, random)
    _labels(folder / LABELS, names)
    return MadeUp(folder, names, tints)


def _photographs(folder: Path, names: list[str], tints: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for number, (name, tint) in enumerate(zip(names, tints, strict=True)):
        path = (HOPPER, ASTRONAUT)[number % 2]
        left, top, right, bottom = BOXES[path]
        shift = number // 4 % 5 * 4
        with Image.open(path) as opened:
            picture = opened.convert("RGB").crop((left - shift, top, right - shift, bottom))
        if number // 2 % 2:
            picture = ImageOps.mirror(picture)
        picture = picture.rotate(number % 7 - 3, Image.Resampling.BILINEAR).resize((192, 240))
        factors = np.array([1 + 0.45 * tint, 1.0, 1 - 0.45 * tint])
        pixels = np.clip(np.asarray(picture) * factors, 0, 255).astype(np.uint8)
        name = name.replace(".jpg", ".JPG") if number % 10 == 0 else name
        Image.fromarray(pixels).save(folder / name, "JPEG", quality=92)
    (folder / "Google_1_A Filler_1_oval.jpg").write_bytes((folder / names[1]).read_bytes())


def _scores(path: Path, names: list[str], rates: np.ndarray, random: np.random.Generator) -> None:
    book = Workbook()
    sheet = book.active
    sheet.append(SCORE_TITLES)
    for number, (name, rate) in enumerate(zip(names, rates, strict=True)):
        false_alarm_rate = float(random.uniform(0, min(0.3, 1 - rate)))
        hit_rate = float(rate) + false_alarm_rate  # the true hit rate is hits less false alarms
        hits, alarms = round(80 * hit_rate), round(80 * false_alarm_rate)
        row = [name, number + 1, hits, 80 - hits, alarms, 80 - alarms, hit_rate, false_alarm_rate, float(rate)]
        sheet.append([str(cell) if number % 5 == 0 else cell for cell in row])  # numbers that are text
    _save(book, path)


def _psychology(
    path: Path, names: list[str], rates: np.ndarray, unrated: int, twice: bool, random: np.random.Generator
) -> None:
    book = Workbook()
    sheet = book.active
    sheet.title = "All Data"
    sheet.append([title.removesuffix(".1") if twice else title for title in PSYCHOLOGY_TITLES])
    for number, (name, rate) in enumerate(zip(names, rates, strict=True)):
        for rater in range(RATERS):
            right = int(random.integers(1, 10))
            judged = int(np.clip(round(9 * rate + random.normal(0, 1.5)), 1, 9))
            given: list[int | str | None] = [right, right]
            if rater == 0 or number < unrated:
                given = [[right % 9 + 1, right], [right, None], [None, right]][number % 3]  # wrong, or not answered
            elif rater == 1:
                given = [str(right), f"{right}.0"]
            sheet.append([name, number + 1, 5, judged, given[0], right, 30, 1, 0, 4, given[1], right])
    final = book.create_sheet("Final Values")
    final.append(["Filename", "memorable"])
    _save(book, path)


def _labels(path: Path, names: list[str]) -> None:
    book = Workbook()
    book.active.title = "All Data"
    sheet = book.create_sheet("Final Values")
    sheet.append(["Filename", "Image #", "Age", "Attractive", "Gender", "Race"])
    for number, name in enumerate(names):
        sheet.append([name, number + 1, number % 5 + 1, 3.2, number % 2, 1.0 if number % 4 else 2])
    _save(book, path)


def _save(book: Workbook, path: Path) -> None:
    path.parent.mkdir(parents=True)
    book.save(path)
