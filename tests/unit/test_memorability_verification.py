"""Every check of a bundle passes on a whole one, and finds the one thing that is wrong with another."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from shared.memorability import tensor_shapes
from shared.memorability.catalogue import find
from shared.memorability.cross_attention import CrossAttention, HeadShape
from shared.memorability.se_resnet import SEResNet50
from shared.memorability.verification import verify
from shared.memorability.visual_encoder import OnetEncoder
from tests.bundles import change, flip_a_byte, pin


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(find("compact").path, tmp_path / "copy"))


def wrong(folder: Path, digest: str | None = None) -> dict[str, str]:
    """The checks that failed, and what they found."""
    return {check.name: check.found for check in verify(folder, digest) if not check.passed}


def with_weights(bundle: Path, make: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Change the tensors, and pin them."""
    weights = load_file(bundle / "weights.safetensors")
    make(weights)
    save_file(weights, bundle / "weights.safetensors")
    pin(bundle)


def test_the_shipped_bundle_passes_every_check() -> None:
    compact = find("compact")
    checks = verify(compact.path, compact.digest)
    assert wrong(compact.path, compact.digest) == {}
    assert [check.name for check in checks] == [
        "no pickle",
        "config.json",
        "digest",
        "nothing else",
        "SHA-256",
        "weights.safetensors",
        "text encoder",
        "card.json",
        "card.md",
        "out_of_fold.json",
        "ablations.json",
    ]


def test_one_flipped_byte_is_found(bundle: Path) -> None:
    for name in ("weights.safetensors", "card.md"):
        flip_a_byte(bundle / name)
        assert name in wrong(bundle)["SHA-256"]
        flip_a_byte(bundle / name)
    assert wrong(bundle) == {}


def test_whatever_the_config_does_not_pin_is_found(bundle: Path, tmp_path: Path) -> None:
    (bundle / "notes.txt").write_text("-")
    assert "notes.txt" in wrong(bundle)["nothing else"]
    (bundle / "notes.txt").unlink()
    (bundle / ".hidden").mkdir()
    assert ".hidden" in wrong(bundle)["nothing else"]
    (bundle / ".hidden").rmdir()
    (bundle / "card.md").rename(tmp_path / "card.md")
    (bundle / "card.md").symlink_to(tmp_path / "card.md")
    assert list(wrong(bundle)) == ["nothing else"]


def test_another_digest_is_found(bundle: Path) -> None:
    digest = find(bundle).digest
    assert wrong(bundle, digest) == {}
    assert list(wrong(bundle, digest[:12])) == ["digest"], "half a digest proves little"
    assert list(wrong(bundle, "0" * 64)) == ["digest"]
    change(bundle / "config.json", describer_version="0")
    assert list(wrong(bundle, digest)) == ["digest"]


