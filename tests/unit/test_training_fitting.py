"""Fitting: the closed forms are right, a planted signal is found, and words learn their places."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from services.training.ensemble import fit_ensemble
from services.training.fitting import (
    Faces,
    Tuning,
    fit,
    kernel,
    kernel_ridge,
    left_out_errors,
    looks_of,
    mirror,
    predict,
    taught,
)
from services.training.folds import all_but, folds
from services.training.measures import spearman
from services.training.places import EVERYWHERE, PLACE_OF_NAME, PLACES, place_maps, place_of_words
from shared.memorability.cross_attention import HeadShape
from shared.memorability.states import Word

SHAPE = HeadShape(patches=4, patch_width=6, token_width=8, heads=2, key_width=4)
TUNING = Tuning(steps=30, learning_rate=0.03, tokens_per_step=4, columns=1)


def made_up(count: int) -> tuple[Faces, torch.Tensor]:
    """Faces whose target is one number of one patch; a token's first number says which patch it is about."""
    generator = torch.Generator().manual_seed(5)
    patches, tokens = torch.randn(count, 4, 6, generator=generator), torch.randn(count, 5, 8, generator=generator)
    place = torch.randint(0, 4, (count, 5), generator=generator)
    tokens[:, :, :4] += 4 * torch.nn.functional.one_hot(place, 4)
    weights = torch.full((count, 5), 1 / 5)
    weights[::3, :3], weights[::3, 3:] = 1 / 3, 0.0
    places = 0.88 * torch.nn.functional.one_hot(place, 4) + 0.03
    return Faces(patches, tokens, weights, places), 0.4 * patches[:, 2, 1] - 0.2


def test_a_planted_signal_is_found() -> None:
    faces, targets = made_up(240)
    ensemble = fit_ensemble(faces[torch.arange(180)], targets[:180], SHAPE, TUNING, members=3, seed=0)
    scores, spreads = ensemble.scores(faces[torch.arange(180, 240)])
    assert spearman(scores, targets[180:].numpy()) > 0.7
    assert (spreads > 0).all()


def test_tokens_learn_where_to_look() -> None:
    faces, targets = made_up(240)
    (head,) = fit(faces, targets, [np.array([0])], SHAPE, replace(TUNING, steps=80), seed=0)
    with torch.no_grad():
        looks = head.attend(faces.patches, faces.tokens).mean(1)
    right = (looks.argmax(2) == faces.places.argmax(2))[faces.weights > 0]
    assert right.float().mean() > 0.8


def test_the_same_seed_gives_the_same_head() -> None:
    faces, targets = made_up(60)
    first, second = (fit(faces, targets, [np.array([0])], SHAPE, TUNING, seed=3)[0] for _ in range(2))
    assert torch.equal(predict(first, faces), predict(second, faces))


def test_heads_answer_as_the_kernel_does() -> None:
    faces, targets = made_up(60)
    tuning = replace(TUNING, columns=2)
    (head,) = fit(faces, targets, [np.arange(40, 60)], SHAPE, tuning, seed=0)
    untrained = taught(faces, SHAPE, tuning, seed=0)
    looks = looks_of(untrained, faces)
    usual = looks.mean((0, 1))
    likeness = kernel(untrained, faces, looks / ((usual + usual[mirror(2, 4)]) / 2), tuning)
    expected = likeness[:, :40] @ kernel_ridge(likeness[:40, :40], targets[:40]) + targets[:40].mean()
    assert torch.allclose(predict(head, faces), expected, atol=1e-5)


def test_regions_that_mirror_each_other_are_read_alike() -> None:
    faces, targets = made_up(60)
    (head,) = fit(faces, targets, [np.array([0])], SHAPE, replace(TUNING, columns=2), seed=0)
    assert mirror(2, 4).tolist() == [1, 0, 3, 2]
    assert torch.allclose(head.value, head.value[:, mirror(2, 4)])
    assert not torch.allclose(head.value[:, 0], head.value[:, 2])


def test_left_out_errors_are_those_of_leaving_out() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(12, 3, generator=generator).double(), torch.randn(12, generator=generator).double()
    kernel = x @ x.T
    for out in range(12):
        rest = torch.arange(12) != out
        dual = torch.linalg.solve(kernel[rest][:, rest] + 0.5 * torch.eye(11), y[rest])
        expected = y[out] - kernel[out, rest] @ dual
        assert float(left_out_errors(*torch.linalg.eigh(kernel), y, 0.5)[out]) == pytest.approx(float(expected))


def test_folds_hold_out_each_face_once() -> None:
    parts = folds(23, 5, seed=1)
    assert sorted(np.concatenate(parts).tolist()) == list(range(23))
    assert {len(part) for part in parts} == {4, 5}
    assert set(all_but(23, parts[0])) == set(range(23)) - set(parts[0])


def test_every_word_belongs_to_the_place_its_sentence_names() -> None:
    caption = "A broad smile. Clear eyes under strong brows. The head is level."
    words, start = [], 0
    for text in caption.split():
        start = caption.index(text, start)
        sentence = caption[:start].count(".")
        words.append(Word(text.strip("."), start, start + len(text.strip(".")), sentence))
    smile, eyes, brows = (PLACE_OF_NAME[name] for name in ("smile", "eyes", "brows"))
    expected = [smile] * 3 + [eyes, eyes, eyes, brows, brows] + [EVERYWHERE] * 4
    assert place_of_words(words) == expected


def test_places_follow_the_landmarks() -> None:
    landmarks = np.array([[88, 96], [138, 96], [113, 126], [90, 148], [137, 148]], dtype=np.float32)
    maps = place_maps(landmarks, (7, 7))
    assert maps.shape == (len(PLACES) + 1, 49)
    assert maps.sum(1).numpy() == pytest.approx(np.ones(len(PLACES) + 1), abs=1e-5)
    heights = maps.view(-1, 7, 7).sum(2) @ torch.arange(7.0)
    order = [
        float(heights[PLACE_OF_NAME[name]]) for name in ("hair", "forehead", "brows", "eyes", "nose", "mouth", "chin")
    ]
    assert order == sorted(order)
    moved = place_maps(landmarks + np.array([0, 32], dtype=np.float32), (7, 7)).view(-1, 7, 7).sum(2) @ torch.arange(
        7.0
    )
    assert float(moved[PLACE_OF_NAME["eyes"]] - heights[PLACE_OF_NAME["eyes"]]) == pytest.approx(0.9, abs=0.15)
