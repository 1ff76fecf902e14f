"""Several heads, each fitted without another part of the faces: their mean is the score, their spread a doubt."""

import numpy as np
import torch
from torch import Tensor, nn

from services.training.fitting import Faces, Tuning, fit, predict
from services.training.folds import all_but, folds
from shared.memorability.cross_attention import HeadShape


class Ensemble(nn.ModuleList):
    """Fitted heads. Their names in the state are those a bundle has them under."""

    def scores(self, faces: Faces) -> tuple[np.ndarray, np.ndarray]:
        """Score 0..1 and standard deviation of the members' scores, float64 (N,) each, as the scorer computes them."""
        logits = torch.stack([predict(head, faces) for head in self]).double()
        return torch.sigmoid(logits.mean(0)).numpy(), torch.sigmoid(logits).std(0, correction=0).numpy()


def fit_ensemble(faces: Faces, targets: Tensor, shape: HeadShape, tuning: Tuning, members: int, seed: int) -> Ensemble:
    """Fit `members` heads; each leaves out another of as many parts of the faces, and starts from another seed."""
    heads = []
    for number, part in enumerate(folds(len(faces), members, seed)):
        kept = torch.from_numpy(all_but(len(faces), part))
        heads.append(fit(faces[kept], targets[kept], shape, tuning, seed + number))
    return Ensemble(heads)