@pytest.mark.parametrize("name", ["model.pkl", "deep/down/model.PTH", "pytorch_model.bin", "old.pt"])
def test_a_pickle_is_found(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(parents=True, exist_ok=True)
    (bundle / name).write_bytes(b"-")
    assert name in wrong(bundle)["no pickle"]


def test_a_missing_a_strange_and_a_misshapen_tensor_are_found(bundle: Path) -> None:
    with_weights(bundle, lambda weights: weights.pop("members.0.value"))
    assert wrong(bundle) == {"weights.safetensors": "members.0.value missing"}
    with_weights(bundle, lambda weights: weights.update({"members.0.value": torch.zeros(1), "more": torch.zeros(1)}))
    assert "more not among" in wrong(bundle)["weights.safetensors"]
    with_weights(bundle, lambda weights: weights.pop("more"))
    assert "members.0.value is (1,), not (4, 49, 384)" in wrong(bundle)["weights.safetensors"]


def test_whole_numbers_are_no_weights(bundle: Path) -> None:
    with_weights(bundle, lambda weights: weights.update({"members.0.constant": torch.tensor(1)}))
    assert "members.0.constant" in wrong(bundle)["weights.safetensors"]


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickled", b"\x08\0\0\0\0\0\0\0not json"])
def test_what_is_no_safetensors_file_is_found(bundle: Path, content: bytes) -> None:
    (bundle / "weights.safetensors").write_bytes(content)
    pin(bundle)
    assert list(wrong(bundle)) == ["weights.safetensors"]


@pytest.mark.parametrize(
    "fields",
    [
        {"format": 99},
        {"name": "../../else"},
        {"name": 7},
        {"files": None},
        {"files": {"weights.safetensors": "0"}},
        {"members": 0},
        {"grid": [7, 8]},
        {"percentiles": [0.5, 0.4]},
        {"head": None},
        {"interval": {}},
    ],
)
def test_a_config_that_makes_no_sense_is_found(bundle: Path, fields: dict[str, object]) -> None:
    change(bundle / "config.json", **fields)
    assert list(wrong(bundle)) == ["config.json"]


BOUNDS = [
    {"members": 10**9},
    {"head": {"patches": 49, "heads": 10**9, "patch_width": 384, "token_width": 384, "key_width": 8}},
    {"visual": {"network": "mtcnn-onet", "sides": [10**9]}},
    {"text": {"network": "bert", "config": {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 10**9,
        "vocab_size": 8, "max_position_embeddings": 8, "type_vocab_size": 2}}},
]  # fmt: skip


@pytest.mark.parametrize("fields", BOUNDS)
def test_a_config_cannot_make_work_without_end(bundle: Path, fields: dict[str, object]) -> None:
    change(bundle / "config.json", **fields)
    began = time.monotonic()
    assert "not a whole number from 1 to" in wrong(bundle)["weights.safetensors"]
    assert time.monotonic() - began < 5


def test_an_unknown_network_is_found(bundle: Path) -> None:
    change(bundle / "config.json", visual={"network": "crystal-ball"})
    assert "crystal-ball" in wrong(bundle)["weights.safetensors"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"name": "compact"}', '{"name": "another"}'])
def test_a_card_that_is_not_this_bundles_is_found(bundle: Path, content: str) -> None:
    (bundle / "card.json").write_text(content)
    pin(bundle)
    assert list(wrong(bundle)) == ["card.json"]


def test_missing_parts_are_found(bundle: Path) -> None:
    (bundle / "card.md").unlink()
    assert list(wrong(bundle)) == ["SHA-256", "card.md"]
    (bundle / "out_of_fold.json").write_text("{}")
    pin(bundle)
    assert list(wrong(bundle)) == ["card.md", "out_of_fold.json", "ablations.json"]
    (bundle / "out_of_fold.json").write_text('{"images/1.jpg": {"spread": 0.1}}')
    pin(bundle)
    assert wrong(bundle)["out_of_fold.json"] == "'score' is missing"
    (bundle / "out_of_fold.json").unlink()
    (bundle / "ablations.json").unlink()
    pin(bundle)
    assert list(wrong(bundle)) == ["card.md"], "the held-out scores are not needed to score"
    (bundle / "config.json").unlink()
    assert list(wrong(bundle)) == ["config.json"]


def test_another_text_encoder_is_found(bundle: Path) -> None:
    text = find(bundle).config["text"]
    change(bundle / "config.json", text={**text, "weights_sha256": "0" * 64})
    assert "SHA-256" in wrong(bundle)["text encoder"]
    change(bundle / "config.json", text={**text, "package": "os.path"})
    assert "not installed" in wrong(bundle)["text encoder"]


def test_a_tokenizer_of_the_bundle_must_be_pinned(bundle: Path) -> None:
    change(bundle / "config.json", text={"network": "bert", "max_tokens": 8})
    assert "does not pin" in wrong(bundle)["text encoder"]
    (bundle / "tokenizer.json").write_text("{}")
    pin(bundle)
    assert "text encoder" not in wrong(bundle)
    flip_a_byte(bundle / "tokenizer.json")
    assert "tokenizer.json" in wrong(bundle)["SHA-256"]


def shapes(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("alike", [False, True])
def test_the_implied_tensors_are_those_of_the_head(alike: bool) -> None:
    shape = {"patches": 6, "patch_width": 5, "token_width": 4, "heads": 3, "key_width": 2, "regions_read_alike": alike}
    assert tensor_shapes.head(shape) == shapes(CrossAttention(HeadShape(**shape)))


def test_the_implied_tensors_are_those_of_the_visual_encoders() -> None:
    assert tensor_shapes.onet() == {
        name.removeprefix("onet."): shape for name, shape in shapes(OnetEncoder([80], (7, 7))).items()
    }
    with torch.device("meta"):
        assert tensor_shapes.se_resnet_50() == shapes(SEResNet50())


def test_the_implied_tensors_are_those_of_bert() -> None:
    from shared.faces.torchvision_ops import allow_cpu_torch

    allow_cpu_torch()
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
        max_position_embeddings=16,
    )  # fmt: skip
    assert tensor_shapes.bert(json.loads(config.to_json_string())) == shapes(BertModel(config, add_pooling_layer=False))
