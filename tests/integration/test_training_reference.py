"""The recipe `reference`, from a made-up 10k US Adult Faces Database to a bundle: it finds what is there, no more."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from services.cli.main import cli
from services.training.captions import CROP_QUALITY
from services.training.datasets.read import read
from services.training.evaluation import evaluate
from services.training.faces import crops_of
from services.training.vggface2 import convert
from shared.compute import PLAIN
from shared.images.decode import encode_jpeg
from shared.memorability.catalogue import BundleFacts, find
from shared.memorability.encoders import Encoders
from shared.memorability.scorer import Scorer
from shared.memorability.verification import verify
from tests import tiny_bert, us_faces, vggface2_file
from tests.ollama_server import OllamaServer, caption_of

FACES, UNRATED = 100, 2
CHAT = "/api/chat"
QUICK = ["--folds", "2", "--repeats", "2", "--members", "2", "--epochs", "20"]


@dataclass(frozen=True)
class Laboratory:
    """Two databases that differ in their hit rates only, the networks, Ollama, and a folder for the work."""

    folder: Path
    ollama: OllamaServer

    def run(self, *arguments: str) -> str:
        """A facemem command that must succeed: what it printed."""
        environment = {"FACEMEM_OLLAMA_URL": self.ollama.url, "FACEMEM_HOME": str(self.folder / "home")}
        ended = CliRunner().invoke(cli, list(arguments), env=environment)
        assert ended.exit_code == 0, ended.output
        return ended.output

    def train(self, database: str) -> BundleFacts:
        """The bundle that the command makes of a database."""
        output = self.folder / f"bundle-{database}"
        networks = ["--vggface2", f"{self.folder}/senet50.safetensors", "--bert", f"{self.folder}/bert"]
        places = ["--data", f"{self.folder}/{database}", "--output", str(output)]
        self.run("train", "--recipe", "reference", *places, *networks, *QUICK)
        return find(output)


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    folder = tmp_path_factory.mktemp("reference")
    us_faces.write(folder / "signal", FACES, signal=True, unrated=UNRATED)
    us_faces.write(folder / "none", FACES, signal=False, unrated=UNRATED)
    tiny_bert.write(folder / "bert")
    pickle = vggface2_file.write(folder / "senet50_scratch_weight.pkl", vggface2_file.random_weights())
    convert(pickle, folder / "senet50.safetensors")
    with OllamaServer() as ollama:
        yield Laboratory(folder, ollama)


@pytest.fixture(scope="module")
def bundle(laboratory: Laboratory) -> BundleFacts:
    return laboratory.train("signal")


def test_a_planted_signal_is_recovered(bundle: BundleFacts, laboratory: Laboratory) -> None:
    results = bundle.card["results"]
    low, high = results["quality"]["spearman"]["interval_95"]
    assert low > 0.3, (low, high)
    assert results["seed_protocol"]["faces"] == (FACES - UNRATED) // 10
    assert results["seed_protocol"]["published_spearman"] == 0.678
    assert results["seed_protocol"]["validation"] == "used for early stopping"
    assert "published" in results["human_ceiling"]["source"]
    assert results["judged_memorability"]["split_half_spearman"] > 0.3
    assert {gap["attribute"] for gap in results["group_gaps"]} == {"age", "gender", "race"}
    assert bundle.card["data"]["faces"] == laboratory.ollama.counts[CHAT] == FACES - UNRATED
    assert "true hit rate" in bundle.card["target"]


def test_the_bundle_is_whole_and_explains_its_scores(bundle: BundleFacts, laboratory: Laboratory) -> None:
    assert all(check.passed for check in verify(bundle.path)), verify(bundle.path)
    data = read(laboratory.folder / "signal")
    crops = crops_of(data, laboratory.folder / "home" / "training", lambda _what, _share: None)
    ends = [int(np.argmin(data.targets)), int(np.argmax(data.targets))]
    pictures = crops.pixels[ends]
    captions = [caption_of(encode_jpeg(crop, CROP_QUALITY)) for crop in pictures]
    least, most = Scorer(bundle).score(Encoders(bundle, PLAIN).encode(pictures, captions))
    assert least.score < most.score
    assert most.contributions.sum() + most.constant == pytest.approx(most.logit, abs=1e-4)
    assert most.contributions.shape == (len(most.words), 49)


def test_its_figures_are_found_again_and_reprinted(bundle: BundleFacts, laboratory: Laboratory) -> None:
    data = laboratory.folder / "signal"
    assert evaluate(bundle, data) == bundle.card["results"]
    printed = " ".join(laboratory.run("evaluate", "--bundle", str(bundle.path), "--data", str(data)).split())
    for measured in (
        bundle.card["results"]["quality"]["spearman"],
        bundle.card["results"]["seed_protocol"]["spearman"],
    ):
        assert f"{measured['value']:.3f} ({measured['interval_95'][0]:.3f} to" in printed
    asked = laboratory.ollama.counts[CHAT]
    again = laboratory.run("evaluate", "--bundle", str(bundle.path), "--data", str(data), "--retrain")
    assert printed in " ".join(again.split())  # notes about the work come before
    assert laboratory.ollama.counts[CHAT] == asked


@pytest.mark.usefixtures("bundle")
def test_where_there_is_no_signal_none_is_found(laboratory: Laboratory) -> None:
    asked = laboratory.ollama.counts[CHAT]
    low, high = laboratory.train("none").card["results"]["quality"]["spearman"]["interval_95"]
    assert low < 0 < high, (low, high)
    assert laboratory.ollama.counts[CHAT] == asked  # the same faces were described already
