"""Figures are made again only of the very faces and captions that a bundle was trained on."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.training import captions
from services.training import train as training
from services.training.captions import Captions
from services.training.datasets.data_set import DataSet
from services.training.datasets.read import read
from services.training.datasets.sources import US_FACES_PUBLISHED
from services.training.faces import Crops
from services.training.train import Options, describe, evaluate_again, train_on, with_captions
from shared.errors import BundleInvalid, DataSetInvalid
from shared.memorability.catalogue import BundleFacts
from tests.unit.test_training_evaluation import FACES, LANDMARKS, TINY, data_set, silent

Found = Callable[[DataSet, Path, object], Crops]
RECIPE = replace(TINY, plan=replace(TINY.plan, repeats=1))


def finds(pixels: np.ndarray, without: tuple[int, ...] = ()) -> Found:
    """In place of the face finder: made-up pictures have no face for it. All but those `without` have one here."""

    def crops_of(data: DataSet, _work: Path, _progress: object) -> Crops:
        rows = np.array([row for row in range(len(data)) if row not in without])
        numbers = [int(data.images[row].removesuffix(".jpg")) for row in rows]
        return Crops(pixels[numbers], np.stack([LANDMARKS] * len(rows)), rows)

    return crops_of


@pytest.fixture(scope="module")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    folder = tmp_path_factory.mktemp("ratings")
    return folder, data_set(folder)


@pytest.fixture(scope="module")
def bundle(ratings: tuple[Path, np.ndarray], options: Options) -> BundleFacts:
    folder, pixels = ratings
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training, "crops_of", finds(pixels, without=(7,)))
        described = describe(RECIPE, read(folder), options, silent)
    return train_on(RECIPE, described, options.folder / "bundle", options, silent)


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Options:
    return Options(work=tmp_path_factory.mktemp("work"))


def again(
    bundle: BundleFacts, folder: Path, options: Options, patched: pytest.MonkeyPatch, found: Found
) -> dict[str, object]:
    patched.setattr(training, "crops_of", found)
    return evaluate_again(bundle, folder, progress=silent, options=options)


def test_the_same_faces_give_the_same_figures(
    bundle: BundleFacts, ratings: tuple[Path, np.ndarray], options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, pixels = ratings
    assert again(bundle, folder, options, monkeypatch, finds(pixels, without=(7,))) == bundle.card["results"]


@pytest.mark.parametrize(
    ("without", "why"),
    [
        ((), "1 are new, such as '7.jpg'"),
        ((3, 7), "1 are without a face or a caption now, such as '3.jpg'$"),
        ((9,), "1 are without .* '9.jpg', and 1 are new, such as '7.jpg'"),
    ],
)
def test_other_faces_are_refused(
    bundle: BundleFacts,
    ratings: tuple[Path, np.ndarray],
    options: Options,
    monkeypatch: pytest.MonkeyPatch,
    without: tuple[int, ...],
    why: str,
) -> None:
    with pytest.raises(DataSetInvalid, match=why):
        again(bundle, ratings[0], options, monkeypatch, finds(ratings[1], without))


def test_the_same_faces_in_another_order_are_refused(
    bundle: BundleFacts,
    ratings: tuple[Path, np.ndarray],
    options: Options,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    folder = Path(shutil.copytree(ratings[0], tmp_path / "turned"))
    title, *rows = (folder / "ratings.csv").read_text().splitlines()
    (folder / "ratings.csv").write_text("\n".join([title, *reversed(rows)]))
    found = finds(ratings[1], without=(FACES - 1 - 7,))
    with pytest.raises(DataSetInvalid, match="another order"):
        again(bundle, folder, options, monkeypatch, found)


def test_another_version_of_the_describer_is_refused(
    bundle: BundleFacts, ratings: tuple[Path, np.ndarray], options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captions, "DESCRIBER_VERSION", "next")
    with pytest.raises(BundleInvalid, match=r"written by describer, \d+, and now would be by describer, next"):
        again(bundle, ratings[0], options, monkeypatch, finds(ratings[1], without=(7,)))


def test_too_few_faces_say_what_became_of_the_others(ratings: tuple[Path, np.ndarray], options: Options) -> None:
    folder, pixels = ratings
    texts: list[str | None] = ["A face.", *[None] * (FACES - 2)]
    missing = {"captioner refused": FACES - 2}
    found = finds(pixels, without=(0,))(read(folder), folder, silent)
    described = with_captions(read(folder), found, Captions(texts, {"name": "describer"}, missing))
    with pytest.raises(
        DataSetInvalid, match=r"1 faces are too few for 3 folds; left out: 1 \(no face found\), 34 \(ca"
    ):
        train_on(RECIPE, described, options.folder / "few", options, silent)


def test_the_card_says_what_the_validation_tenth_was_for(
    ratings: tuple[Path, np.ndarray], options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "crops_of", finds(ratings[1]))
    data = replace(read(ratings[0]), published=US_FACES_PUBLISHED)
    bundle = train_on(RECIPE, describe(RECIPE, data, options, silent), options.folder / "seed", options, silent)
    said = json.loads((bundle.path / "card.json").read_bytes())["results"]["seed_protocol"]["validation"]
    assert said == "left unused because nothing is stopped early"
    assert said in (bundle.path / "card.md").read_text()
