"""Scores of faces that were held out: by repeated k-fold cross-validation, and by the seed's own split."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from services.training.ensemble import Ensemble
from services.training.faces import Progress
from services.training.fits import Fit, Wanted
from services.training.fitting import Faces
from services.training.folds import all_but, folds
from shared.memorability.cross_attention import HeadShape

DECIMALS = 6  # of held-out scores: the card is computed from what is kept, so that it can be found again exactly
SEED_OF_SEED = 1997  # of the split that the seed's authors took
TENTH = 10


@dataclass(frozen=True)
class Plan:
    """Which faces are held out when. The folds of a repeat are drawn with `fold_seed` plus its number."""

    folds: int
    repeats: int
    fold_seed: int
    members: int
    seed: int

    def parts(self, count: int) -> list[list[np.ndarray]]:
        """For each repeat the folds of `count` faces."""
        return [folds(count, self.folds, self.fold_seed + repeat) for repeat in range(self.repeats)]


@dataclass(frozen=True)
class HeldOut:
    """What faces scored while they were held out.

    `scores` and `spreads` (R, N): in each repeat the score, and the members' standard deviation, of an ensemble fitted
    without the face's fold. `seed_scores` (N,) is nan for all faces but the test tenth of the seed's protocol, or None.
    """

    scores: np.ndarray
    spreads: np.ndarray
    seed_scores: np.ndarray | None = None


@dataclass(frozen=True)
class SeedSplit:
    """80, 10 and 10 per cent of the faces: indices."""

    training: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def seed_split(count: int) -> SeedSplit:
    """The seed's proportions, drawn with its number. Not its very faces: how it drew them is not published."""
    order = np.random.default_rng(SEED_OF_SEED).permutation(count)
    tenth = count // TENTH
    return SeedSplit(*(np.sort(part) for part in (order[2 * tenth :], order[:tenth], order[tenth : 2 * tenth])))


@dataclass(frozen=True)
class Trial:
    """Everything that is fitted to one data set, at one time, so that it can be spread over devices."""

    faces: Faces
    rates: Tensor
    fit: Fit
    plan: Plan
    shape: HeadShape
    work: Path
    progress: Progress

    def held_out(self, with_seed: bool) -> HeldOut:
        """Scores of held-out faces; `with_seed` those of the seed's protocol too."""
        return self._held_out(self._fit(self._cross_validation() + self._seed(with_seed)), with_seed)

    def held_out_and_final(self, with_seed: bool) -> tuple[HeldOut, Ensemble]:
        """The same, and the ensemble fitted to all faces."""
        everyone = Wanted(np.arange(len(self.faces)), self.plan.members, self.plan.seed)
        *ensembles, final = self._fit([*self._cross_validation(), *self._seed(with_seed), everyone])
        return self._held_out(ensembles, with_seed), final

    def _fit(self, wanted: list[Wanted]) -> list[Ensemble]:
        return self.fit(self.faces, self.rates, wanted, self.shape, self.work, self.progress)

    def _cross_validation(self) -> list[Wanted]:
        count = len(self.faces)
        parts = [part for repeat in self.plan.parts(count) for part in repeat]
        return [Wanted(all_but(count, part), self.plan.members, self.plan.seed) for part in parts]

    def _seed(self, with_seed: bool) -> list[Wanted]:
        split = seed_split(len(self.faces))
        return [Wanted(split.training, self.plan.members, SEED_OF_SEED, split.validation)] if with_seed else []

    def _held_out(self, ensembles: list[Ensemble], with_seed: bool) -> HeldOut:
        count, left = len(self.faces), iter(ensembles)
        scores, spreads = np.zeros((2, self.plan.repeats, count))
        for repeat, parts in enumerate(self.plan.parts(count)):
            for part in parts:
                scores[repeat, part], spreads[repeat, part] = next(left).scores(self.faces[torch.from_numpy(part)])
        if not with_seed:
            return HeldOut(scores.round(DECIMALS), spreads.round(DECIMALS))
        test, seed_scores = seed_split(count).test, np.full(count, np.nan)
        seed_scores[test] = next(left).scores(self.faces[torch.from_numpy(test)])[0].round(DECIMALS)
        return HeldOut(scores.round(DECIMALS), spreads.round(DECIMALS), seed_scores)
