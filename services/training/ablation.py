"""What each part of a bundle is worth: the same faces in the same folds, with one part changed or taken away."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from services.training.encoders import FrozenEncoders
from services.training.encoding import side_by_side
from services.training.faces import Crops, Progress
from services.training.fits import ByGradient, ClosedForm, Wanted
from services.training.fitting import PIECE, Faces, Tuning, kernel, kernel_ridge, standardised_head
from services.training.folds import all_but, folds
from services.training.gradient import GradientTuning
from services.training.protocol import DECIMALS, Trial
from services.training.targets import logits
from shared.memorability.cross_attention import HeadShape
from shared.memorability.scorer import weights_of
from shared.memorability.states import FaceStates
from shared.memorability.visual_encoder import OnetEncoder

Variant = tuple[str, Callable[[], np.ndarray]]  # what it is, and the scores of held-out faces (N,)

# How these begin, they are what `compact` might as well have been; the others are controls.
RIVALS = ("every word has the same say", "without the mirror image", "the crop at")
SAME_CAPTION = "A face."
SHUFFLING_SEED = 5


@dataclass(frozen=True)
class Subject:
    """What is taken apart: a recipe's trial, and the states that its faces were made of, in the same order."""

    trial: Trial
    encoders: FrozenEncoders
    states: list[FaceStates]
    crops: Crops


def ablations(subject: Subject, progress: Progress) -> dict[str, np.ndarray]:
    """Scores (N,) that held-out faces get from each variant, by what the variant is. Folds are the first repeat's."""
    trial = replace(subject.trial, plan=replace(subject.trial.plan, repeats=1), progress=lambda *_: None)
    variants = [*_of_captions(subject, trial), *_of_reading(trial), *_of_seeing(subject, trial), *_of_fitting(trial)]
    scores: dict[str, np.ndarray] = {}
    for number, (name, score) in enumerate(variants):
        scores[name] = score().round(DECIMALS)
        progress("taking the model apart", (number + 1) / len(variants))
    return scores


def _of_captions(subject: Subject, trial: Trial) -> list[Variant]:
    faces = len(subject.states)

    def with_another() -> np.ndarray:
        others = np.random.default_rng(SHUFFLING_SEED).permutation(faces)
        return _captioned(subject, trial, [subject.states[row] for row in others])

    def with_the_same() -> np.ndarray:
        ((tokens, word_of_token, words),) = subject.encoders.text.encode([SAME_CAPTION])
        said = replace(subject.states[0], tokens=tokens.half(), word_of_token=word_of_token, words=words)
        return _captioned(subject, trial, [said] * faces)

    def in_one_sentence() -> np.ndarray:
        said = [replace(face, words=[replace(word, sentence=0) for word in face.words]) for face in subject.states]
        weights = pad_sequence([weights_of(face) for face in said], batch_first=True)
        return _held_out(replace(trial, faces=replace(trial.faces, weights=weights)))

    return [
        ("the caption of another face", with_another),
        (f"no captions: '{SAME_CAPTION}' for all", with_the_same),
        ("every word has the same say, not every sentence", in_one_sentence),
    ]


def _captioned(subject: Subject, trial: Trial, said: list[FaceStates]) -> np.ndarray:
    states = [
        replace(face, tokens=other.tokens, word_of_token=other.word_of_token, words=other.words)
        for face, other in zip(subject.states, said, strict=True)
    ]
    rows, columns = subject.encoders.config["grid"]
    return _held_out(replace(trial, faces=side_by_side(states, subject.crops, (rows, columns))))


def _of_reading(trial: Trial) -> list[Variant]:
    image, caption = [_of_image(trial)], [_of_caption(trial)]
    return [
        ("image alone, every word looks everywhere (ridge regression)", partial(_read_plainly, trial, image)),
        ("caption alone (ridge regression)", partial(_read_plainly, trial, caption)),
        ("image and caption with equal weight (ridge regression)", partial(_read_plainly, trial, image + caption)),
    ]


def _of_seeing(subject: Subject, trial: Trial) -> list[Variant]:
    """For O-Net, whose patches hold what it saw of each size one after the other."""
    visual = subject.encoders.visual
    if not isinstance(visual, OnetEncoder):
        return []
    width = trial.shape.patch_width // len(visual.sides)

    def alone(place: int) -> np.ndarray:
        patches = trial.faces.patches[:, :, place * width : (place + 1) * width]
        shape = replace(trial.shape, patch_width=width)
        return _held_out(replace(trial, faces=replace(trial.faces, patches=patches), shape=shape))

    sizes: list[Variant] = [
        (f"the crop at {side} pixels only", partial(alone, place)) for place, side in enumerate(visual.sides)
    ]
    return [("without the mirror image", partial(_unmirrored, subject, trial, visual)), *sizes]


