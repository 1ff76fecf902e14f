"""Every check of a bundle passes on a whole one, and finds the one thing that is wrong with another."""

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
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
from tests.bundles import change, flip_a_byte


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
    change(bundle / "config.json", weights_sha256=sha256((bundle / "weights.safetensors").read_bytes()).hexdigest())


def test_the_shipped_bundle_passes_every_check() -> None:
    compact = find("compact")
    checks = verify(compact.path, compact.digest)
    assert wrong(compact.path, compact.digest) == {}
    assert [check.name for check in checks] == [
        "no pickle",
        "config.json",
        "digest",
        "weights.safetensors: SHA-256",
        "weights.safetensors: tensors",
        "text encoder",
        "card.json",
        "card.md",
        "out_of_fold.json",
        "ablations.json",
    ]


def test_one_flipped_byte_is_found(bundle: Path) -> None:
    flip_a_byte(bundle / "weights.safetensors")
    assert list(wrong(bundle)) == ["weights.safetensors: SHA-256"]


def test_another_digest_is_found(bundle: Path) -> None:
    digest = find(bundle).digest
    assert wrong(bundle, digest[:12]) == {}
    assert list(wrong(bundle, "0" * 64)) == ["digest"]
    assert list(wrong(bundle, digest[:4])) == ["digest"], "four digits prove nothing"
    change(bundle / "config.json", describer_version="0")
    assert list(wrong(bundle, digest)) == ["digest"]


@pytest.mark.parametrize("name", ["model.pkl", "deep/down/model.PTH", "pytorch_model.bin", "old.pt"])
def test_a_pickle_is_found(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(parents=True, exist_ok=True)
    (bundle / name).write_bytes(b"-")
    assert name in wrong(bundle)["no pickle"]


def test_a_missing_a_strange_and_a_misshapen_tensor_are_found(bundle: Path) -> None:
    with_weights(bundle, lambda weights: weights.pop("members.0.value"))
    assert wrong(bundle) == {"weights.safetensors: tensors": "members.0.value missing"}
    with_weights(bundle, lambda weights: weights.update({"members.0.value": torch.zeros(1), "more": torch.zeros(1)}))
    assert "more not among" in wrong(bundle)["weights.safetensors: tensors"]
    with_weights(bundle, lambda weights: weights.pop("more"))
    assert "members.0.value is (1,), not (4, 49, 384)" in wrong(bundle)["weights.safetensors: tensors"]


def test_whole_numbers_are_no_weights(bundle: Path) -> None:
    with_weights(bundle, lambda weights: weights.update({"members.0.constant": torch.tensor(1)}))
    assert "members.0.constant" in wrong(bundle)["weights.safetensors: tensors"]


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickled", b"\x08\0\0\0\0\0\0\0not json"])
def test_what_is_no_safetensors_file_is_found(bundle: Path, content: bytes) -> None:
    (bundle / "weights.safetensors").write_bytes(content)
    change(bundle / "config.json", weights_sha256=sha256(content).hexdigest())
    assert list(wrong(bundle)) == ["weights.safetensors: tensors"]


@pytest.mark.parametrize(
    "fields",
    [
        {"format": 99},
        {"name": "../../else"},
        {"name": 7},
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


def test_an_unknown_network_is_found(bundle: Path) -> None:
    change(bundle / "config.json", visual={"network": "crystal-ball"})
    assert "crystal-ball" in wrong(bundle)["weights.safetensors: tensors"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"name": "compact"}', '{"name": "another"}'])
def test_a_card_that_is_not_this_bundles_is_found(bundle: Path, content: str) -> None:
    (bundle / "card.json").write_text(content)
    assert list(wrong(bundle)) == ["card.json"]


def test_missing_parts_are_found(bundle: Path) -> None:
    (bundle / "card.md").unlink()
    (bundle / "out_of_fold.json").write_text("{}")
    assert list(wrong(bundle)) == ["card.md", "out_of_fold.json", "ablations.json"]
    (bundle / "out_of_fold.json").write_text('{"images/1.jpg": {"spread": 0.1}}')
    assert wrong(bundle)["out_of_fold.json"] == "'score' is missing"
    (bundle / "out_of_fold.json").unlink()
    assert list(wrong(bundle)) == ["card.md"], "the held-out scores are not needed to score"
    (bundle / "config.json").unlink()
    assert list(wrong(bundle)) == ["config.json"]


def test_another_text_encoder_is_found(bundle: Path) -> None:
    text = find(bundle).config["text"]
    change(bundle / "config.json", text={**text, "weights_sha256": "0" * 64})
    assert "SHA-256" in wrong(bundle)["text encoder"]
    change(bundle / "config.json", text={**text, "package": "os.path"})
    assert "not installed" in wrong(bundle)["text encoder"]


def test_a_tokenizer_of_the_bundle_is_checked(bundle: Path) -> None:
    (bundle / "tokenizer.json").write_text("{}")
    text = {"network": "bert", "tokenizer_sha256": sha256(b"{}").hexdigest(), "max_tokens": 8}
    change(bundle / "config.json", text=text)
    assert "text encoder" not in wrong(bundle)
    flip_a_byte(bundle / "tokenizer.json")
    assert "pins" in wrong(bundle)["text encoder"]


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
