"""Several heads, each fitted without another part of the faces: their mean is the score, their spread a doubt."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from services.training.fitting import Faces, Tuning, fit, predict
from services.training.folds import folds
from shared.memorability.cross_attention import CrossAttention, HeadShape


@dataclass(frozen=True)
class Ensemble:
    """Fitted heads, the members."""

    heads: list[CrossAttention]

    def scores(self, faces: Faces) -> tuple[np.ndarray, np.ndarray]:
        """Score 0..1 and standard deviation of the members' scores, float64 (N,) each, as the scorer computes them."""
        logits = torch.stack([predict(head, faces) for head in self.heads]).double()
        return torch.sigmoid(logits.mean(0)).numpy(), torch.sigmoid(logits).std(0, correction=0).numpy()

    def weights(self) -> dict[str, Tensor]:
        """The tensors of all members, named as a bundle names them."""
        return nn.ModuleList(self.heads).state_dict()


def fit_ensemble(faces: Faces, targets: Tensor, shape: HeadShape, tuning: Tuning, members: int, seed: int) -> Ensemble:
    """`members` heads; each was fitted without another of as many parts of the faces."""
    return Ensemble(fit(faces, targets, folds(len(faces), members, seed), shape, tuning, seed))
