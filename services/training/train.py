"""From a data set to a bundle, and its figures once more."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from services.training import bundle, card, measures
from services.training.ablation import Subject, ablations
from services.training.captions import Captions, captioner_of, captions_of
from services.training.datasets.data_set import DataSet
from services.training.datasets.read import read
from services.training.encoders import FrozenEncoders, Networks, encoders_of
from services.training.encoding import side_by_side, states_of
from services.training.ensemble import Ensemble
from services.training.evaluation import results
from services.training.faces import Crops, Progress, crops_of
from services.training.fits import ByGradient
from services.training.protocol import DECIMALS, HeldOut, Trial
from services.training.recipes import Recipe, recipe_called, recipe_of
from shared.errors import BundleInvalid, DataSetInvalid
from shared.memorability.catalogue import BundleFacts
from shared.memorability.scorer import MEMBER_PREFIX
from shared.settings import LocalSettings, OllamaSettings

QUANTILES = 101  # of the training population's scores: one for each percent


@dataclass(frozen=True)
class Options:
    """What a user may choose about a training; what is None is as the recipe has it.

    `scale` is that of the raters, see `read`. `work` is the folder that keeps crops, captions, states and heads, so
    that a training that was ended goes on where it was.
    """

    captioner: str | None = None
    networks: Networks = field(default_factory=Networks)
    ollama: OllamaSettings = field(default_factory=OllamaSettings)
    scale: tuple[float, float] | None = None
    folds: int | None = None
    repeats: int | None = None
    members: int | None = None
    ablations: bool = False
    name: str | None = None
    epochs: int | None = None
    work: Path | None = None

    def applied_to(self, recipe: Recipe) -> Recipe:
        """The recipe with these numbers. Raises BundleInvalid if it has no such number."""
        chosen = {"folds": self.folds, "repeats": self.repeats, "members": self.members}
        plan = replace(recipe.plan, **{name: number for name, number in chosen.items() if number is not None})
        fit = recipe.fit
        if self.epochs is not None:
            if not isinstance(fit, ByGradient):
                raise BundleInvalid(f"the recipe {recipe.name} is not trained in epochs, so that none can be chosen")
            fit = replace(fit, tuning=replace(fit.tuning, epochs=self.epochs))
        return replace(recipe, plan=plan, fit=fit, captioner=self.captioner or recipe.captioner)

    @property
    def folder(self) -> Path:
        """Where the work is kept."""
        return self.work or LocalSettings().home / "training"


@dataclass(frozen=True)
class Described:
    """A data set's usable faces: those with a face found and a caption. `data` and `crops` have them in one order.

    `left_out` counts the others by reason.
    """

    data: DataSet
    crops: Crops
    texts: list[str]
    captioner: dict[str, Any]
    left_out: dict[str, int]


def train(recipe: str, data: Path, output: Path, *, progress: Progress, options: Options | None = None) -> BundleFacts:
    """Train the recipe of that name on a data set, evaluate it on held-out faces, and write the bundle to `output`.

    `progress` is told what is being done and which share of it is done. Raises DataSetInvalid, BundleInvalid,
    WeightsInvalid, CaptionerUnavailable or CaptionFailed; all work that was done until then is kept.
    """
    options = options or Options()
    chosen = options.applied_to(recipe_called(recipe))
    bundle.check_place(output.resolve())
    found = read(data, options.scale)
    chosen.encoders(options.networks, torch.device("cpu"))  # what is missing is said before hours of work
    captioner_of(found, chosen.captioner, options.ollama)
    described = describe(chosen, found, options, progress)
    return train_on(chosen, described, output, options, progress)


def describe(recipe: Recipe, data: DataSet, options: Options, progress: Progress) -> Described:
    """Find and describe the faces of a data set."""
    crops = crops_of(data, options.folder, progress)
    captions = captions_of(data, crops, recipe.captioner, options.ollama, options.folder, progress)
    return with_captions(data, crops, captions)


def with_captions(data: DataSet, crops: Crops, captions: Captions) -> Described:
    """The faces that have a caption."""
    there = np.array([row for row, text in enumerate(captions.texts) if text is not None], dtype=int)
    kept, no_face = crops[there], len(data) - len(crops)
    texts = [text for text in captions.texts if text is not None]
    left_out = ({"no face found": no_face} if no_face else {}) | captions.missing
    return Described(data[kept.rows], kept, texts, captions.captioner, left_out)


def train_on(recipe: Recipe, described: Described, output: Path, options: Options, progress: Progress) -> BundleFacts:
    """Train a recipe on faces that are described, and write the bundle to `output`."""
    data = described.data
    subject = _subject(
        recipe, described, lambda device: recipe.encoders(options.networks, device), options.folder, progress
    )
    encoders, trial = subject.encoders, subject.trial
    held_out, final = trial.held_out_and_final(with_seed=data.published is not None)
    variants = ablations(subject, progress) if options.ablations else {}
    found = results(held_out, variants, data, recipe.plan, recipe.fit.validation)
    interval = measures.interval_for(held_out.scores.ravel(), held_out.spreads.ravel(), _repeated(data, held_out))
    name = options.name or output.resolve().name
    facts = card.Facts(
        name, recipe, data, described.captioner, described.left_out, options.scale, found, asdict(recipe.fit.tuning)
    )
    return bundle.write(
        output,
        _config(name, recipe, encoders, trial, described.captioner, held_out, interval),
        encoders.weights | _members(final),
        card.card(facts),
        bundle.entries(data.images, held_out),
        variants,
        encoders.files,
    )


def evaluate_again(
    facts: BundleFacts, data: Path, *, progress: Progress, options: Options | None = None
) -> dict[str, Any]:
    """What `evaluate` gives, from scores made anew: all folds are trained again, with the bundle's seeds and encoders.

    On another machine, or with another version of torch, the last digits may differ. Raises DataSetInvalid, also if
    other faces than those of the bundle are found and described; BundleInvalid, also if another captioner, or another
    version of it, would describe them; CaptionerUnavailable or CaptionFailed.
    """
    options, recipe = options or Options(), recipe_of(facts)
    wrote = facts.card.get("captioner", {})
    recipe = replace(recipe, captioner="ollama" if wrote.get("name") == "ollama" else "describer")
    scale = facts.card["protocol"].get("scale")
    found = read(data, tuple(scale) if scale else None)
    writes = captioner_of(found, recipe.captioner, options.ollama)
    if writes != wrote:
        raise BundleInvalid(
            f"the captions of bundle '{facts.name}' were written by {_named(wrote)}, and now would be by "
            f"{_named(writes)}: its scores cannot be made again"
        )
    described = describe(recipe, found, options, progress)
    _check_same_faces(facts, data, described)
    subject = _subject(recipe, described, lambda device: encoders_of(facts, device), options.folder, progress)
    held_out = subject.trial.held_out(with_seed=described.data.published is not None)
    variants = ablations(subject, progress) if facts.card["results"].get("ablations") else {}
    return results(held_out, variants, described.data, recipe.plan, recipe.fit.validation)


def _subject(
    recipe: Recipe,
    described: Described,
    make: Callable[[torch.device], FrozenEncoders],
    work: Path,
    progress: Progress,
) -> Subject:
    if len(described.data) < 2 * recipe.plan.folds:
        reasons = ", ".join(f"{count} ({reason})" for reason, count in described.left_out.items())
        raise DataSetInvalid(
            f"{len(described.data)} faces are too few for {recipe.plan.folds} folds"
            + (f"; left out: {reasons}" if reasons else "")
        )
    encoders, states = states_of(make, described.crops, described.texts, work, progress)
    rows, columns = encoders.config["grid"]
    faces = side_by_side(states, described.crops, (rows, columns))
    rates = torch.from_numpy(described.data.targets)
    trial = Trial(faces, rates, recipe.fit, recipe.plan, recipe.shape(faces), work, progress)
    return Subject(trial, encoders, states, described.crops)


def _check_same_faces(facts: BundleFacts, data: Path, described: Described) -> None:
    """Raise DataSetInvalid unless these are the faces of the bundle's held-out scores, in their order."""
    before, now = bundle.held_out_scores(facts)[0], described.data.images
    if before == now:
        return
    without, new = set(before) - set(now), set(now) - set(before)
    said = [f"{len(without)} are without a face or a caption now, such as '{min(without)}'"] if without else []
    said += [f"{len(new)} are new, such as '{min(new)}'"] if new else []
    raise DataSetInvalid(
        f"the faces of '{data}' are not those that bundle '{facts.name}' was trained on: "
        + (", and ".join(said) or "they come in another order, which makes other folds")
    )


def _named(captioner: dict[str, Any]) -> str:
    return ", ".join(str(value) for value in captioner.values()) or "an unknown captioner"


def _members(ensemble: Ensemble) -> dict[str, Tensor]:
    return {f"{MEMBER_PREFIX}{name}": tensor for name, tensor in ensemble.weights().items()}


def _repeated(data: DataSet, held_out: HeldOut) -> np.ndarray:
    """The targets beside the scores of all repeats in a row."""
    return np.tile(data.targets, len(held_out.scores))


def _config(
    name: str,
    recipe: Recipe,
    encoders: FrozenEncoders,
    trial: Trial,
    captioner: dict[str, Any],
    held_out: HeldOut,
    interval: dict[str, float],
) -> dict[str, Any]:
    quantiles = np.quantile(held_out.scores, np.linspace(0, 1, QUANTILES))
    return {
        "name": name,
        **encoders.config,
        "head": asdict(trial.shape),
        "members": recipe.plan.members,
        "captioner": captioner,
        "interval": interval,
        "percentiles": [float(value) for value in quantiles.round(DECIMALS)],
    }
