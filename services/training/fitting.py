"""Fits heads in two steps: where words look is taught by places, what is read there by ratings.

Where to look is learned from captions and landmarks alone (see `places`), by gradient descent on the cross-entropy.
With the attention fixed, the logit is linear in `value`, so the best `value` under a ridge penalty is the solution of
one linear system; the penalty is the one with the least leave-one-out error on the training faces, which has a closed
form too (Allen 1974, PRESS). Teaching the attention by ratings as well is a row of the card's ablation table.

Two things are known beforehand and built into the penalty. Regions that mirror each other have the same value: a mole
counts the same on either cheek. And a region that words seldom name is not punished for it: looks are taken relative to
the usual look there, or else the ridge would pay less heed to it.
"""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from services.training.folds import all_but
from shared.memorability.cross_attention import CrossAttention, HeadShape

PENALTIES = (0.1, 0.15, 0.2, 0.3, 0.45, 0.7, 1.0, 1.5, 2.5)  # against the kernel's mean diagonal, which is about 1
PIECE = 128  # faces looked at together; bounds memory
FLAT = 1e-3  # added to standard deviations, so that numbers that hardly vary are not blown up


@dataclass(frozen=True)
class Tuning:
    """Numbers fixed for all folds."""

    steps: int = 150
    learning_rate: float = 0.01
    weight_decay: float = 0.01
    faces_per_step: int = 96  # drawn anew at each step, and of each of them
    tokens_per_step: int = 12
    bias_weight: float = 0.1  # of a region's own number against all its patch's numbers together, in the penalty
    columns: int = 7  # of the grid of regions: what mirrors what follows from it


@dataclass(frozen=True)
class Faces:
    """What a head is fitted to: `patches` (N, P, Dv), `tokens` (N, T, Dt), `weights` (N, T) as in CrossAttention.

    `places` (N, T, P) is where each token is to look.
    """

    patches: Tensor
    tokens: Tensor
    weights: Tensor
    places: Tensor

    def __getitem__(self, index: Tensor) -> "Faces":
        return Faces(self.patches[index], self.tokens[index], self.weights[index], self.places[index])

    def __len__(self) -> int:
        return len(self.patches)

    def pieces(self) -> list["Faces"]:
        """The same faces, few at a time."""
        return [self[index] for index in torch.arange(len(self)).split(PIECE)]


def fit(
    faces: Faces, targets: Tensor, parts: list[np.ndarray], shape: HeadShape, tuning: Tuning, seed: int
) -> list[CrossAttention]:
    """Heads that look alike and read differently: each was fitted to `targets` (N,) without another part of the faces.

    `targets` are the logits wanted. The same seed gives the same heads on the same machine.
    """
    head = taught(faces, shape, tuning, seed)
    return read(head, faces, looks_of(head, faces), targets, parts, tuning)


def read(
    taught: CrossAttention, faces: Faces, looks: Tensor, targets: Tensor, parts: list[np.ndarray], tuning: Tuning
) -> list[CrossAttention]:
    """Copies of a head whose words look where they should, with values fitted to all faces but those of each part.

    `looks` (N, H, P) are the attention averaged over each face's words.
    """
    heads = []
    with torch.no_grad():
        usual = looks.mean((0, 1))
        usual = (usual + usual[mirror(tuning.columns, len(usual))]) / 2
        relative = looks / usual
        likeness = kernel(taught, faces, relative, tuning)
        for part in parts:
            kept = torch.from_numpy(all_but(len(faces), part))
            head = deepcopy(taught)
            dual = kernel_ridge(likeness[kept][:, kept], targets[kept])
            _set_values(head, faces[kept], relative[kept] * dual[:, None, None], usual, tuning)
            head.constant.copy_(targets[kept].mean())
            heads.append(head.eval())
    return heads


def predict(head: CrossAttention, faces: Faces) -> Tensor:
    """Logits (N,)."""
    with torch.inference_mode():
        return torch.cat([head(piece.patches, piece.tokens, piece.weights).logits for piece in faces.pieces()])


def mirror(columns: int, regions: int) -> Tensor:
    """The region that is each region's mirror image, int64 (P,)."""
    return torch.arange(regions).view(-1, columns).flip(1).flatten()


def kernel_ridge(kernel: Tensor, targets: Tensor) -> Tensor:
    """The weight of each face in the kernel ridge regression on targets (N,) less their mean: (N,).

    Its penalty is the one of PENALTIES with the least leave-one-out error.
    """
    centred = (targets - targets.mean()).double()
    values, vectors = torch.linalg.eigh(kernel.double())
    missed = [float(left_out_errors(values, vectors, centred, penalty).square().mean()) for penalty in PENALTIES]
    penalty = PENALTIES[missed.index(min(missed))]
    return (vectors @ ((vectors.T @ centred) / (values + penalty))).float()


