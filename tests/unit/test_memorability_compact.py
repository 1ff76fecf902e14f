"""The bundle that ships, from a photograph to an explained score."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from shared.captions.describer import describe
from shared.errors import BundleInvalid, StatesBroken
from shared.faces.finder import FaceFinder
from shared.images.crop import crop_face, to_crop
from shared.memorability.catalogue import find
from shared.memorability.encoders import Encoders
from shared.memorability.scorer import Scorer, weights_of
from shared.memorability.states import FaceStates, pack, unpack
from shared.memorability.text_encoder import TextEncoder

OTHER_CAPTION = "Unforgettable grey-green eyes."


@pytest.fixture(scope="module")
def crop() -> tuple[np.ndarray, str]:
    """The astronaut Eileen Collins, a public-domain portrait in scikit-image."""
    picture = data.astronaut()
    face = FaceFinder("cpu", 40, 0.95).find([picture])[0][0]
    crop = crop_face(picture, face.box, margin=0.25)
    return crop.pixels, describe(crop.pixels, to_crop(face.landmarks, crop.box))


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(find("compact"))


@pytest.fixture(scope="module")
def states(crop: tuple[np.ndarray, str]) -> list[FaceStates]:
    pixels, caption = crop
    mirrored = np.ascontiguousarray(pixels[:, ::-1])
    return Encoders(find("compact"), "cpu").encode(np.stack([pixels, mirrored]), [caption, OTHER_CAPTION])


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


def test_every_word_has_the_same_say(states: list[FaceStates]) -> None:
    weights, words = weights_of(states[1]), states[1].word_of_token
    assert [float(weights[words == word].sum()) for word in range(3)] == pytest.approx([1 / 3] * 3)


def test_states_of_another_model_are_refused(scorer: Scorer, states: list[FaceStates]) -> None:
    with pytest.raises(StatesBroken):
        scorer.score([replace(states[0], patches=states[0].patches[:-1])])


def test_another_text_encoder_is_refused() -> None:
    with pytest.raises(BundleInvalid, match="text encoder"):
        TextEncoder("0" * 64, 256, torch.device("cpu"))


def test_nothing_gives_nothing(scorer: Scorer) -> None:
    assert scorer.score([]) == []


def test_the_bundle_is_small() -> None:
    folder: Path = find("compact").path
    assert sum(file.stat().st_size for file in folder.iterdir()) < 12 * 1024 * 1024
