"""Taking a model apart: each variant tells whether what it lacks carried the signal."""

from pathlib import Path

import numpy as np
import pytest
import torch

from services.training.ablation import Subject, ablations
from services.training.encoders import FrozenEncoders, Networks, compact_encoders
from services.training.encoding import side_by_side
from services.training.faces import Crops
from services.training.fits import ClosedForm
from services.training.fitting import Tuning
from services.training.measures import less_than, spearman
from services.training.places import PLACE_OF_NAME, place_maps
from services.training.protocol import Plan, Trial
from shared.memorability.cross_attention import HeadShape
from shared.memorability.states import FaceStates

FACES, SIDES, WIDTH = 150, 3, 6
LANDMARKS = np.array([[88, 96], [138, 96], [113, 126], [90, 148], [137, 148]], dtype=np.float32)
SMILE, HAIR = "A broad smile.", "Long dark hair."


@pytest.fixture(scope="module")
def encoders() -> FrozenEncoders:
    return compact_encoders(Networks(), torch.device("cpu"))


def subject(
    encoders: FrozenEncoders, work: Path, texts: tuple[str, str], places: tuple[tuple[str, ...], tuple[str, ...]]
) -> tuple[Subject, np.ndarray]:
    """Faces that have one or the other text, and are as memorable as one number says at the places that go with it.

    The number is the first one of the patches, which is what O-Net sees of the smallest picture.
    """
    generator = np.random.default_rng(3)
    said_of = [texts[number % 2] for number in range(FACES)]
    patches = torch.from_numpy(generator.normal(size=(FACES, 49, WIDTH))).half()
    said = encoders.text.encode(said_of)
    states = [FaceStates(patches[row], tokens.half(), *rest) for row, (tokens, *rest) in enumerate(said)]
    maps = place_maps(LANDMARKS, (7, 7))
    looks = [maps[[PLACE_OF_NAME[name] for name in names]].mean(0) for names in places]
    looked_at = torch.stack([looks[number % 2] for number in range(FACES)])
    signal = torch.einsum("np,np->n", looked_at, patches[:, :, 0].float()).numpy()
    rates = 1 / (1 + np.exp(-signal))
    crops = Crops(np.zeros((FACES, 224, 224, 3), np.uint8), np.stack([LANDMARKS] * FACES), np.arange(FACES))
    trial = Trial(
        side_by_side(states, crops, (7, 7)),
        torch.from_numpy(rates).float(),
        ClosedForm(Tuning(steps=80)),
        Plan(folds=3, repeats=2, fold_seed=0, members=2, seed=0),
        HeadShape(49, WIDTH, 384, heads=2, key_width=8),
        work,
        lambda *_: None,
    )
    return Subject(trial, encoders, states, crops), rates


def test_cross_attention_is_seen_to_help_where_captions_say_where_to_look(
    encoders: FrozenEncoders, tmp_path: Path
) -> None:
    made, rates = subject(encoders, tmp_path, (SMILE, HAIR), (("smile",), ("hair",)))
    told: list[float] = []
    variants = ablations(made, lambda _what, share: told.append(share))
    bundle = made.trial.held_out(with_seed=False).scores[0]
    found = {name: spearman(scores, rates) for name, scores in variants.items()}
    worse = [name for name in found if name.startswith(("the caption of another", "no captions", "image alone"))]
    assert len(worse) == 3
    assert all(less_than(bundle, variants[name], rates)["interval_95"][0] > 0 for name in worse), found
    assert abs(found["caption alone (ridge regression)"]) < 0.3
    assert told[-1] == 1.0


def test_what_carries_no_signal_can_be_taken_away(encoders: FrozenEncoders, tmp_path: Path) -> None:
    made, rates = subject(encoders, tmp_path, (SMILE, SMILE), (("smile",), ("smile",)))
    variants = ablations(made, lambda *_: None)
    found = {name: spearman(scores, rates) for name, scores in variants.items()}
    sizes = [found[f"the crop at {side} pixels only"] for side in encoders.config["visual"]["sides"]]
    assert len(sizes) == SIDES
    assert sizes[0] > 0.5 > 0.3 > max(abs(size) for size in sizes[1:]), found
    assert found["image alone, every word looks everywhere (ridge regression)"] > 0.5
    assert found["image and caption with equal weight (ridge regression)"] > 0.3
    assert found["one head as published, all of it trained by ratings (not tuned)"] > -0.3


def test_long_sentences_are_seen_to_mislead(encoders: FrozenEncoders, tmp_path: Path) -> None:
    wordy = ("A very broad, warm, open and friendly smile. Hair.", "A smile. Very long, dark, thick and shining hair.")
    made, rates = subject(encoders, tmp_path, wordy, (("smile", "hair"), ("smile", "hair")))
    variants = ablations(made, lambda *_: None)
    bundle = made.trial.held_out(with_seed=False).scores[0]
    by_words = variants["every word has the same say, not every sentence"]
    assert less_than(bundle, by_words, rates)["interval_95"][0] > 0, (
        spearman(bundle, rates),
        spearman(by_words, rates),
    )
