"""Which bundles are there, and that a wrong one is refused."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import BundleInvalid
from shared.memorability.catalogue import find, shipped


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(find("compact").path, tmp_path / "copy"))


def test_compact_is_shipped_with_its_card() -> None:
    compact = find("compact")
    assert compact in shipped()
    assert compact.card["licence"]["name"] == "CC BY-NC-SA 4.0"
    assert compact.card["results"]["quality"]["spearman"]["interval_95"][0] > 0.4
    assert len(compact.digest) == 64


def test_a_folder_is_found_like_a_name(copy: Path) -> None:
    assert find(copy, find("compact").digest).path == copy


def test_another_digest_is_refused() -> None:
    with pytest.raises(BundleInvalid, match="asked for"):
        find("compact", "0" * 64)


def test_changed_weights_are_refused(copy: Path) -> None:
    weights = copy / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(BundleInvalid, match="damaged"):
        find(copy)


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors", "card.json"])
def test_a_missing_file_is_refused(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleInvalid):
        find(copy)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(BundleInvalid, match="no bundle"):
        find("gigantic")


def test_the_api_can_read_bundles_without_torch() -> None:
    code = "import sys, shared.memorability.catalogue as c; c.find('compact'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
