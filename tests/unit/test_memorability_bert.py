"""BERT through transformers' own loading code, and a whole reference bundle with a small one."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from shared.compute import PLAIN
from shared.errors import BundleInvalid
from shared.faces.torchvision_ops import allow_cpu_torch
from shared.memorability.catalogue import FORMAT, BundleFacts, find
from shared.memorability.cross_attention import CrossAttention, HeadShape
from shared.memorability.encoders import TEXT_PREFIX, VISUAL_PREFIX, Encoders
from shared.memorability.scorer import MEMBER_PREFIX, Scorer
from shared.memorability.text_encoder import BertEncoder
from tests.bundles import pin
from tests.vggface2_file import random_weights

allow_cpu_torch()
from transformers import BertConfig, BertForMaskedLM, BertModel, BertTokenizer  # noqa: E402 # needs the line above

VOCABULARY = "[PAD] [UNK] [CLS] [SEP] [MASK] a face with grey green eyes and hair un ##forget ##table long - . , [ ]"
WORDS = VOCABULARY.split()
CAPTIONS = ["Grey-green eyes.", "A unforgettable face with long, long hair and green eyes."]
CPU = torch.device("cpu")
MAX_TOKENS = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like that of bert-base-uncased: a masked language model, its config, and a vocabulary only."""
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=MAX_TOKENS,
        initializer_range=0.4,  # states that depend on their context
    )
    BertForMaskedLM(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    return folder


@pytest.fixture(scope="module")
def bert(folder: Path) -> BertEncoder:
    return BertEncoder.from_folder(folder, MAX_TOKENS, CPU)


def test_states_are_those_of_transformers_without_padding(folder: Path, bert: BertEncoder) -> None:
    network = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    tokenizer = BertTokenizer.from_pretrained(folder)
    for caption, (states, word_of_token, words) in zip(CAPTIONS, bert.encode(CAPTIONS), strict=True):
        with torch.no_grad():
            expected = network(**tokenizer(caption, return_tensors="pt")).last_hidden_state[0]
        assert torch.allclose(states, expected[1:-1], atol=1e-5)  # all but [CLS] and [SEP]
        assert len(word_of_token) == len(states)
        assert all(caption[word.start : word.end] == word.text for word in words)


def test_padding_changes_nothing(bert: BertEncoder) -> None:
    [alone] = bert.encode(CAPTIONS[:1])
    together = bert.encode(CAPTIONS)[0]
    assert torch.allclose(alone[0], together[0], atol=1e-5)
    assert alone[1].tolist() == together[1].tolist()


def test_pieces_belong_to_their_words(bert: BertEncoder) -> None:
    (_, grey, words), (_, pieces, _) = bert.encode(CAPTIONS)
    assert [word.text for word in words] == ["Grey-green", "eyes"]
    assert grey.tolist() == [0, 0, 0, 1, 1]
    assert pieces.tolist() == [0, 1, 1, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9, 9]


def test_a_caption_cannot_make_special_tokens(bert: BertEncoder) -> None:
    [(states, word_of_token, words)] = bert.encode(["green [SEP] eyes"])
    assert [word.text for word in words] == ["green", "SEP", "eyes"]
    assert word_of_token.tolist() == [0, 1, 1, 1, 2]  # "[", something unknown, "]"
    assert len(states) == 5


def test_long_captions_are_cut_and_empty_ones_refused(bert: BertEncoder) -> None:
    [(states, _, words)] = bert.encode(["hair " * 100])
    assert len(states) == len(words) == MAX_TOKENS - 2
    with pytest.raises(ValueError, match="without a word"):
        bert.encode([" "])


def test_a_bundles_own_files_give_the_same_states(bert: BertEncoder) -> None:
    text, tensors, tokenizer = bert.bundle_parts()
    again = BertEncoder(json.loads(json.dumps(text["config"])), tensors, tokenizer, text["max_tokens"], CPU)
    for mine, theirs in zip(bert.encode(CAPTIONS), again.encode(CAPTIONS), strict=True):
        assert torch.equal(mine[0], theirs[0])
    assert "/" not in json.dumps(text)  # no path of the machine that trained


def test_a_tokenizer_file_is_taken_as_it_is(folder: Path, bert: BertEncoder, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).hardlink_to(folder / name)
    with pytest.raises(BundleInvalid, match=r"neither tokenizer\.json nor vocab\.txt"):
        BertEncoder.from_folder(tmp_path, MAX_TOKENS, CPU)
    tokenizer = bert.bundle_parts()[2]
    (tmp_path / "tokenizer.json").write_bytes(tokenizer)
    assert BertEncoder.from_folder(tmp_path, MAX_TOKENS, CPU).bundle_parts()[2] == tokenizer


def test_a_folder_without_all_of_bert_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").hardlink_to(folder / "vocab.txt")
    config = json.loads((folder / "config.json").read_bytes())
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BundleInvalid, match="no BERT that can be read"):
        BertEncoder.from_folder(tmp_path, MAX_TOKENS, CPU)
    tensors = load_file(folder / "model.safetensors")
    whole = dict(tensors)
    del tensors["bert.encoder.layer.1.output.dense.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BundleInvalid, match=r"encoder\.layer\.1\.output\.dense\.weight"):
        BertEncoder.from_folder(tmp_path, MAX_TOKENS, CPU)
    save_file(whole, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "roberta"}))
    with pytest.raises(BundleInvalid, match="roberta"):
        BertEncoder.from_folder(tmp_path, MAX_TOKENS, CPU)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": 48},
        {"hidden_act": "nonsense"},
        {"vocab_size": 3},
        {"max_position_embeddings": 8},
    ],
)
def test_a_bundles_files_must_fit_each_other(bert: BertEncoder, change: dict[str, Any]) -> None:
    text, tensors, tokenizer = bert.bundle_parts()
    with pytest.raises(BundleInvalid, match="text encoder"):
        BertEncoder(text["config"] | change, tensors, tokenizer, MAX_TOKENS, CPU)
    with pytest.raises(BundleInvalid, match="text encoder"):
        BertEncoder(text["config"], tensors, b"{}", MAX_TOKENS, CPU)
    with pytest.raises(BundleInvalid, match="longer"):
        BertEncoder(text["config"], tensors, tokenizer, MAX_TOKENS + 1, CPU)


