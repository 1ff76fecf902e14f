"""Fits heads in two steps: where words look is taught by places, what is read there by ratings.

Where to look is learned from captions and landmarks alone (see `places`), by gradient descent on the cross-entropy.
With the attention fixed, the logit is linear in `value`, so the best `value` under a ridge penalty is the solution of
one linear system; the penalty is the one with the least leave-one-out error on the training faces, which has a closed
form too (Allen 1974, PRESS). Teaching the attention by ratings as well was tried: some hundred faces are too few for
that, see docs/model.md.
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
    taught = _taught(faces, shape, tuning, seed)
    heads = []
    with torch.no_grad():
        looks = _looks(taught, faces)
        kernel = _kernel(taught, faces, looks, tuning)
        for part in parts:
            kept = torch.from_numpy(all_but(len(faces), part))
            head = deepcopy(taught)
            _solve_values(head, faces[kept], targets[kept], looks[kept], kernel[kept][:, kept], tuning)
            heads.append(head.eval())
    return heads


def predict(head: CrossAttention, faces: Faces) -> Tensor:
    """Logits (N,)."""
    with torch.inference_mode():
        return torch.cat([head(piece.patches, piece.tokens, piece.weights).logits for piece in faces.pieces()])


def left_out_errors(eigenvalues: Tensor, eigenvectors: Tensor, centred: Tensor, penalty: float) -> Tensor:
    """What kernel ridge regression misses each target by when that face is left out: (N,), in closed form.

    `eigenvalues` (N,) and `eigenvectors` (N, N) are the kernel's, `centred` (N,) the targets less their mean.
    """
    shrunk = 1 / (eigenvalues + penalty)
    return (eigenvectors @ (shrunk * (eigenvectors.T @ centred))) / (eigenvectors.square() @ shrunk)


def _taught(faces: Faces, shape: HeadShape, tuning: Tuning, seed: int) -> CrossAttention:
    """A head whose tokens look at their places and read nothing yet."""
    generator = torch.Generator().manual_seed(seed)
    head = CrossAttention(shape)
    _standardise(head, faces)
    _initialise(head, generator)
    _teach_places(head, faces, tuning, generator)
    return head


def _standardise(head: CrossAttention, faces: Faces) -> None:
    words = faces.tokens[faces.weights > 0]
    head.patch_centre.copy_(faces.patches.mean(0))
    head.patch_scale.copy_(faces.patches.std(0) + FLAT)
    head.token_centre.copy_(words.mean(0))
    head.token_scale.copy_(words.std(0) + FLAT)


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


def _solve_values(
    head: CrossAttention, faces: Faces, targets: Tensor, looks: Tensor, kernel: Tensor, tuning: Tuning
) -> None:
    """Set `value`, `value_bias` and `constant` to the ridge solution, by way of the dual one: a weight per face."""
    centred = (targets - targets.mean()).double()
    values, vectors = torch.linalg.eigh(kernel.double())
    missed = [float(left_out_errors(values, vectors, centred, penalty).square().mean()) for penalty in PENALTIES]
    penalty = PENALTIES[missed.index(min(missed))]
    dual = (vectors @ ((vectors.T @ centred) / (values + penalty))).float()
    weighted = looks * dual[:, None, None] * (head.shape.patches / head.shape.heads)
    head.value.copy_(torch.einsum("nhp,npd->hpd", weighted, head.standardised(faces.patches)) / head.shape.patch_width)
    head.value_bias.copy_(weighted.sum(0) * tuning.bias_weight)
    head.constant.copy_(targets.mean())


def _looks(head: CrossAttention, faces: Faces) -> Tensor:
    """Attention averaged over each face's words, (N, H, P)."""
    return torch.cat(
        [torch.einsum("nhtp,nt->nhp", head.attend(p.patches, p.tokens), p.weights) for p in faces.pieces()]
    )


def _kernel(head: CrossAttention, faces: Faces, looks: Tensor, tuning: Tuning) -> Tensor:
    """How alike two faces are where both are looked at, (N, N); `looks` (N, H, P).

    Scaled so that looking everywhere alike gives the mean over regions of the patches' likeness.
    """
    kernel = torch.zeros(len(faces), len(faces))
    regions = head.standardised(faces.patches).unbind(1)
    for region, look in zip(regions, looks.unbind(2), strict=True):  # (N, Dv) and (N, H)
        kernel += (look @ look.T) * (region @ region.T / head.shape.patch_width + tuning.bias_weight)
    return kernel * (head.shape.patches / head.shape.heads)
