"""Results as files, without the rest."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from services.export import lines, table, workbook
from services.export.cells import COLUMNS
from services.export.records import ImageToExport, ScoredFace

DIGEST = "3fa4" * 16


def face(position: int = 0, **changes: Any) -> ScoredFace:
    fields: dict[str, Any] = {
        "id": 10 + position, "position": position, "score": 0.5, "uncertainty": 0.1, "percentile": 71.2,
        "box": [20.0, 40.0, 60.0, 90.0], "flags": [], "caption": "A smile", "words": [("smile", 0.3), ("A", -0.2)],
        "bundle": {"name": "compact", "digest": DIGEST},
    }  # fmt: skip
    return ScoredFace(**(fields | changes))


def image(name: str = "a.jpg", *faces: ScoredFace, **changes: Any) -> ImageToExport:
    fields: dict[str, Any] = {
        "state": "succeeded" if faces else "skipped", "reason": None if faces else "no_face", "custom_id": "sku-7",
        "metadata": {"shoot": 2}, "reused": False, "id": 7,
    }  # fmt: skip
    return ImageToExport(name=name, faces=faces, **(fields | changes))


def rows(*images: ImageToExport) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.headings() + table.csv_lines(images), newline="")))


def sheets(tmp_path: Path, *images: ImageToExport, **options: int) -> dict[str, list[tuple[Any, ...]]]:
    workbook.write(images, tmp_path / "results.xlsx", **options)
    book = load_workbook(tmp_path / "results.xlsx")
    return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book}


def test_each_face_is_a_json_object() -> None:
    first, second = map(json.loads, lines.json_lines([image("a.jpg", face(0), face(1))]).splitlines())
    assert list(first) == [
        "image", "face", "face_id", "score", "uncertainty", "percentile", "box", "flags", "caption", "words", "bundle",
        "custom_id", "metadata", "reused", "image_id",
    ]  # fmt: skip
    assert (first["image"], first["face"], second["face"]) == ("a.jpg", 0, 1)
    assert (first["face_id"], second["face_id"]) == (10, 11)
    assert first["words"][0] == {"text": "smile", "contribution": 0.3}
    assert first["bundle"] == {"name": "compact", "digest": DIGEST}
    assert (first["custom_id"], first["metadata"], first["reused"]) == ("sku-7", {"shoot": 2}, False)


def test_an_image_without_a_score_is_a_json_object() -> None:
    [skipped] = map(json.loads, lines.json_lines([image("b.jpg", reused=True)]).splitlines())
    assert skipped == {
        "image": "b.jpg", "state": "skipped", "reason": "no_face", "custom_id": "sku-7", "metadata": {"shoot": 2},
        "reused": True, "image_id": 7,
    }  # fmt: skip


def test_csv_has_the_same() -> None:
    scored, skipped = rows(image("a.jpg", face(flags=["dark", "small"])), image("b.jpg", custom_id=None, metadata={}))
    assert (scored["face_id"], scored["flags"]) == ("10", "dark; small")
    assert (scored["image"], scored["face"], scored["score"], scored["left"]) == ("a.jpg", "0", "0.5", "20.0")
    assert scored["words"] == "smile +0.3000; A -0.2000"
    assert (scored["bundle"], scored["bundle_digest"]) == ("compact", DIGEST)
    assert (scored["custom_id"], json.loads(scored["metadata"]), scored["reused"]) == ("sku-7", {"shoot": 2}, "False")
    assert (skipped["state"], skipped["reason"], skipped["score"]) == ("skipped", "no_face", "")
    assert (skipped["custom_id"], skipped["metadata"]) == ("", "{}")


def test_a_face_without_caption_and_words_is_a_row_like_others(tmp_path: Path) -> None:
    bare = image("a.jpg", face(caption=None, words=[]))
    assert json.loads(lines.json_lines([bare]))["caption"] is None
    assert rows(bare)[0]["caption"] == rows(bare)[0]["words"] == ""
    [_, row] = sheets(tmp_path, bare)["Results"]
    assert row[COLUMNS.index("caption")] is None


def test_columns_stay_at_their_places() -> None:
    first = ["image", "state", "reason", "face", "score", "uncertainty", "percentile", "left", "top", "right", "bottom"]
    before = [*first, "caption", "words", "bundle", "bundle_digest", "face_id", "flags"]
    assert list(COLUMNS[: len(before)]) == before
    assert list(rows(image("a.jpg", face()))[0]) == list(COLUMNS)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＠"])
def test_no_cell_is_a_formula(tmp_path: Path, start: str) -> None:
    hostile = f"{start}cmd|' /C calc'!A0"
    one = image(hostile, face(caption=f"{start}1+1", percentile=-1.5), custom_id=hostile)
    [row] = rows(one)
    assert row["image"].startswith("'")
    assert row["caption"].startswith("'")
    assert row["custom_id"].startswith("'")
    assert row["percentile"] == "-1.5", "a number is no formula"
    workbook.write([one], tmp_path / "results.xlsx")
    for cell in load_workbook(tmp_path / "results.xlsx")["Results"][2]:
        assert cell.data_type != "f"
        assert cell.hyperlink is None
    first = load_workbook(tmp_path / "results.xlsx")["Results"]["A2"]
    assert (first.data_type, first.value) == ("inlineStr" if first.data_type == "inlineStr" else "s", first.value)
    assert str(first.value).replace("_x000D_", "\r").endswith("calc'!A0")


def test_links_and_numbers_in_texts_stay_texts(tmp_path: Path) -> None:
    [_, row] = sheets(tmp_path, image("https://example.org/a.jpg", custom_id="0012", metadata={"a": "é漢"}))["Results"]
    assert row[0] == "https://example.org/a.jpg"
    assert row[COLUMNS.index("custom_id")] == "0012"
    assert json.loads(row[COLUMNS.index("metadata")]) == {"a": "é漢"}
    assert row[COLUMNS.index("reused")] is False


def test_a_workbook_goes_on_in_another_sheet(tmp_path: Path) -> None:
    found = sheets(tmp_path, *(image(f"{n}.jpg", face()) for n in range(5)), most_rows=3)
    assert list(found) == ["Results", "Results 2", "Results 3"]
    assert [row[0] for sheet in found.values() for row in sheet if row[0] != "image"] == [f"{n}.jpg" for n in range(5)]
    assert all(sheet[0] == COLUMNS for sheet in found.values())


def test_a_text_that_no_cell_can_hold_is_cut_visibly(tmp_path: Path) -> None:
    """Signs beyond the 65,536 first ones count twice, and none is cut in half."""
    [_, row] = sheets(tmp_path, image("a.jpg", face(caption="x" + "😀" * 20_000)))["Results"]
    caption = row[COLUMNS.index("caption")]
    assert caption.endswith("😀 [cut]")
    assert 32_760 < len(caption.encode("utf-16-le")) // 2 <= 32_767


def test_an_empty_set_is_a_file_with_headings(tmp_path: Path) -> None:
    assert lines.json_lines([]) == ""
    assert rows() == []
    assert sheets(tmp_path) == {"Results": [COLUMNS]}


def test_a_broken_export_says_so() -> None:
    assert json.loads(lines.broken_off("not_found", "There is no job.")) == {
        "error": {"code": "not_found", "detail": "There is no job."}
    }
    [row] = csv.reader(io.StringIO(table.broken_off("not_found", "There is no job.")))
    assert row[:3] == ["THIS FILE IS INCOMPLETE. There is no job.", "error", "not_found"]
