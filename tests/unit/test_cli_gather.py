"""Which files are meant, and in how many jobs they go."""

import os
from pathlib import Path

import pytest

from services.cli.gather import NoImages, gather, portions, shown


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (
        "b.JPG",
        "a.jpeg",
        "notes.txt",
        "sub/c.webp",
        "sub/.hidden.png",
        ".cache/d.png",
        "sub/e.png",
        "._b.JPG",
    ):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"12345")
    return tmp_path


def names(*paths: str) -> list[str]:
    return [str(path) for path in gather([Path(path) for path in paths])]


def test_folders_are_searched_in_order_of_name(folder: Path) -> None:
    assert names(".") == ["a.jpeg", "b.JPG", "sub/c.webp", "sub/e.png"]
    assert names("sub") == ["sub/c.webp", "sub/e.png"]


def test_a_file_that_is_named_is_taken_whatever_its_name(folder: Path) -> None:
    assert names("notes.txt", "sub", ".cache/d.png") == ["notes.txt", "sub/c.webp", "sub/e.png", ".cache/d.png"]


def test_no_file_is_taken_twice(folder: Path) -> None:
    assert names("sub/e.png", "sub", "sub") == ["sub/e.png", "sub/c.webp"]


def test_nothing_to_score_is_an_error(folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(NoImages):
        gather([Path("empty")])


def test_jobs_are_as_few_as_their_limits_allow(folder: Path) -> None:
    files = gather([Path()])
    assert portions(files) == [files]
    assert portions(files, most_files=3) == [files[:3], files[3:]]
    assert portions(files, most_bytes=10) == [files[:2], files[2:]]
    assert portions(files, most_bytes=1) == [[file] for file in files]


def test_any_path_can_be_shown() -> None:
    assert shown(Path(os.fsdecode(b"caf\xe9.jpg"))) == "caf\N{REPLACEMENT CHARACTER}.jpg"
    assert shown(Path("Zoë.jpg")) == "Zoë.jpg"
