"""Results for programs."""

import csv
import io
import json

from services.cli.records import COLUMNS, json_lines, write_csv
from tests.unit.results import BUNDLE, face, image


def rows(*images) -> list[dict[str, str]]:
    file = io.StringIO(newline="")
    write_csv(images, file)
    return list(csv.DictReader(io.StringIO(file.getvalue(), newline="")))


def test_each_face_is_a_json_object() -> None:
    first, second = map(json.loads, json_lines([image("a.jpg", face(0), face(1))]))
    assert list(first) == [
        "image", "face", "face_id", "score", "uncertainty", "percentile", "box", "flags", "caption", "words", "bundle"
    ]  # fmt: skip
    assert (first["image"], first["face"], second["face"]) == ("a.jpg", 0, 1)
    assert (first["face_id"], second["face_id"]) == (10, 11)
    assert first["box"] == [20, 40, 60, 90]
    assert first["words"][0] == {"text": "smile,", "contribution": 0.3}
    assert first["bundle"] == {"name": "compact", "digest": BUNDLE.digest}


def test_an_image_without_a_score_is_a_json_object() -> None:
    waiting = image("b.jpg", face(score=None), state="running", reason=None)
    skipped, running = map(json.loads, json_lines([image("a.jpg"), waiting]))
    assert skipped == {"image": "a.jpg", "state": "skipped", "reason": "no_face"}
    assert running == {"image": "b.jpg", "state": "running", "reason": None}


def test_csv_has_the_same() -> None:
    scored, skipped = rows(image("a.jpg", face(flags=["dark", "small"])), image("b.jpg"))
    assert (scored["face_id"], scored["flags"]) == ("10", "dark; small")
    assert (scored["image"], scored["face"], scored["score"], scored["left"]) == ("a.jpg", "0", "0.5", "20.0")
    assert scored["words"].startswith("smile, +0.3000; A -0.2000")
    assert (scored["bundle"], scored["bundle_digest"]) == ("compact", BUNDLE.digest)
    assert (skipped["state"], skipped["reason"], skipped["score"]) == ("skipped", "no_face", "")


def test_columns_stay_at_their_places() -> None:
    first = ["image", "state", "reason", "face", "score", "uncertainty", "percentile", "left", "top", "right", "bottom"]
    before = [*first, "caption", "words", "bundle", "bundle_digest"]
    assert list(COLUMNS[: len(before)]) == before
    assert list(rows(image("a.jpg", face()))[0]) == list(COLUMNS)


def test_no_cell_of_a_csv_is_a_formula() -> None:
    for start in ("=", "+", "-", "@", "\t", "\r"):
        [row] = rows(image(f"{start}cmd|' /C calc'!A0", face(caption=f"{start}1+1", percentile=-1.5)))
        assert row["image"].startswith("'")
        assert row["caption"].startswith("'")
        assert row["percentile"] == "-1.5", "a number is no formula"
