"""The bundle that ships, from a photograph to an explained score."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from services.training.encoders import MINILM_FILES, MINILM_SHA256, onet_encoder
from shared.captions.describer import describe
from shared.compute import PLAIN
from shared.errors import BundleInvalid, StatesBroken
from shared.faces.finder import FaceFinder
from shared.images.crop import crop_face, to_crop
from shared.memorability.catalogue import find
from shared.memorability.encoders import Encoders
from shared.memorability.scorer import Scorer, weights_of
from shared.memorability.states import FaceStates, pack, unpack
from shared.memorability.text_encoder import MiniLMEncoder, words_of

OTHER_CAPTION = "Unforgettable grey-green eyes."


@pytest.fixture(scope="module")
def crop() -> tuple[np.ndarray, str]:
    """The astronaut Eileen Collins, a public-domain portrait in scikit-image."""
    picture = data.astronaut()
    face = FaceFinder(PLAIN, 40, 0.95).find([picture])[0][0]
    crop = crop_face(picture, face.box, margin=0.25)
    return crop.pixels, describe(crop.pixels, to_crop(face.landmarks, crop.box))


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(find("compact"))


@pytest.fixture(scope="module")
def states(crop: tuple[np.ndarray, str]) -> list[FaceStates]:
    pixels, caption = crop
    mirrored = np.ascontiguousarray(pixels[:, ::-1])
    return Encoders(find("compact"), PLAIN).encode(np.stack([pixels, mirrored]), [caption, OTHER_CAPTION])


def test_a_real_face_gets_a_score_it_can_explain(scorer: Scorer, states: list[FaceStates]) -> None:
    score = scorer.score(states[:1])[0]
    assert 0.35 < score.score < 0.65
    assert 0 <= score.percentile <= 100
    assert 0.02 < score.uncertainty < 0.3
    assert score.contributions.shape == score.attention.shape == (len(score.words), 49)
    assert score.contributions.sum() + score.constant == pytest.approx(score.logit, abs=1e-4)
    assert score.attention.sum(1) == pytest.approx(np.ones(len(score.words)), abs=1e-3)


def test_words_look_where_their_place_is(scorer: Scorer, states: list[FaceStates]) -> None:
    score = scorer.score(states[:1])[0]
    height = {
        word.text.lower(): float(look.reshape(score.grid).sum(1) @ np.arange(7))
        for word, look in zip(score.words, score.attention, strict=True)
    }
    assert height["hair"] < height["eyes"] < height["lips"]


def test_a_score_does_not_depend_on_its_batch(scorer: Scorer, states: list[FaceStates]) -> None:
    for alone, together in zip([scorer.score([face])[0] for face in states], scorer.score(states), strict=True):
        assert together.logit == pytest.approx(alone.logit, abs=1e-5)
        assert together.contributions == pytest.approx(alone.contributions, abs=1e-5)


def test_storage_does_not_change_a_score(scorer: Scorer, states: list[FaceStates]) -> None:
    stored = unpack(pack(dict(enumerate(states))))
    assert scorer.score([stored[0]])[0].logit == scorer.score(states[:1])[0].logit


def test_special_tokens_are_no_words(states: list[FaceStates]) -> None:
    face = states[1]
    assert [word.text for word in face.words] == ["Unforgettable", "grey-green", "eyes"]
    assert set(face.word_of_token.tolist()) == {0, 1, 2}
    assert len(face.tokens) > len(face.words)
    assert all(OTHER_CAPTION[word.start : word.end] == word.text for word in face.words)


def test_every_sentence_and_in_it_every_word_has_the_same_say(states: list[FaceStates]) -> None:
    words, says = [states[1].words[0], *(replace(word, sentence=2) for word in states[1].words[1:])], []
    for face in (states[1], replace(states[1], words=words)):
        weights = weights_of(face)
        says.append([float(weights[face.word_of_token == word].sum()) for word in range(3)])
    assert says == [pytest.approx([1 / 3] * 3), pytest.approx([1 / 2, 1 / 4, 1 / 4])]


def test_sentences_are_told_apart() -> None:
    caption = "No smile. Eyes: dark; hair 3.5 cm! Why"
    _, words = words_of(caption, [match.span() for match in re.finditer(r"\S+", caption)])
    assert [word.sentence for word in words] == [0, 0, 1, 1, 2, 2, 2, 3]


def test_a_face_and_its_mirror_image_are_one_to_the_visual_encoder() -> None:
    crops = torch.randint(0, 256, (2, 224, 224, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with torch.inference_mode():
        seen, mirrored = (onet_encoder()(each).unflatten(1, (7, 7)) for each in (crops, crops.flip(2)))
    assert torch.allclose(seen, mirrored.flip(2), atol=1e-5)
    assert not torch.allclose(seen, mirrored, atol=1e-2)


def test_states_of_another_model_are_refused(scorer: Scorer, states: list[FaceStates]) -> None:
    with pytest.raises(StatesBroken):
        scorer.score([replace(states[0], patches=states[0].patches[:-1])])


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_another_text_encoder_is_refused(name: str) -> None:
    pinned = {"model.safetensors": MINILM_SHA256, **MINILM_FILES} | {name: "0" * 64}
    with pytest.raises(BundleInvalid, match=f"{name} of the text encoder"):
        MiniLMEncoder(pinned.pop("model.safetensors"), pinned, 256, torch.device("cpu"))


def test_a_text_encoder_whose_tokenizer_is_not_pinned_is_refused() -> None:
    with pytest.raises(BundleInvalid, match=r"tokenizer\.json of the text encoder"):
        MiniLMEncoder(MINILM_SHA256, {"config.json": MINILM_FILES["config.json"]}, 256, torch.device("cpu"))


def test_nothing_gives_nothing(scorer: Scorer) -> None:
    assert scorer.score([]) == []


def test_the_bundle_is_small() -> None:
    folder: Path = find("compact").path
    assert sum(file.stat().st_size for file in folder.iterdir()) < 12 * 1024 * 1024
