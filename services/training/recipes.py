"""How the bundles are trained, from a folder of rated images to a folder with a bundle."""

from dataclasses import asdict, dataclass, field
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from services.training import bundle, measures
from services.training.card import card
from services.training.ensemble import Ensemble, fit_ensemble
from services.training.evaluation import results
from services.training.faces import Crops, Progress, captions_of, crops_of
from services.training.fitting import Faces, Tuning
from services.training.folds import all_but, folds
from services.training.places import place_maps, place_of_words
from services.training.ratings import Ratings, logits, read
from shared.captions.describer import DESCRIBER_VERSION
from shared.errors import BundleInvalid, DataSetInvalid
from shared.memorability.catalogue import BundleFacts
from shared.memorability.cross_attention import HeadShape
from shared.memorability.encoders import VISUAL_PREFIX, encode
from shared.memorability.scorer import MEMBER_PREFIX, padded
from shared.memorability.states import FaceStates
from shared.memorability.text_encoder import PACKAGE, TextEncoder
from shared.memorability.visual_encoder import CHANNELS, VisualEncoder

ONET_SHA256 = "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKEN_WIDTH = 384  # of MiniLM
ENCODED_AT_ONCE = 16  # faces; bounds memory
DECIMALS = 6  # of held-out scores: the card is computed from what is kept, so that it can be found again exactly
QUANTILES = 101  # of the training population's scores: one for each percent


@dataclass(frozen=True)
class Recipe:
    """The numbers of one bundle. Seeds are fixed so that a second training can be held against the first."""

    name: str
    sides: tuple[int, ...] = (80, 144)  # pixels of the crop that O-Net runs over: 7 x 7 and 15 x 15 places
    grid: tuple[int, int] = (7, 7)
    max_tokens: int = 256  # what MiniLM was trained for
    heads: int = 4
    key_width: int = 8
    members: int = 5
    folds: int = 10
    fold_seed: int = 0
    seed: int = 0
    tuning: Tuning = field(default_factory=Tuning)

    @property
    def shape(self) -> HeadShape:
        """The shape of one head."""
        return HeadShape(
            self.grid[0] * self.grid[1], CHANNELS * len(self.sides), TOKEN_WIDTH, self.heads, self.key_width
        )


RECIPES = {"compact": Recipe("compact")}


def train(recipe: str, data: Path, output: Path, *, progress: Progress, work: Path | None = None) -> BundleFacts:
    """Train the recipe of that name on a data set, evaluate it on held-out faces, and write the bundle to `output`.

    `progress` is told what is being done and which share of it is done. Crops are kept in `work` between runs, by
    default in the system's folder for temporary files. Raises DataSetInvalid or BundleInvalid.
    """
    chosen = _recipe(recipe)
    ratings = read(data)
    crops = crops_of(ratings, work or _work(), progress)
    return train_on(chosen, ratings, crops, captions_of(crops, progress), output, progress)


def evaluate_again(bundle: BundleFacts, data: Path, *, progress: Progress, work: Path | None = None) -> dict[str, Any]:
    """What `evaluate` gives, from scores made anew: all folds are trained again, with the recipe's seeds.

    On another machine, or with another version of torch or of the describer, the last digits may differ.
    Raises DataSetInvalid or BundleInvalid.
    """
    recipe = _recipe(bundle.name)
    ratings = read(data)
    crops = crops_of(ratings, work or _work(), progress)
    faces = _encoded(recipe, visual_encoder(recipe), crops, captions_of(crops, progress), progress)
    scores, spreads = held_out_scores(recipe, faces, _targets(ratings, crops), progress)
    return results(scores, spreads, ratings, crops.rows, folds(len(faces), recipe.folds, recipe.fold_seed))


def train_on(
    recipe: Recipe, ratings: Ratings, crops: Crops, captions: list[str], output: Path, progress: Progress
) -> BundleFacts:
    """Train a recipe on crops and captions that are at hand."""
    visual, targets = visual_encoder(recipe), _targets(ratings, crops)
    faces = _encoded(recipe, visual, crops, captions, progress)
    scores, spreads = held_out_scores(recipe, faces, targets, progress)
    final = fit_ensemble(faces, targets, recipe.shape, recipe.tuning, recipe.members, recipe.seed)
    progress("training the bundle", 1.0)
    found = results(scores, spreads, ratings, crops.rows, folds(len(faces), recipe.folds, recipe.fold_seed))
    held_out = {
        ratings.images[row]: {"score": float(score), "spread": float(spread)}
        for row, score, spread in zip(crops.rows, scores, spreads, strict=True)
    }
    return bundle.write(
        output,
        _config(recipe, scores, measures.interval_for(scores, spreads, ratings.shares[crops.rows])),
        _weights(visual, final),
        card(recipe.name, len(faces), _protocol(recipe), found),
        held_out,
    )


