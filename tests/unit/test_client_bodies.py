"""What a submission sends: forms, lines, manifests, archives."""

import json
from pathlib import Path

import pytest

from services.api.schemas import Link
from services.client import bodies
from services.client.direct import batches
from services.client.errors import FileUnreadable, UnknownForm
from services.client.files import announced, common_folder, images_in, looked_at, sendable
from services.client.options import Options, fields, members


def content(body: bodies.Body) -> bytes:
    return b"".join(body.sent()["content"])


def test_what_was_not_said_is_not_sent() -> None:
    told: Options = {"name": None, "labels": (), "scores_only": False, "metadata": None, "deadline_seconds": None}
    assert members(told) == fields(told) == {}


def test_a_job_is_told_the_same_in_every_form() -> None:
    told: Options = {
        "name": "n",
        "labels": ("a", "b,c"),
        "scores_only": True,
        "metadata": {"ü": [1]},
        "deadline_seconds": 5,
    }
    assert members(told)["metadata"] == {"ü": [1]}
    assert fields(told) == {
        "name": "n",
        "labels": ["a", "b,c"],
        "scores_only": "true",
        "metadata": '{"\\u00fc": [1]}',
        "deadline_seconds": 5,
    }


def test_lines_are_made_of_links_mappings_and_models() -> None:
    images = [
        "https://example.org/ü.jpg",
        {"url": "s3://b/k", "custom_id": "7"},
        Link(url="upload:1", metadata={"n": 1}),
    ]
    body = bodies.lines(images, {"name": "n"})
    for _ in range(2):  # as often as it takes
        sent = content(body)
        assert len(sent) == int(body.headers["Content-Length"])
        assert [json.loads(line)["url"] for line in sent.splitlines()] == [
            "https://example.org/ü.jpg",
            "s3://b/k",
            "upload:1",
        ]
    assert body.query == {"name": "n"}


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.JSON", "application/json"),
        ("a.jsonl", "application/jsonl"),
        ("b.ndjson", "application/jsonl"),
        ("c.csv", "text/csv"),
    ],
)
def test_a_manifest_is_what_its_name_says(tmp_path: Path, name: str, media_type: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"lines")
    told: list[int] = []
    body = bodies.manifest(path, {}, told.append)
    assert (body.headers, content(body), told) == ({"Content-Type": media_type, "Content-Length": "5"}, b"lines", [5])


def test_an_archive_is_what_its_name_says(tmp_path: Path) -> None:
    for name, media_type in (
        ("a.zip", "application/zip"),
        ("a.tar.gz", "application/gzip"),
        ("a.tar", "application/x-tar"),
    ):
        (tmp_path / name).write_bytes(b"-")
        assert bodies.archive(tmp_path / name, {}, print).headers["Content-Type"] == media_type
    with pytest.raises(UnknownForm, match=r"\.rar"):
        bodies.archive(tmp_path / "a.rar", {}, print)
    with pytest.raises(FileUnreadable, match="absent"):
        bodies.archive(tmp_path / "absent.zip", {}, print)


def test_a_file_that_changes_while_it_is_sent_is_not_sent(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"12345")
    assert b"".join(announced(path, 5)) == b"12345"
    for size, became in ((4, "longer"), (6, "shorter")):
        with pytest.raises(FileUnreadable, match=became):
            list(announced(path, size))


def test_a_file_is_looked_at_once(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "a.PNG"
    path.parent.mkdir()
    path.write_bytes(b"abc")
    file = looked_at(path, tmp_path)
    assert (file.name, file.size, file.media_type) == ("sub/a.PNG", 3, "image/jpeg")
    assert file.digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sendable(path, None) == path.as_posix()
    assert list(images_in(tmp_path)) == [path]
    path.write_bytes(b"RIFF\0\0\0\0WEBPVP8 ")
    assert looked_at(path, None).media_type == "image/webp", "whatever its name says"


def test_batches_leave_nothing_out() -> None:
    assert list(batches(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batches([], 2)) == []


def test_whole_paths_are_named_below_the_folder_that_they_share(tmp_path: Path) -> None:
    paths = [tmp_path / "shoot" / "day-1" / "a.jpg", tmp_path / "shoot" / "day-2" / "a.jpg"]
    below = common_folder(paths, None)
    assert [sendable(path, below) for path in paths] == ["day-1/a.jpg", "day-2/a.jpg"]
    assert sendable(paths[0], common_folder(paths[:1], None)) == "a.jpg"
    assert common_folder([Path("shoot/a.jpg")], None) is None, "as it was typed"
    assert common_folder(paths, tmp_path) == tmp_path


def test_a_link_that_leads_nowhere_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"1")
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "absent.jpg")
    (tmp_path / "linked.jpg").symlink_to(tmp_path / "a.jpg")
    assert [path.name for path in images_in(tmp_path)] == ["a.jpg", "linked.jpg"]