@pytest.fixture(scope="module")
def reference(bert: BertEncoder, tmp_path_factory: pytest.TempPathFactory) -> BundleFacts:
    """A bundle as the recipe `reference` writes it, of random numbers and with the small BERT."""
    folder = tmp_path_factory.mktemp("reference")
    shape = HeadShape(patches=49, patch_width=2048, token_width=32, heads=4, key_width=8, regions_read_alike=True)
    text, tensors, tokenizer = bert.bundle_parts()
    visual = {name: torch.from_numpy(array) for name, array in random_weights().items() if not name.startswith("fc.")}
    weights = {VISUAL_PREFIX + name: tensor for name, tensor in visual.items()}
    weights |= {TEXT_PREFIX + name: tensor for name, tensor in tensors.items()}
    for member in range(2):
        for name, tensor in random_head(shape, member).state_dict().items():
            weights[f"{MEMBER_PREFIX}{member}.{name}"] = tensor
    save_file(weights, folder / "weights.safetensors")
    (folder / "tokenizer.json").write_bytes(tokenizer)
    (folder / "card.json").write_text("{}")
    config = {
        "format": FORMAT,
        "name": "made-up",
        "grid": [7, 7],
        "visual": {"network": "se-resnet-50"},
        "text": text,
        "head": asdict(shape),
        "members": 2,
        "interval": {"coverage": 0.9, "floor": 0.05, "factor": 2},
        "percentiles": [0, 0.5, 1],
    }
    (folder / "config.json").write_text(json.dumps(config))
    pin(folder)
    return find(folder)


def random_head(shape: HeadShape, seed: int) -> CrossAttention:
    head, generator = CrossAttention(shape), torch.Generator().manual_seed(seed)
    for name, tensor in head.state_dict().items():
        if not name.endswith(("centre", "scale")):
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.05)
    head.patch_centre.fill_(7.0)
    head.patch_scale.fill_(9.0)
    return head


def test_a_reference_bundle_scores_and_explains(reference: BundleFacts) -> None:
    crops = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    states = Encoders(reference, PLAIN).encode(crops, CAPTIONS)
    assert states[0].patches.shape == (49, 2048)
    assert states[0].tokens.shape == (5, 32)
    scores = Scorer(reference).score(states)
    for score in scores:
        assert score.contributions.shape == score.attention.shape == (len(score.words), 49)
        assert score.contributions.sum() + score.constant == pytest.approx(score.logit, abs=1e-4)
        assert abs(score.contributions).max() > 1e-3
    assert scores[0].logit != pytest.approx(scores[1].logit, abs=1e-3)


