"""Reading a data set, training a small bundle from it, and finding the card's figures again."""

from pathlib import Path

import numpy as np
import pytest

from services.training import measures
from services.training.evaluation import evaluate
from services.training.faces import Crops
from services.training.fitting import Tuning
from services.training.ratings import read
from services.training.recipes import Recipe, train, train_on
from shared.errors import BundleInvalid, DataSetInvalid
from shared.memorability.catalogue import find
from shared.memorability.encoders import Encoders
from shared.memorability.scorer import Scorer

TINY = Recipe("tiny", heads=2, key_width=4, members=2, folds=3, tuning=Tuning(steps=5, tokens_per_step=4))
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
    lines = ["image,memorable,memorable_half_a,memorable_half_b,age"]
    for number, value in enumerate(30 + 40 * brightness):
        (folder / f"{number}.jpg").touch()
        lines.append(f"{number}.jpg,{value:.2f},{value + 1:.2f},{value - 1:.2f},{number}")
    (folder / "ratings.csv").write_text("\n".join(lines))
    return pixels.astype(np.uint8)


def test_a_small_training_finds_what_was_planted(tmp_path: Path) -> None:
    pixels = data_set(tmp_path)
    crops = Crops(pixels, np.stack([LANDMARKS] * FACES), np.arange(FACES))
    captions = ["A faint smile. Long hair."] * FACES
    ratings = read(tmp_path)
    bundle = train_on(TINY, ratings, crops, captions, tmp_path / "bundle", silent)
    assert bundle.card["results"]["quality"]["spearman"]["value"] > 0.8
    assert evaluate(bundle, tmp_path) == bundle.card["results"]
    assert "## Limits" in (bundle.path / "card.md").read_text()
    states = Encoders(bundle, "cpu").encode(pixels[[0, FACES - 1]], captions[:2])
    low, high = Scorer(bundle).score(states)
    assert low.score < high.score


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


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read"),
        ("image,age\na.jpg,1", "columns image and memorable"),
        ("image,memorable\nmissing.jpg,50", "missing.jpg"),
        ("image,memorable\na.jpg,much", "not a number"),
        ("image,memorable\na.jpg,101", "0 to 100"),
        ("image,memorable\na.jpg,", "must be filled"),
    ],
)
def test_a_wrong_data_set_says_what_is_wrong(tmp_path: Path, content: str | None, why: str) -> None:
    (tmp_path / "a.jpg").touch()
    if content is not None:
        (tmp_path / "ratings.csv").write_text(content)
    with pytest.raises(DataSetInvalid, match=why):
        read(tmp_path)


def test_spearman_shares_ranks_between_ties() -> None:
    assert measures.spearman(np.array([1, 2, 2, 3]), np.array([1, 2, 2, 9])) == pytest.approx(1)
    assert measures.spearman(np.array([1, 2, 3, 4]), np.array([4, 3, 2, 1])) == pytest.approx(-1)


def test_intervals_hold_as_often_as_stated() -> None:
    generator = np.random.default_rng(0)
    shares, spreads = generator.uniform(0.3, 0.7, 2000), np.full(2000, 0.01)
    scores = shares + generator.normal(0, 0.05, 2000)
    parts = np.array_split(np.arange(2000), 10)
    assert measures.coverage(scores, spreads, shares, parts) == pytest.approx(measures.COVERAGE, abs=0.02)
