"""Which files are meant."""

from pathlib import Path

import pytest

from services.cli.gather import NoImages, gather
from services.cli.sources import Images, Listed, MixedSources, source


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


def test_an_archive_or_a_manifest_is_a_job_of_its_own(folder: Path) -> None:
    for name in ("a.zip", "b.tar.gz", "links.CSV"):
        Path(name).write_bytes(b"-")
    assert source([Path("a.zip")]) == Listed(Path("a.zip"), is_archive=True)
    assert source([Path("b.tar.gz")]) == Listed(Path("b.tar.gz"), is_archive=True)
    assert source([Path("links.CSV")]) == Listed(Path("links.CSV"), is_archive=False)
    assert source([Path("sub"), Path("notes.txt")]) == Images(gather([Path("sub"), Path("notes.txt")]))
    with pytest.raises(MixedSources):
        source([Path("a.zip"), Path("a.jpeg")])