def held_out_scores(recipe: Recipe, faces: Faces, targets: Tensor, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """For each face the score, and the members' spread, of an ensemble fitted without its fold: (N,) each."""
    scores, spreads = np.zeros(len(faces)), np.zeros(len(faces))
    parts = folds(len(faces), recipe.folds, recipe.fold_seed)
    for number, part in enumerate(parts):
        rest = torch.from_numpy(all_but(len(faces), part))
        ensemble = fit_ensemble(faces[rest], targets[rest], recipe.shape, recipe.tuning, recipe.members, recipe.seed)
        scores[part], spreads[part] = ensemble.scores(faces[torch.from_numpy(part)])
        progress("training on all folds but one, in turn", (number + 1) / len(parts))
    return scores.round(DECIMALS), spreads.round(DECIMALS)


def visual_encoder(recipe: Recipe) -> VisualEncoder:
    """The visual encoder with O-Net's weights from facenet-pytorch. Raises BundleInvalid if they are not there."""
    spec = find_spec("facenet_pytorch")
    if spec is None or spec.origin is None:
        raise BundleInvalid("the package facenet-pytorch, which holds O-Net, is not installed")
    path = Path(spec.origin).parent / "data" / "onet.pt"
    content = path.read_bytes()
    if sha256(content).hexdigest() != ONET_SHA256:  # a pickle: nothing but the known file is opened
        raise BundleInvalid("O-Net's weights in facenet-pytorch are not the known ones")
    weights = torch.load(path, weights_only=True)
    encoder = VisualEncoder(list(recipe.sides), recipe.grid)
    encoder.onet.load_state_dict({name: weights[name] for name in encoder.onet.state_dict()})
    return encoder.eval()


def _recipe(name: str) -> Recipe:
    if name not in RECIPES:
        raise BundleInvalid(f"there is no recipe called '{name}'; there is {', '.join(RECIPES)}")
    return RECIPES[name]


def _work() -> Path:
    return Path(gettempdir()) / "facemem-training"


def _targets(ratings: Ratings, crops: Crops) -> Tensor:
    return torch.from_numpy(logits(ratings.shares[crops.rows])).float()


def _encoded(recipe: Recipe, visual: VisualEncoder, crops: Crops, captions: list[str], progress: Progress) -> Faces:
    """The faces' states side by side, with the places where each token is to look."""
    if len(crops.rows) < 2 * recipe.folds:
        raise DataSetInvalid(f"{len(crops.rows)} faces are too few for {recipe.folds} folds")
    text = TextEncoder(MINILM_SHA256, recipe.max_tokens, torch.device("cpu"))
    states: list[FaceStates] = []
    for start in range(0, len(captions), ENCODED_AT_ONCE):
        batch = slice(start, start + ENCODED_AT_ONCE)
        states += encode(visual, text, crops.pixels[batch], captions[batch])
        progress("encoding faces and captions", len(states) / len(captions))
    places = []
    for face, caption, landmarks in zip(states, captions, crops.landmarks, strict=True):
        of_words = torch.tensor(place_of_words(caption, face.words))
        places.append(place_maps(landmarks, recipe.grid)[of_words[face.word_of_token]])
    return Faces(*padded(states), pad_sequence(places, batch_first=True))


def _weights(visual: VisualEncoder, ensemble: Ensemble) -> dict[str, Tensor]:
    weights = {f"{VISUAL_PREFIX}{name}": tensor for name, tensor in visual.state_dict().items()}
    return weights | {f"{MEMBER_PREFIX}{name}": tensor for name, tensor in ensemble.weights().items()}


def _config(recipe: Recipe, scores: np.ndarray, interval: dict[str, float]) -> dict[str, Any]:
    quantiles = np.quantile(scores, np.linspace(0, 1, QUANTILES))
    return {
        "name": recipe.name,
        "grid": list(recipe.grid),
        "visual": {"network": "mtcnn-onet", "sides": list(recipe.sides)},
        "text": {"package": PACKAGE, "weights_sha256": MINILM_SHA256, "max_tokens": recipe.max_tokens},
        "head": asdict(recipe.shape),
        "members": recipe.members,
        "describer_version": DESCRIBER_VERSION,
        "interval": interval,
        "percentiles": [float(value) for value in quantiles.round(DECIMALS)],
    }


def _protocol(recipe: Recipe) -> dict[str, Any]:
    return {
        "meaning": f"{recipe.folds}-fold cross-validation over faces: every score below is that of a face whose fold "
        "was held out of everything that training fits, standardisation included. The sizes of O-Net's pictures were "
        "chosen beforehand on the same faces, and the describer's scales were fitted to them and to their other "
        "ratings, though never to `memorable`; both may flatter the correlations a little. Intervals: bootstrap "
        "over faces.",
        "folds": recipe.folds,
        "fold_seed": recipe.fold_seed,
        "members": recipe.members,
        "seed": recipe.seed,
        "tuning": asdict(recipe.tuning),
    }
