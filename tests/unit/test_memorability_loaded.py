"""Which networks a worker holds, and what it refuses."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from weakref import WeakSet

import pytest

from shared.errors import BundleInvalid, BundleUnavailable
from shared.memorability.catalogue import BundleFacts, Catalogue, find
from shared.memorability.loaded import Loaded
from shared.memorability.scorer import Scorer
from tests.bundles import change, flip_a_byte, retuned


@pytest.fixture
def three(tmp_path: Path) -> list[BundleFacts]:
    (tmp_path / "bundles").mkdir()
    return [retuned(tmp_path / "bundles" / str(number), f"b{number}", number) for number in (1, 2, 3)]


def test_each_job_gets_the_networks_of_its_bundle_and_few_are_kept(three: list[BundleFacts]) -> None:
    built: list[str] = []

    def load(bundle: BundleFacts) -> str:
        built.append(bundle.name)
        return bundle.digest

    loaded = Loaded(Catalogue(folder=three[0].path.parent), load, kept=2)
    loaded.default(None)
    for bundle in (three[0], three[1], three[0], three[2], three[0], three[1]):
        assert loaded.of(bundle.digest) == bundle.digest
    assert built == ["compact", "b1", "b2", "b3", "b2"]


def test_room_is_made_before_a_bundle_is_loaded(three: list[BundleFacts]) -> None:
    class Networks:
        pass

    alive: WeakSet[Networks] = WeakSet()
    most = []

    def load(_bundle: BundleFacts) -> Networks:
        alive.add(networks := Networks())
        most.append(len(alive))
        return networks

    loaded = Loaded(Catalogue(folder=three[0].path.parent), load, kept=2)
    for bundle in three:
        loaded.of(bundle.digest)
    assert most == [1, 2, 2]


@pytest.mark.parametrize("error", [RuntimeError, KeyError, MemoryError, RecursionError])
def test_whatever_goes_wrong_in_loading_is_the_bundles_trouble(
    three: list[BundleFacts], error: type[Exception]
) -> None:
    def load(_bundle: BundleFacts) -> None:
        raise error("somewhere/within")

    loaded = Loaded(Catalogue("b1", three[0].path.parent), load)
    with pytest.raises(BundleUnavailable) as told:
        loaded.of(three[0].digest)
    assert three[0].digest in told.value.detail
    assert "/" not in told.value.detail, "a client may read this"
    with pytest.raises(BundleInvalid, match="cannot be loaded"):
        loaded.default(None)


def test_networks_are_not_built_larger_than_their_weights(three: list[BundleFacts]) -> None:
    head = {**three[0].config["head"], "token_width": 65_000}
    change(three[0].path / "config.json", head=head)
    with pytest.raises(BundleInvalid, match="65000"):
        Loaded(Catalogue("b1", three[0].path.parent), lambda _bundle: pytest.fail("was loaded")).default(None)


def test_a_bundle_that_comes_later_is_found_and_one_that_goes_stays_loaded(three: list[BundleFacts]) -> None:
    folder = three[0].path.parent
    loaded = Loaded(Catalogue(folder=folder), Scorer)
    with pytest.raises(BundleUnavailable, match="has no bundle with digest"):
        loaded.of("0" * 64)
    three[0].path.rename(folder.parent / "away")
    with pytest.raises(BundleUnavailable):
        loaded.of(three[0].digest)
    (folder.parent / "away").rename(three[0].path)
    scorer = loaded.of(three[0].digest)
    shutil.rmtree(folder)
    assert loaded.of(three[0].digest) is scorer


def test_a_damaged_bundle_is_refused_until_it_is_whole(three: list[BundleFacts]) -> None:
    weights = three[0].path / "weights.safetensors"
    loaded = Loaded(Catalogue(folder=three[0].path.parent), Scorer)
    flip_a_byte(weights)
    with pytest.raises(BundleUnavailable, match="damaged"):
        loaded.of(three[0].digest)
    flip_a_byte(weights)
    assert isinstance(loaded.of(three[0].digest), Scorer)


def test_a_changed_config_is_another_bundle(three: list[BundleFacts]) -> None:
    flip_a_byte(three[0].path / "card.json", 0)
    flip_a_byte(three[1].path / "config.json", 1)
    loaded = Loaded(Catalogue(folder=three[0].path.parent), Scorer)
    for bundle in three[:2]:
        with pytest.raises(BundleUnavailable):
            loaded.of(bundle.digest)


def test_a_worker_does_not_start_without_its_default(three: list[BundleFacts]) -> None:
    with pytest.raises(BundleInvalid, match="asked for"):
        Loaded(Catalogue(), Scorer).default("0" * 64)
    flip_a_byte(three[0].path / "weights.safetensors")
    with pytest.raises(BundleInvalid, match="damaged"):
        Loaded(Catalogue(str(three[0].path)), Scorer).default(None)
    Loaded(Catalogue("b2", three[0].path.parent), Scorer).default(find(three[1].path).digest)


@pytest.mark.parametrize("stage", ["embedding", "scoring"])
def test_a_worker_process_with_a_broken_default_says_so_and_ends(three: list[BundleFacts], stage: str) -> None:
    flip_a_byte(three[0].path / "weights.safetensors")
    settings = {
        "FACEMEM_DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:9/none",
        "FACEMEM_BROKER_URL": "redis://127.0.0.1:9/0",
        "FACEMEM_STORAGE_URL": f"folder:{three[0].path}",
        "FACEMEM_BUNDLE": "b1",
        "FACEMEM_BUNDLES_FOLDER": str(three[0].path.parent),
    }
    command = [sys.executable, "-m", f"workers.{stage}"]
    worker = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    assert worker.returncode == 1
    assert "bundle 'b1' is damaged" in worker.stderr
    assert "facemem models" in worker.stderr
    assert "Traceback" not in worker.stderr
