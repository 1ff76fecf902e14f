"""Fits one head by gradient descent, as the seed's architecture was trained: queries, keys and values together.

The loss is the cross-entropy of the rate: a hit rate is a mean of yes and no, whose likelihood that is. Near 0 and 1,
where chance moves a logit far, it does not blow up what chance did, as squared errors of logits would. Training ends
when the faces that it does not see have been predicted no better for a while, and the weights that predicted them best
are kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, inf, pi

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from services.training.fitting import FLAT, Faces
from shared.memorability.cross_attention import CrossAttention, HeadShape


@dataclass(frozen=True)
class GradientTuning:
    """Numbers fixed for all heads."""

    epochs: int = 80  # at most
    patience: int = 12  # epochs without a better prediction of the faces not seen
    batch: int = 48  # faces
    learning_rate: float = 3e-4
    warm_up: int = 2  # epochs in which the learning rate rises; then it falls along half a cosine
    weight_decay: float = 0.1
    clip: float = 1.0  # of the gradient's norm
    patch_dropout: float = 0.3  # share of a face's visual numbers that are set to their mean
    word_dropout: float = 0.2  # share of a caption's tokens that have no say


@dataclass(frozen=True)
class Task:
    """One head: fitted to `rows`, stopped by `validation`, both indices of faces. The same task gives the same head."""

    rows: np.ndarray
    validation: np.ndarray
    seed: int


@dataclass
class Run:
    """A head that is being fitted: all that is needed to go on from here."""

    head: CrossAttention
    optimiser: torch.optim.AdamW
    generator: torch.Generator
    best: dict[str, Tensor]
    best_loss: float = inf
    best_epoch: int = -1
    epoch: int = 0  # epochs that are over

    def is_over(self, tuning: GradientTuning) -> bool:
        """Whether it has had its time, or got no better for too long."""
        return self.epoch >= tuning.epochs or self.epoch - 1 - self.best_epoch >= tuning.patience


def start(faces: Faces, rates: Tensor, task: Task, shape: HeadShape, tuning: GradientTuning) -> Run:
    """A head before its first epoch, on the device of `faces`: the mean rate is all that it predicts."""
    device = faces.patches.device
    generator = torch.Generator(device).manual_seed(task.seed)
    head = CrossAttention(shape).to(device)
    rows = torch.from_numpy(task.rows).to(device)
    with torch.no_grad():
        _standardise(head, faces, rows)
        for weight in (head.query.weight, head.key.weight):
            torch.nn.init.normal_(weight, std=weight.shape[1] ** -0.5, generator=generator)
        torch.nn.init.zeros_(head.query.bias)
        torch.nn.init.normal_(head.key_position, std=0.5, generator=generator)
        head.constant.copy_(torch.logit(rates[rows].mean(), eps=1e-3))
    optimiser = torch.optim.AdamW(_groups(head, tuning), lr=tuning.learning_rate)
    return Run(head, optimiser, generator, _copied(head))


def advance(run: Run, faces: Faces, rates: Tensor, task: Task, tuning: GradientTuning) -> None:
    """One epoch, and what it did for the faces not seen."""
    device = faces.patches.device
    rows = torch.from_numpy(task.rows).to(device)
    batches = rows[torch.randperm(len(rows), generator=run.generator, device=device)].split(tuning.batch)
    run.head.train()
    for number, batch in enumerate(batches):
        for group in run.optimiser.param_groups:
            group["lr"] = tuning.learning_rate * _pace(run.epoch + number / len(batches), tuning)
        loss = _loss(run.head, _thinned(run.head, faces[batch], run.generator, tuning), rates[batch])
        run.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(run.head.parameters(), tuning.clip)
        run.optimiser.step()
    loss_unseen = _unseen_loss(
        run.head.eval(), faces, rates, torch.from_numpy(task.validation).to(device), tuning.batch
    )
    if loss_unseen < run.best_loss:
        run.best_loss, run.best_epoch, run.best = loss_unseen, run.epoch, _copied(run.head)
    run.epoch += 1


def finished(run: Run) -> CrossAttention:
    """The head with its best weights, on the CPU."""
    run.head.load_state_dict(run.best)
    return run.head.cpu().eval().requires_grad_(False)


def fit_head(
    faces: Faces, rates: Tensor, task: Task, shape: HeadShape, tuning: GradientTuning, after: Callable[[Run], None]
) -> CrossAttention:
    """A head from its first epoch to its last; `after` sees it after each."""
    return go_on(start(faces, rates, task, shape, tuning), faces, rates, task, tuning, after)


def go_on(
    run: Run, faces: Faces, rates: Tensor, task: Task, tuning: GradientTuning, after: Callable[[Run], None]
) -> CrossAttention:
    """The rest of the epochs of a head; `after` sees it after each."""
    while not run.is_over(tuning):
        advance(run, faces, rates, task, tuning)
        after(run)
    return finished(run)


def _standardise(head: CrossAttention, faces: Faces, rows: Tensor) -> None:
    """Means and spreads of the faces fitted to: one for all regions where these are read alike."""
    patches, tokens = faces.patches[rows], faces.tokens[rows][faces.weights[rows] > 0]
    over = (0, 1) if head.shape.regions_read_alike else 0
    head.patch_centre.copy_(patches.mean(over).expand_as(head.patch_centre))
    head.patch_scale.copy_((patches.std(over) + FLAT).expand_as(head.patch_scale))
    head.token_centre.copy_(tokens.mean(0))
    head.token_scale.copy_(tokens.std(0) + FLAT)


def _groups(head: CrossAttention, tuning: GradientTuning) -> list[dict[str, object]]:
    """Only what multiplies states is pulled towards zero."""
    decayed = [head.query.weight, head.key.weight, head.value]
    free = [head.query.bias, head.key_position, head.value_bias, head.constant]
    return [{"params": decayed, "weight_decay": tuning.weight_decay}, {"params": free, "weight_decay": 0.0}]


def _pace(epoch: float, tuning: GradientTuning) -> float:
    """The share of the learning rate at a time, in epochs."""
    rising = min(1.0, (epoch + 0.1) / tuning.warm_up)
    return rising * (0.5 + 0.5 * cos(pi * epoch / tuning.epochs))


def _thinned(head: CrossAttention, faces: Faces, generator: torch.Generator, tuning: GradientTuning) -> Faces:
    """Faces (N) with some of their visual numbers at the mean and some of their words silent."""
    device, keep = faces.patches.device, 1 - tuning.patch_dropout
    shape = (len(faces), 1, faces.patches.shape[2])
    kept = (torch.rand(shape, generator=generator, device=device) < keep).float() / keep
    patches = head.patch_centre + (faces.patches - head.patch_centre) * kept
    spoken = torch.rand(faces.weights.shape, generator=generator, device=device) >= tuning.word_dropout
    weights = faces.weights * spoken
    weights = torch.where(weights.sum(1, keepdim=True) > 0, weights, faces.weights)
    return Faces(patches, faces.tokens, weights / weights.sum(1, keepdim=True), faces.places)


def _loss(head: CrossAttention, faces: Faces, rates: Tensor) -> Tensor:
    """On CUDA the head computes in bfloat16, the loss in float32."""
    kind = faces.patches.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda"):
        logits = head(faces.patches, faces.tokens, faces.weights).logits
    return functional.binary_cross_entropy_with_logits(logits.float(), rates)


@torch.no_grad()
def _unseen_loss(head: CrossAttention, faces: Faces, rates: Tensor, rows: Tensor, batch: int) -> float:
    losses = [float(_loss(head, faces[part], rates[part])) * len(part) for part in rows.split(batch)]
    return sum(losses) / len(rows)


def _copied(head: CrossAttention) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in head.state_dict().items()}
