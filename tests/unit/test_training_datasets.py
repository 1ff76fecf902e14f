"""Data sets are read as they lie on disk; what is wrong with one is said, and what to do."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from openpyxl import load_workbook

from services.training.datasets.read import read
from services.training.datasets.sources import OMI, US_FACES
from shared.errors import DataSetInvalid
from tests import us_faces

FACES = 14


def table(folder: Path, content: str, name: str = "ratings.csv") -> Path:
    for image in ("a.jpg", "b.jpg", "c.jpg"):
        (folder / image).touch()
    (folder / name).write_text(content, encoding="utf-8")
    return folder


def test_a_table_of_somebodys_own(tmp_path: Path) -> None:
    ages = ["image,score,caption,age,place,remark,score_half_a,score_half_b"]
    for number in range(30):
        (tmp_path / f"{number}.png").touch()
        ages.append(
            f"{number}.png,{number / 30},A face.,{20 + number},{'ab'[number % 2]},no {number},0.{number:02},0.5"
        )
    (tmp_path / "survey.csv").write_text("\n".join(ages), encoding="utf-8-sig")
    data = read(tmp_path)
    assert data.targets == pytest.approx(np.arange(30) / 30)
    assert data.captions == ["A face."] * 30
    assert (data.groups["age"].dtype.kind, data.groups["place"].tolist()[:2]) == ("f", ["a", "b"])
    assert data.unused == ("remark",)
    assert data.halves is not None
    assert data.halves[0][7] == pytest.approx(0.07)
    assert (tmp_path.name in data.source.name, data.source.licence) == (True, "Your own data, licence not stated")


def test_a_scale_is_brought_to_0_to_1(tmp_path: Path) -> None:
    data = read(table(tmp_path, "image,score\na.jpg,1\nb.jpg,4\nc.jpg,7"), (1, 7))
    assert data.targets.tolist() == [0, 0.5, 1]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("image,age\na.jpg,1", "columns image and score; its columns are: image, age"),
        ("", "its columns are: none"),
        ("image,score\nmissing.jpg,1", "missing.jpg"),
        ("image,score\na.jpg,much", "not a number"),
        ("image,score\na.jpg,", "must be filled; it is not for 'a.jpg'"),
        ("image,score\na.jpg,0.5\na.jpg,0.6", "each image once; 'a.jpg'"),
        ("image,score\na.jpg,2\nb.jpg,6.5", "goes from 2 to 6.5, not 0 to 1.*--scale 1 7"),
        ("image,score\na.jpg,-30\nb.jpg,250", "--scale -30 250"),
        ("image,score,caption\na.jpg,0.5,A face.\nb.jpg,0.6,", "1 cells of the column caption"),
        ("image,memorable\na.jpg,101", "not 0 to 100"),
        ("image,score,caption\na.jpg,0.5,A face.\nb.jpg,0.6,A face, smiling.", "line 3 of .* has 4 cells, .* 3 titles"),
        ("image,score,age, score\na.jpg,0.5,3,0.7", "line 1 of .* several columns called score"),
    ],
)
def test_a_wrong_table_says_what_is_wrong(tmp_path: Path, content: str, why: str) -> None:
    with pytest.raises(DataSetInvalid, match=why):
        read(table(tmp_path, content))


def test_empty_cells_at_the_end_of_a_line_are_nothing(tmp_path: Path) -> None:
    data = read(table(tmp_path, 'image,score,caption,\na.jpg,0.5,"A face, smiling.",,\nb.jpg,0.6,A face.'))
    assert data.captions == ["A face, smiling.", "A face."]


def test_a_folder_without_one_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataSetInvalid, match="has no CSV file"):
        read(tmp_path)
    table(table(tmp_path, "image,score", "a.csv"), "image,score", "b.csv")
    with pytest.raises(DataSetInvalid, match="2 CSV files"):
        read(tmp_path)


def test_omi_is_known_by_its_columns(omi: Path) -> None:
    data = read(omi)
    assert (data.source, len(data), list(data.groups)) == (OMI, 854, ["gender", "skin_color", "age"])


def test_others_with_the_column_memorable_are_not_taken_for_omi(tmp_path: Path) -> None:
    data = read(table(tmp_path, "image,memorable,age\na.jpg,25,1\nb.jpg,50,2"))
    assert (data.targets.tolist(), data.source.credit) == ([0.25, 0.5], "Your own data, source not stated")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return us_faces.write(tmp_path_factory.mktemp("us") / "Database", FACES, signal=True).folder


@pytest.fixture
def copied(database: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(database, tmp_path / "Database"))


def test_the_us_faces_are_read_from_the_outer_folder_or_its_parent(database: Path) -> None:
    data, above = read(database), read(database.parent)
    assert data.source == US_FACES
    assert len(data) == FACES - 2  # two have no rater who passed the checks
    assert [image.rsplit("/", 1)[-1] for image in data.images[:2]] == [
        "Google_1_Name 0002_2_oval.jpg",
        "Google_1_Name 0003_3_oval.jpg",
    ]
    assert data.images[8].endswith("0010_1_oval.JPG")
    assert above.images[0] == f"Database/{data.images[0]}"
    assert "2,216" in data.notes[1]
    assert "hits less false alarms (column 7 less column 8); so it is for 14 of 14 faces" in data.notes[2]


def test_targets_are_the_true_hit_rates(database: Path) -> None:
    data = read(database)
    sheet = load_workbook(database / us_faces.SCORES).active
    assert data.targets == pytest.approx([float(row[8]) for row in list(sheet.iter_rows(values_only=True))[3:]])


def test_raters_who_fail_a_check_have_no_say(database: Path) -> None:
    data = read(database)
    assert data.judged is not None
    sheet = load_workbook(database / us_faces.PSYCHOLOGY).worksheets[0]
    said = [row[3] for row in sheet.iter_rows(values_only=True) if row[0] == "Google_1_Name 0002_2_oval.jpg"]
    assert data.judged.mean[0] == pytest.approx(np.mean(said[1:]))  # the first of six failed
    first, second = data.judged.half_a[0], data.judged.half_b[0]
    assert (2 * first + 3 * second) / 5 == pytest.approx(data.judged.mean[0])
    assert data.groups["gender"].tolist()[:3] == ["0", "1", "0"]


def test_titles_that_come_twice_are_told_apart(tmp_path: Path, database: Path) -> None:
    twice = us_faces.write(tmp_path, FACES, signal=True, twice=True).folder
    assert read(twice).judged.mean.tolist() == read(database).judged.mean.tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize("part", [us_faces.IMAGES, us_faces.SCORES, us_faces.PSYCHOLOGY])
def test_a_renamed_part_is_named_with_where_it_belongs(copied: Path, part: str) -> None:
    (copied / part).rename((copied / part).with_name("renamed"))
    with pytest.raises(DataSetInvalid, match=f"(?s)Missing: '{part}'.*on request"):
        read(copied)


def test_a_part_that_lies_elsewhere_is_found(copied: Path) -> None:
    (copied / us_faces.SCORES).rename(copied / "memorability-scores.xlsx")
    assert len(read(copied)) == FACES - 2


def test_a_missing_photograph_is_named(copied: Path) -> None:
    (copied / us_faces.IMAGES / "Google_1_Name 0003_3_oval.jpg").unlink()
    with pytest.raises(DataSetInvalid, match=f"1 of 12 photographs.*'{us_faces.IMAGES}/google_1_name 0003_3_oval.jpg'"):
        read(copied)


@pytest.mark.parametrize("value", [55, None, "high"])
def test_a_hit_rate_that_is_no_rate_is_named(copied: Path, value: object) -> None:
    book = load_workbook(copied / us_faces.SCORES)
    book.active.cell(5, 9).value = value
    book.save(copied / us_faces.SCORES)
    with pytest.raises(DataSetInvalid, match=r"7, 8 and 9, as shares and not per cent; for 'Google_1_Name 0003_3_oval"):
        read(copied)


def test_a_true_hit_rate_below_0_counts_as_0_and_is_counted(copied: Path, database: Path) -> None:
    assert not any("below 0" in note for note in read(database).notes)
    book = load_workbook(copied / us_faces.SCORES)
    book.active.cell(5, 9).value = -0.05
    book.save(copied / us_faces.SCORES)
    data = read(copied)
    assert data.targets[1] == 0
    assert "1 of 12 true hit rates are below 0 and count as 0." in data.notes


@pytest.mark.parametrize(
    ("alarms_taken_off", "said"),
    [(1, "is hits less false alarms (column 7 less column 8)"), (0, "no false alarms taken off"), (0.5, "is neither")],
)
def test_what_the_third_rate_is_is_said_by_its_numbers(copied: Path, alarms_taken_off: float, said: str) -> None:
    book = load_workbook(copied / us_faces.SCORES)
    for row in range(2, FACES + 2):
        book.active.cell(row, 7).value = 0.8
        book.active.cell(row, 8).value = 0.2
        book.active.cell(row, 9).value = 0.8 - alarms_taken_off * 0.2
    book.save(copied / us_faces.SCORES)
    assert any(said in note for note in read(copied).notes)


def test_a_missing_column_of_the_raters_is_named(copied: Path) -> None:
    book = load_workbook(copied / us_faces.PSYCHOLOGY)
    book.worksheets[0].cell(1, 6).value = "check"
    book.save(copied / us_faces.PSYCHOLOGY)
    with pytest.raises(DataSetInvalid, match="no column catchAns in its first sheet"):
        read(copied)


def test_a_spreadsheet_that_is_none_is_named(copied: Path) -> None:
    (copied / us_faces.SCORES).write_bytes(b"not a zip")
    with pytest.raises(DataSetInvalid, match=r"memorability-scores.xlsx' cannot be read as an Excel file"):
        read(copied)
