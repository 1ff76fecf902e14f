"""Which bundles are there, which of them is meant, and that a wrong one is refused."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import BundleAmbiguous, BundleInvalid
from shared.memorability.catalogue import Catalogue, find, shipped
from tests.bundles import change, flip_a_byte, retuned


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


def test_a_pinned_tokenizer_is_part_of_the_bundle(copy: Path) -> None:
    text = find(copy).config["text"]
    change(copy / "config.json", text={**text, "tokenizer_sha256": "0" * 64})
    with pytest.raises(BundleInvalid, match=r"tokenizer\.json"):
        find(copy)
    (copy / "tokenizer.json").write_text("{}")
    with pytest.raises(BundleInvalid, match=r"tokenizer\.json was replaced"):
        find(copy)


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