def left_out_errors(eigenvalues: Tensor, eigenvectors: Tensor, centred: Tensor, penalty: float) -> Tensor:
    """What kernel ridge regression misses each target by when that face is left out: (N,), in closed form.

    `eigenvalues` (N,) and `eigenvectors` (N, N) are the kernel's, `centred` (N,) the targets less their mean.
    """
    shrunk = 1 / (eigenvalues + penalty)
    return (eigenvectors @ (shrunk * (eigenvectors.T @ centred))) / (eigenvectors.square() @ shrunk)


def taught(faces: Faces, shape: HeadShape, tuning: Tuning, seed: int) -> CrossAttention:
    """A head whose tokens look at their places and read nothing yet."""
    generator = torch.Generator().manual_seed(seed)
    head = standardised_head(faces, shape, tuning)
    _initialise(head, generator)
    _teach_places(head, faces, tuning, generator)
    return head


@torch.no_grad()
def standardised_head(faces: Faces, shape: HeadShape, tuning: Tuning) -> CrossAttention:
    """A head that knows the means and spreads of these faces and nothing else: it looks everywhere alike."""
    head = CrossAttention(shape)
    torch.nn.init.zeros_(head.query.weight)
    torch.nn.init.zeros_(head.query.bias)
    words = faces.tokens[faces.weights > 0]
    pairs = mirror(tuning.columns, shape.patches)
    centre, variance = faces.patches.mean(0), faces.patches.var(0)
    head.patch_centre.copy_((centre + centre[pairs]) / 2)
    head.patch_scale.copy_(((variance + variance[pairs]) / 2).sqrt() + FLAT)
    head.token_centre.copy_(words.mean(0))
    head.token_scale.copy_(words.std(0) + FLAT)
    return head


def _initialise(head: CrossAttention, generator: torch.Generator) -> None:
    for weight in (head.query.weight, head.key.weight):
        torch.nn.init.normal_(weight, std=weight.shape[1] ** -0.5, generator=generator)
    torch.nn.init.zeros_(head.query.bias)
    torch.nn.init.normal_(head.key_position, std=0.5, generator=generator)


def _teach_places(head: CrossAttention, faces: Faces, tuning: Tuning, generator: torch.Generator) -> None:
    """Train queries and keys so that the heads together, on average, look where each token's place is."""
    looking = [head.query.weight, head.query.bias, head.key.weight, head.key_position]
    optimiser = torch.optim.AdamW(looking, lr=tuning.learning_rate, weight_decay=tuning.weight_decay)
    for _ in range(tuning.steps):
        rows = torch.randint(len(faces), (tuning.faces_per_step, 1), generator=generator)
        weights = faces.weights[rows[:, 0]]
        chosen = torch.multinomial(weights, tuning.tokens_per_step, replacement=True, generator=generator)
        looks = head.attend(faces.patches[rows[:, 0]], faces.tokens[rows, chosen]).mean(1)
        loss = -(faces.places[rows, chosen] * looks.clamp_min(1e-9).log()).sum(2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def _set_values(head: CrossAttention, faces: Faces, weighted: Tensor, usual: Tensor, tuning: Tuning) -> None:
    """Set `value` and `value_bias` from the dual solution; `weighted` (N, H, P): relative looks times dual weights."""
    scale = 1 / (usual * len(usual) * head.shape.heads)
    pairs = mirror(tuning.columns, len(usual))
    values = torch.einsum("nhp,npd->hpd", weighted, head.standardised(faces.patches)) / head.shape.patch_width
    biases = weighted.sum(0) * tuning.bias_weight
    head.value.copy_((values + values[:, pairs]) * scale[:, None])
    head.value_bias.copy_((biases + biases[:, pairs]) * scale)


@torch.no_grad()
def looks_of(head: CrossAttention, faces: Faces) -> Tensor:
    """Attention averaged over each face's words, (N, H, P)."""
    return torch.cat(
        [torch.einsum("nhtp,nt->nhp", head.attend(p.patches, p.tokens), p.weights) for p in faces.pieces()]
    )


@torch.no_grad()
def kernel(head: CrossAttention, faces: Faces, relative: Tensor, tuning: Tuning) -> Tensor:
    """How alike two faces are where both are looked at, (N, N); `relative` looks (N, H, P).

    A region is held against itself and against its mirror image. Scaled so that looking as usual everywhere gives the
    mean over regions of the patches' likeness.
    """
    total = torch.zeros(len(faces), len(faces))
    regions, looks = head.standardised(faces.patches), relative
    for region, other in enumerate(mirror(tuning.columns, regions.shape[1]).tolist()):
        for against in (region, other):
            likeness = regions[:, region] @ regions[:, against].T / head.shape.patch_width + tuning.bias_weight
            total += (looks[:, :, region] @ looks[:, :, against].T) * likeness
    return total / (regions.shape[1] * head.shape.heads)
