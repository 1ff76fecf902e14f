"""Training a small bundle, and finding the card's figures again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.training import measures
from services.training.captions import Captions
from services.training.datasets.read import read
from services.training.evaluation import evaluate
from services.training.faces import Crops
from services.training.fits import ClosedForm
from services.training.fitting import Tuning
from services.training.protocol import Plan, seed_split
from services.training.recipes import RECIPES, recipe_of
from services.training.train import Options, train, train_on, with_captions
from shared.compute import PLAIN
from shared.errors import BundleInvalid, DataSetInvalid
from shared.memorability.catalogue import find
from shared.memorability.encoders import Encoders
from shared.memorability.scorer import Scorer

TINY = replace(
    RECIPES["compact"],
    heads=2,
    key_width=4,
    plan=Plan(folds=3, repeats=2, fold_seed=0, members=2, seed=0),
    fit=ClosedForm(Tuning(steps=5, tokens_per_step=4)),
)
LANDMARKS = np.array([[88, 96], [138, 96], [113, 126], [90, 148], [137, 148]], dtype=np.float32)
FACES = 36


def silent(_what: str, _share: float) -> None:
    """Progress that nobody watches."""


def data_set(folder: Path) -> np.ndarray:
    """Ratings that follow how bright the middle of a made-up picture is, and those pictures."""
    generator = np.random.default_rng(0)
    brightness = np.linspace(0, 1, FACES)
    pixels = generator.integers(90, 110, (FACES, 224, 224, 3))
    pixels[:, 96:160, 96:160] += (brightness * 120).astype(int)[:, None, None, None]
    lines = ["image,memorable,memorable_half_a,memorable_half_b,age,place"]
    for number, value in enumerate(30 + 40 * brightness):
        (folder / f"{number}.jpg").touch()
        lines.append(
            f"{number}.jpg,{value:.2f},{value + 1:.2f},{value - 1:.2f},{number},{'here' if number % 3 else ''}"
        )
    (folder / "ratings.csv").write_text("\n".join(lines))
    return pixels.astype(np.uint8)


def test_a_small_training_finds_what_was_planted(tmp_path: Path) -> None:
    pixels = data_set(tmp_path)
    crops = Crops(pixels, np.stack([LANDMARKS] * FACES), np.arange(FACES))
    texts: list[str | None] = ["A faint smile. Long hair."] * FACES
    texts[5] = None
    described = with_captions(read(tmp_path), crops, Captions(texts, {"name": "describer"}, {"captioner refused": 1}))
    bundle = train_on(TINY, described, tmp_path / "bundle", Options(work=tmp_path / "work"), silent)
    results = bundle.card["results"]
    assert results["quality"]["spearman"]["value"] > 0.8
    assert len(results["repeats"]) == 2
    assert bundle.card["data"]["left_out"] == {"captioner refused": 1}
    assert evaluate(bundle, tmp_path) == results
    page = (bundle.path / "card.md").read_text()
    assert "## Limits" in page
    assert "Left out: 1 (captioner refused)" in page
    states = Encoders(bundle, PLAIN).encode(pixels[[0, FACES - 1]], ["A faint smile. Long hair."] * 2)
    low, high = Scorer(bundle).score(states)
    assert low.score < high.score
    again = recipe_of(bundle)
    assert (again.plan, again.fit, again.heads) == (TINY.plan, TINY.fit, TINY.heads)


def test_the_shipped_card_is_found_again(omi: Path) -> None:
    compact = find("compact")
    assert evaluate(compact, omi) == compact.card["results"]


def test_a_bundle_is_not_evaluated_on_other_data(tmp_path: Path) -> None:
    data_set(tmp_path)
    with pytest.raises(DataSetInvalid, match="not the data set"):
        evaluate(find("compact"), tmp_path)


def test_an_unknown_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleInvalid, match="no recipe"):
        train("gigantic", tmp_path, tmp_path, progress=silent)


def test_a_number_that_a_recipe_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleInvalid, match="not trained in epochs"):
        train("compact", tmp_path, tmp_path, progress=silent, options=Options(epochs=3))


def test_reference_says_which_weights_it_needs_before_it_begins(tmp_path: Path) -> None:
    data_set(tmp_path)
    with pytest.raises(BundleInvalid, match="models import-vggface2"):
        train("reference", tmp_path, tmp_path / "out", progress=silent, options=Options(work=tmp_path / "work"))
    assert not (tmp_path / "work").exists()


def test_the_seeds_split_has_its_proportions() -> None:
    split = seed_split(2216)
    assert [len(part) for part in (split.training, split.validation, split.test)] == [1774, 221, 221]
    assert sorted(np.concatenate([split.training, split.validation, split.test])) == list(range(2216))


def test_groups_are_thirds_of_numbers_and_categories_of_texts() -> None:
    scores = np.linspace(0.3, 0.7, 33)
    groups = {"age": np.r_[np.nan, np.arange(32.0)], "place": np.array(["here", "there", ""] * 11)}
    gaps = measures.group_gaps(scores[None], scores[::-1], groups)
    assert [(gap["attribute"], gap["group"], gap["faces"]) for gap in gaps] == [
        ("age", "lower third", 11),
        ("age", "middle third", 10),
        ("age", "upper third", 11),
        ("place", "here", 11),
        ("place", "there", 11),
    ]
    assert gaps[0]["spearman"] == -1
    assert measures.group_gaps(scores[None, :4], scores[:4], {"age": np.array(["a"] * 4)})[0]["spearman"] is None


def test_figures_over_repeats_are_their_mean() -> None:
    targets = np.linspace(0, 1, 40)
    both = measures.quality(np.stack([targets, targets[::-1]]), targets)
    assert both["spearman"]["value"] == 0
    assert measures.quality(targets[None], targets)["spearman"] == {"value": 1.0, "interval_95": [1.0, 1.0]}


def test_spearman_shares_ranks_between_ties() -> None:
    assert measures.spearman(np.array([1, 2, 2, 3]), np.array([1, 2, 2, 9])) == pytest.approx(1)
    assert measures.spearman(np.array([1, 2, 3, 4]), np.array([4, 3, 2, 1])) == pytest.approx(-1)


def test_intervals_hold_as_often_as_stated() -> None:
    generator = np.random.default_rng(0)
    shares, spreads = generator.uniform(0.3, 0.7, 2000), np.full(2000, 0.01)
    scores = shares + generator.normal(0, 0.05, 2000)
    parts = np.array_split(np.arange(2000), 10)
    assert measures.covered(scores, spreads, shares, parts).mean() == pytest.approx(measures.COVERAGE, abs=0.02)


def test_a_choice_is_made_without_the_faces_it_is_measured_on() -> None:
    targets, parts = np.arange(6.0), [np.array([0, 1, 2]), np.array([3, 4, 5])]
    left = np.array([9.0, 1, -9, 3, 4, 5])  # right about the second part, wrong about the first
    right = np.array([0.0, 1, 2, 9, 4, -9])  # the other way round
    assert measures.chosen_within([left, right], targets, parts).tolist() == [9, 1, -9, 9, 4, -9]


def test_calibration_tells_scores_that_are_too_far_apart() -> None:
    generator = np.random.default_rng(0)
    shares = generator.uniform(0.4, 0.6, 1000)
    scores = 0.5 + 2 * (shares - 0.5) + generator.normal(0, 0.01, 1000)
    rows = measures.calibration(scores, np.full(1000, 0.01), shares, np.array_split(np.arange(1000), 10))
    assert sum(row["faces"] for row in rows) == 1000
    assert rows[0]["mean_score"] < rows[0]["mean_rating"] - 0.05
    assert rows[4]["mean_score"] > rows[4]["mean_rating"] + 0.05
    assert measures.slope(scores, shares) == pytest.approx(0.5, abs=0.02)
