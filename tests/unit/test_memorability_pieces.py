"""Faces and captions go through the encoders in pieces of few shapes, and come out as if each had gone alone."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from services.training.encoders import MINILM_FILES, MINILM_SHA256, onet_encoder
from shared.captions.describer import describe
from shared.compute import PLAIN, Compute
from shared.memorability.catalogue import find
from shared.memorability.encoders import USUAL_TOKENS, Encoders, encode
from shared.memorability.pieces import GPU_MOST, filled_length, pieces
from shared.memorability.text_encoder import MiniLMEncoder
from shared.memorability.visual_encoder import OnetEncoder
from shared.memorability.weights import cast_layers

CPU, GPU = torch.device("cpu"), torch.device("cuda")
MAX_TOKENS = 256
LENGTHS = (3, 90, 14, 15, 200, 1, 16, 60, 61, 90, 400)  # words; the last caption is cut


@pytest.fixture(scope="module")
def text() -> MiniLMEncoder:
    return MiniLMEncoder(MINILM_SHA256, MINILM_FILES, MAX_TOKENS, CPU)


@pytest.fixture(scope="module")
def visual() -> OnetEncoder:
    return onet_encoder()


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (len(LENGTHS), 224, 224, 3), dtype=np.uint8)


def caption(words: int, seed: int = 0) -> str:
    return " ".join(random.Random(words + seed).choices(["a", "pale", "face", "with", "green", "eyes."], k=words))


@contextmanager
def shapes_of(network: nn.Module) -> Iterator[set[tuple[int, ...]]]:
    """The shapes of what the network gets as long as the block lasts."""
    seen: set[tuple[int, ...]] = set()

    def note(_: nn.Module, positional: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
        seen.add(tuple((positional[0] if positional else named["input_ids"]).shape))

    hook = network.register_forward_pre_hook(note, with_kwargs=True)
    yield seen
    hook.remove()


def test_pieces_are_all_in_order_and_of_four_sizes() -> None:
    for device in (CPU, GPU):
        for count in range(2 * GPU_MOST + 2):
            together = [place for piece in pieces(count, device) for place in range(count)[piece]]
            assert together == list(range(count))
    sizes = {piece.stop - piece.start for count in range(100) for piece in pieces(count, CPU)}
    assert sizes == {1, 2, 4, 8}
    assert list(pieces(GPU_MOST, GPU)) == [slice(0, GPU_MOST)]


def test_captions_are_filled_up_to_few_lengths_and_never_past_the_networks_limit() -> None:
    assert [filled_length(tokens, 24) for tokens in (1, 16, 17, 24)] == [16, 16, 24, 24]
    assert len({filled_length(tokens, 512) for tokens in range(1, 513)}) == 32


def test_captions_together_are_what_they_are_alone_and_unfilled(text: MiniLMEncoder) -> None:
    captions = [caption(words) for words in LENGTHS]
    for said, encoding, (states, word_of_token, words) in zip(
        captions, text._tokenizer.encode_batch(captions), text.encode(captions), strict=True
    ):
        with torch.inference_mode():
            expected = text.network(input_ids=torch.tensor([encoding.ids])).last_hidden_state[0, 1:-1]
        assert states.shape == expected.shape == (len(word_of_token), 384)
        assert float((states - expected).abs().max()) < 1e-5 * float(expected.abs().max())
        assert [said[word.start : word.end] for word in words] == [word.text for word in words]


def test_faces_together_are_what_they_are_alone(visual: OnetEncoder, text: MiniLMEncoder, crops: np.ndarray) -> None:
    captions = [caption(words) for words in LENGTHS]
    with torch.inference_mode():
        expected = torch.cat([visual(torch.from_numpy(crop[None])) for crop in crops])
        cut = torch.cat([visual(torch.from_numpy(crops[piece])) for piece in pieces(len(crops), CPU, visual.cpu_sizes)])
    scale = float(expected.abs().max())
    assert float((cut - expected).abs().max()) < 1e-5 * scale
    for face, patches in zip(encode(visual, text, crops, captions, torch.float32), expected, strict=True):
        assert float((face.patches.float() - patches).abs().max()) < 1e-3 * scale  # float16


def test_batches_of_all_kinds_have_few_shapes(visual: OnetEncoder, text: MiniLMEncoder, crops: np.ndarray) -> None:
    with shapes_of(visual) as pictures, shapes_of(text.network) as tokens:
        for count in range(1, len(LENGTHS) + 1):
            captions = [caption(50 + 7 * count % 20, seed) for seed in range(count)]
            encode(visual, text, crops[:count], captions, torch.float32)
    assert pictures == {(size, 224, 224, 3) for size in (1, 2, 4)}, "its maps are large"
    assert tokens <= {(size, length) for size in (1, 2, 4, 8) for length in (64, 80, 96)}


def test_a_worker_that_is_warm_has_met_all_shapes_of_usual_faces(crops: np.ndarray) -> None:
    encoders = Encoders(find("compact"), PLAIN)
    with shapes_of(encoders._visual) as pictures, shapes_of(encoders._text.network) as tokens:
        encoders.warm_up()
        met = set(pictures | tokens)
        for count in range(1, len(LENGTHS) + 1):
            encoders.encode(crops[:count], [caption(1 + 5 * count % 70, seed) for seed in range(count)])
        assert pictures | tokens == met
    assert {length for _, length, *crop in met if not crop} == set(range(16, USUAL_TOKENS + 1, 16))


def test_what_the_describer_writes_is_of_usual_length(text: MiniLMEncoder, crops: np.ndarray) -> None:
    landmarks = np.array([[80, 90], [144, 90], [112, 125], [85, 160], [139, 160]], np.float32)
    kinds = [crops[0] // darker + lighter for darker in (1, 2, 4, 16) for lighter in (0, 60, 120, 180)]
    lengths = [len(text._tokenizer.encode(describe(kind, landmarks + shift))) for kind in kinds for shift in (0, 12)]
    assert 64 < max(lengths) <= USUAL_TOKENS


def test_nothing_gives_nothing(visual: OnetEncoder, text: MiniLMEncoder, crops: np.ndarray) -> None:
    assert text.encode([]) == []
    assert encode(visual, text, crops[:0], [], torch.float32) == []


def test_layers_that_are_cast_beforehand_answer_as_autocast_would(crops: np.ndarray) -> None:
    compact, captions = find("compact"), [caption(words) for words in LENGTHS[:3]]
    cast = Encoders(compact, Compute(CPU, "torch", torch.bfloat16)).encode(crops[:3], captions)
    plain = Encoders(compact, PLAIN)
    by_autocast = encode(plain._visual, plain._text, crops[:3], captions, torch.bfloat16)
    for mine, theirs in zip(cast, by_autocast, strict=True):
        assert torch.equal(mine.patches, theirs.patches)
        assert torch.equal(mine.tokens, theirs.tokens)


def test_only_what_autocast_casts_is_cast() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.PReLU(), nn.LayerNorm(4), nn.Linear(4, 2), nn.Embedding(2, 2))
    cast_layers(network, torch.bfloat16)
    kinds = {type(layer): {weight.dtype for weight in layer.parameters()} for layer in network}
    assert [kind for kind, dtypes in kinds.items() if dtypes == {torch.bfloat16}] == [nn.Conv2d, nn.Linear]