def _unmirrored(subject: Subject, trial: Trial, visual: OnetEncoder) -> np.ndarray:
    """What O-Net sees by itself, and each region with a value of its own."""
    plain = OnetEncoder(visual.sides, visual.grid, mirrored=False)
    plain.load_state_dict(visual.state_dict())
    pixels = torch.from_numpy(subject.crops.pixels)
    with torch.inference_mode():
        patches = torch.cat([plain(piece).half().float() for piece in pixels.split(PIECE)])
    fit = trial.fit
    if isinstance(fit, ClosedForm):
        fit = replace(fit, tuning=replace(fit.tuning, columns=1))
    shape = replace(trial.shape, patch_width=patches.shape[2])
    return _held_out(replace(trial, faces=replace(trial.faces, patches=patches), shape=shape, fit=fit))


def _of_fitting(trial: Trial) -> list[Variant]:
    if isinstance(trial.fit, ByGradient):
        taught = replace(trial, fit=ClosedForm(Tuning()), shape=replace(trial.shape, regions_read_alike=False))
        return [("attention taught by places, values in closed form", partial(_held_out, taught))]
    return [("one head as published, all of it trained by ratings (not tuned)", partial(_by_ratings, trial))]


def _held_out(trial: Trial) -> np.ndarray:
    return trial.held_out(with_seed=False).scores[0]


def _by_ratings(trial: Trial) -> np.ndarray:
    """One head for each fold, stopped by the next: ensembles would take longer than all other variants together."""
    parts = folds(len(trial.faces), trial.plan.folds, trial.plan.fold_seed)
    stopping = [*parts[1:], parts[0]]
    rows = [np.setdiff1d(all_but(len(trial.faces), part), stop) for part, stop in zip(parts, stopping, strict=True)]
    wanted = [Wanted(kept, 1, trial.plan.seed, stop) for kept, stop in zip(rows, stopping, strict=True)]
    shape = replace(trial.shape, regions_read_alike=True)
    heads = ByGradient(GradientTuning())(trial.faces, trial.rates, wanted, shape, trial.work, trial.progress)
    scores = np.zeros(len(trial.faces))
    for part, head in zip(parts, heads, strict=True):
        scores[part] = head.scores(trial.faces[torch.from_numpy(part)])[0]
    return scores


@dataclass(frozen=True)
class _Likeness:
    """How alike faces are, patch by patch, all patches alike."""

    faces: Faces
    shape: HeadShape
    tuning: Tuning

    def __call__(self, kept: Tensor) -> Tensor:
        """A kernel (N, N), standardised by the faces `kept`."""
        head = standardised_head(self.faces[kept], self.shape, self.tuning)
        return kernel(head, self.faces, torch.ones(len(self.faces), 1, self.shape.patches), self.tuning)


def _of_image(trial: Trial) -> _Likeness:
    tuning = trial.fit.tuning if isinstance(trial.fit, ClosedForm) else Tuning()
    return _Likeness(trial.faces, replace(trial.shape, heads=1, regions_read_alike=False), tuning)


def _of_caption(trial: Trial) -> _Likeness:
    """The caption's mean state takes the place of a face's one patch."""
    faces, width = trial.faces, trial.shape.token_width
    means = torch.einsum("ntd,nt->nd", faces.tokens, faces.weights)[:, None]
    return _Likeness(replace(faces, patches=means), HeadShape(1, width, width, 1, 1), Tuning(columns=1))


def _read_plainly(trial: Trial, kernels: list[_Likeness]) -> np.ndarray:
    """Kernel ridge regression with as many members as the bundle has; several kernels count alike."""
    count, plan = len(trial.faces), trial.plan
    targets = torch.from_numpy(logits(trial.rates.double().numpy())).float()
    scores = np.zeros(count)
    for part in folds(count, plan.folds, plan.fold_seed):
        rest = all_but(count, part)
        here = [each(torch.from_numpy(rest)) for each in kernels]
        total = sum((each / each.diagonal().mean() for each in here), torch.zeros(count, count))
        found = []
        for left_out in folds(len(rest), plan.members, plan.seed):
            kept = torch.from_numpy(np.delete(rest, left_out))
            dual = kernel_ridge(total[kept][:, kept], targets[kept])
            found.append(total[torch.from_numpy(part)][:, kept] @ dual + targets[kept].mean())
        scores[part] = torch.sigmoid(torch.stack(found).mean(0)).numpy()
    return scores