def changed(bundle: BundleFacts, part: str, **entries: Any) -> BundleFacts:
    config = {**bundle.config, part: {**bundle.config[part], **entries}}
    return BundleFacts(bundle.name, bundle.digest, bundle.path, config, bundle.card)


@pytest.mark.parametrize("part", ["visual", "text"])
def test_unknown_networks_are_named(reference: BundleFacts, part: str) -> None:
    with pytest.raises(BundleInvalid, match=f"{part} network 'transformer-9'"):
        Encoders(changed(reference, part, network="transformer-9"), PLAIN)


def test_networks_without_their_tensors_are_refused(reference: BundleFacts) -> None:
    with pytest.raises(BundleInvalid, match="do not fit"):
        Encoders(changed(reference, "visual", network="mtcnn-onet", sides=[80], mirrored=True), PLAIN)
    config = {**reference.config["text"]["config"], "num_hidden_layers": 4}
    with pytest.raises(BundleInvalid, match="do not fit"):
        Encoders(changed(reference, "text", config=config), PLAIN)


def test_another_tokenizer_is_refused(reference: BundleFacts) -> None:
    with pytest.raises(BundleInvalid, match=r"tokenizer\.json"):
        Encoders(changed(reference, "files", **{"tokenizer.json": "0" * 64}), PLAIN)


def test_a_vector_for_all_regions_equals_one_for_each(reference: BundleFacts) -> None:
    """`regions_read_alike` is the same head with its vector written down once."""
    alike = random_head(HeadShape(**reference.config["head"]), 3)
    each = CrossAttention(HeadShape(**{**reference.config["head"], "regions_read_alike": False}))
    state = alike.state_dict()
    assert state["value"].shape == (4, 1, 2048)
    assert state["value_bias"].shape == (4, 1)
    each.load_state_dict(
        {**state, "value": state["value"].expand(4, 49, 2048), "value_bias": state["value_bias"].expand(4, 49)}
    )
    patches, tokens = torch.rand(3, 49, 2048) * 20, torch.randn(3, 6, 32)
    weights = torch.full((3, 6), 1 / 6)
    mine, theirs = alike(patches, tokens, weights), each(patches, tokens, weights)
    assert torch.allclose(mine.answers, theirs.answers, atol=1e-4)
    assert torch.allclose(mine.logits, theirs.logits, atol=1e-4)
    mine.logits.sum().backward()
    assert alike.value.grad is not None
    assert alike.value.grad.shape == (4, 1, 2048)


def test_the_seeds_head_with_value_and_output_projections_is_the_merged_one() -> None:
    """Value projection, output projection and read-out, step by step, give the merged head's logit."""
    shape = HeadShape(patches=5, patch_width=12, token_width=7, heads=3, key_width=4, regions_read_alike=True)
    head, random = random_head(shape, 4).double(), torch.Generator().manual_seed(9)
    value, output, read = (torch.randn(s, generator=random).double() for s in ((12, 12), (12, 12), (12,)))
    value_bias, output_bias = (torch.randn(12, generator=random).double() for _ in range(2))
    with torch.no_grad():
        for number in range(3):
            rows = slice(4 * number, 4 * number + 4)  # a head has four of the twelve numbers of a value
            head.value[number, 0] = read @ output[:, rows] @ value[rows]
            head.value_bias[number] = read @ output[:, rows] @ value_bias[rows]
        head.constant.copy_(read @ output_bias)
        patches, tokens = (torch.randn(s, generator=random).double() for s in ((2, 5, 12), (2, 3, 7)))
        attention = head.attend(patches, tokens)  # (N, H, T, P)
        values = (head.standardised(patches) @ value.T + value_bias).view(2, 5, 3, 4).transpose(1, 2)  # (N, H, P, 4)
        attended = (attention @ values).transpose(1, 2).reshape(2, 3, 12)  # (N, T, heads side by side)
        expected = ((attended @ output.T + output_bias) @ read).mean(1)  # linear read-out, mean over tokens
        assert torch.allclose(head(patches, tokens, torch.full((2, 3), 1 / 3)).logits, expected, atol=1e-6)
