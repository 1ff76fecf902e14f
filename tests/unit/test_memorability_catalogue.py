"""Which bundles are there, which of them is meant, and that a wrong one is refused."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import BundleAmbiguous, BundleInvalid
from shared.memorability import catalogue as catalogue_module
from shared.memorability.catalogue import Catalogue, file_sha256, find, shipped
from shared.memorability.verification import verify
from tests.bundles import change, flip_a_byte, pin, retuned


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(find("compact").path, tmp_path / "copy"))


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    (tmp_path / "bundles").mkdir()
    return tmp_path / "bundles"


def test_compact_is_shipped_with_its_card() -> None:
    compact = find("compact")
    assert compact in shipped()
    assert compact.card["licence"]["name"] == "CC BY-NC-SA 4.0"
    assert compact.card["results"]["quality"]["spearman"]["interval_95"][0] > 0.4
    assert len(compact.digest) == 64


def test_a_folder_is_found_like_a_name(copy: Path) -> None:
    assert find(copy, find("compact").digest).path == copy
    assert find(str(copy)).path == copy


def test_another_digest_is_refused() -> None:
    with pytest.raises(BundleInvalid, match="asked for"):
        find("compact", "0" * 64)


def test_changed_weights_are_refused(copy: Path) -> None:
    flip_a_byte(copy / "weights.safetensors")
    with pytest.raises(BundleInvalid, match="damaged"):
        find(copy)


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors", "card.json"])
def test_a_missing_file_is_refused(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleInvalid):
        find(copy)


def test_every_other_file_is_part_of_the_bundle(copy: Path) -> None:
    for file in copy.iterdir():
        before, digest = file.read_bytes(), find(copy).digest
        file.write_bytes(before + b" ")
        if file.name == "config.json":
            assert find(copy).digest != digest
        else:
            with pytest.raises(BundleInvalid, match=f"{file.name} was replaced"):
                find(copy)
        file.write_bytes(before)


def test_a_config_pins_the_files_of_a_bundle_and_no_others(copy: Path) -> None:
    files = find(copy).config["files"]
    for wrong in ({**files, "../../x": "0" * 64}, {"card.json": files["card.json"]}, [], {**files, "card.md": 7}):
        change(copy / "config.json", files=wrong)
        with pytest.raises(BundleInvalid):
            find(copy)


MALFORMED = [
    "[]", "7", "null", "{", "", '{"name": "x"}', '"' + "x" * 99, "[" * 100_000, '{"name": ' + "[" * 100_000,
    '{"name": "x", "more": ' + "[" * 40 + "]" * 40 + "}", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("content", MALFORMED)
@pytest.mark.parametrize("file", ["config.json", "card.json"])
def test_a_malformed_bundle_is_nobody_elses_trouble(installed: Path, copy: Path, file: str, content: str) -> None:
    mine = retuned(installed / "mine", "mine")
    copy.rename(installed / "a")
    (installed / "a" / file).write_bytes(content.encode(errors="surrogatepass"))
    if file == "card.json":
        pin(installed / "a")
    if file == "card.json" and content == '{"name": "x"}':
        return  # a card that can be read; whether it is this bundle's is for `verify` to say
    whole, [wrong] = Catalogue(folder=installed).survey()
    assert [bundle.name for bundle in whole] == ["compact", "mine"]
    assert str(installed / "a") in wrong.detail
    assert Catalogue(folder=installed).find("mine") == mine
    assert not all(check.passed for check in verify(installed / "a"))


@pytest.mark.parametrize("name", [7, None, [], "", " ", "a/b", "\x1b[2J", "two\nlines", "x" * 101])
def test_a_name_that_cannot_be_typed_is_refused(installed: Path, copy: Path, name: object) -> None:
    copy.rename(installed / "a")
    change(installed / "a" / "config.json", name=name)
    whole, [wrong] = Catalogue(folder=installed).survey()
    assert [bundle.name for bundle in whole] == ["compact"]
    assert wrong.detail.isprintable()


def test_what_never_ends_is_not_read(installed: Path, copy: Path) -> None:
    copy.rename(installed / "a")
    (installed / "a" / "card.md").unlink()
    os.mkfifo(installed / "a" / "card.md")
    assert len(Catalogue(folder=installed).survey()[1]) == 1
    assert not all(check.passed for check in verify(installed / "a"))


def test_only_a_listing_trusts_a_hash_that_it_remembers(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, catalogue = retuned(installed / "mine", "mine"), Catalogue(folder=installed)
    hashed: list[str] = []
    monkeypatch.setattr(catalogue_module, "file_sha256", lambda path: hashed.append(path.name) or file_sha256(path))
    catalogue.survey()
    hashed.clear()
    assert catalogue.by_digest(mine.digest) == mine
    assert hashed == []
    assert catalogue.by_digest(mine.digest, afresh=True) == mine
    assert sorted(hashed) == sorted(mine.config["files"])
    before = mine.weights.stat()
    flip_a_byte(mine.weights)
    os.utime(mine.weights, ns=(before.st_atime_ns, before.st_mtime_ns))  # looks as old as it was
    assert len(catalogue.survey()[1]) == 1


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(BundleInvalid, match="no bundle"):
        find("gigantic")


def test_bundles_of_the_folder_are_found_at_once_by_name_and_digest(installed: Path) -> None:
    catalogue = Catalogue(folder=installed)
    with pytest.raises(BundleInvalid, match="no bundle called 'mine'"):
        catalogue.find("mine")
    mine = retuned(installed / "whatever", "mine")
    assert catalogue.find("mine") == mine
    assert catalogue.find(mine.digest) == catalogue.find(mine.digest[:12]) == catalogue.by_digest(mine.digest) == mine
    assert [bundle.name for bundle in catalogue.survey()[0]] == ["compact", "mine"]
    shutil.rmtree(installed / "whatever")
    with pytest.raises(BundleInvalid, match="no bundle with digest"):
        catalogue.by_digest(mine.digest)


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert [bundle.name for bundle in Catalogue(folder=tmp_path / "none").survey()[0]] == ["compact"]


def test_a_namesake_replaces_nothing(installed: Path) -> None:
    catalogue, original = Catalogue(folder=installed), find("compact")
    other = retuned(installed / "other", "compact")
    with pytest.raises(BundleAmbiguous) as ambiguous:
        catalogue.find("compact")
    assert other.digest[:12] in ambiguous.value.detail
    assert original.digest[:12] in ambiguous.value.detail
    assert catalogue.find("compact", in_use=other.digest) == other
    assert catalogue.find("compact", original.digest) == original
    assert {bundle.digest for bundle in catalogue.survey()[0]} == {original.digest, other.digest}


def test_the_same_bundle_in_two_places_is_one(installed: Path, copy: Path) -> None:
    copy.rename(installed / "compact")
    catalogue = Catalogue(folder=installed)
    assert catalogue.find("compact") == find("compact")
    assert len(catalogue.survey()[0]) == 1


def test_a_whole_copy_stands_in_for_a_damaged_one(installed: Path) -> None:
    retuned(installed / "a", "mine")
    good = retuned(installed / "b", "mine")
    flip_a_byte(installed / "a" / "weights.safetensors")
    assert Catalogue(folder=installed).by_digest(good.digest).path == installed / "b"


def test_a_damaged_bundle_does_not_hide_the_others(installed: Path) -> None:
    retuned(installed / "mine", "mine")
    flip_a_byte(installed / "mine" / "weights.safetensors")
    whole, [wrong] = Catalogue(folder=installed).survey()
    assert [bundle.name for bundle in whole] == ["compact"]
    assert "damaged" in wrong.detail
    with pytest.raises(BundleInvalid, match="damaged"):
        Catalogue(folder=installed).find("mine")


def test_a_folder_that_only_somebody_else_may_read_is_passed_over(
    installed: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root has the tests run, no mode of a folder keeps them out."""
    shutil.move(copy, installed / "theirs")
    is_file = Path.is_file

    def asked(path: Path) -> bool:
        if path.parent.name == "theirs":
            raise PermissionError(path)
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", asked)
    assert Catalogue("compact", installed).default(None).name == "compact"


def test_the_chosen_folder_is_in_the_catalogue(copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = retuned(tmp_path / "mine", "mine")
    assert Catalogue(str(mine.path)).default() == mine
    assert Catalogue(str(mine.path)).by_digest(mine.digest) == mine
    monkeypatch.chdir(tmp_path)
    assert Catalogue("mine").default().digest == mine.digest
    assert Catalogue("mine").by_digest(mine.digest).path == mine.path
    retuned(tmp_path / "compact", "compact")
    assert Catalogue("compact").default() == find("compact"), "a folder that happens to be here is not meant by a name"


def test_a_bundle_that_is_still_copied_is_not_there_yet(installed: Path) -> None:
    retuned(installed / ".draft", "mine")
    assert len(Catalogue(folder=installed).survey()[0]) == 1


def test_the_api_can_read_bundles_without_torch() -> None:
    code = """
import sys
from shared.memorability import catalogue, verification
assert all(check.passed for check in verification.verify(catalogue.find("compact").path))
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
