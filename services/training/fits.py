"""The two ways to fit ensembles, in one form.

Faces and their rates, float64 (N,), 0..1, go in; one ensemble comes out for each that is wanted, in order. The same
seeds give the same ensembles on the same machine. `validation` says what becomes of faces named for early stopping, as
words that go after "the validation tenth".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from services.training.checkpoints import EVERY_SECONDS, Checkpoints, key_of_all
from services.training.devices import devices, spread
from services.training.ensemble import Ensemble, fit_ensemble
from services.training.faces import Progress
from services.training.fitting import Faces, Tuning
from services.training.folds import all_but, folds
from services.training.gradient import GradientTuning, Task, go_on, start
from services.training.targets import logits
from shared.memorability.cross_attention import CrossAttention, HeadShape

DOING = "fitting heads"


@dataclass(frozen=True)
class Wanted:
    """An ensemble of `members` heads fitted to the faces in `rows`.

    Each member leaves out another part of them. Where `stop_by` names faces for early stopping, a way to fit that stops
    early leaves nothing of `rows` out and gives one head; one that does not passes `stop_by` over.
    """

    rows: np.ndarray
    members: int
    seed: int
    stop_by: np.ndarray | None = None


@dataclass(frozen=True)
class ClosedForm:
    """Attention taught by places, values by ridge regression: see `fitting`. Seconds for each ensemble, on the CPU."""

    tuning: Tuning
    validation: ClassVar[str] = "left unused because nothing is stopped early"

    def tuned(self, numbers: dict[str, Any]) -> "ClosedForm":
        """The same with these numbers. Raises TypeError if they are not its."""
        return replace(self, tuning=Tuning(**numbers))

    def __call__(
        self, faces: Faces, rates: Tensor, wanted: Sequence[Wanted], shape: HeadShape, work: Path, progress: Progress
    ) -> list[Ensemble]:
        """The ensembles wanted. Nothing is kept in `work`."""
        targets, ensembles = torch.from_numpy(logits(rates.numpy())).float(), []
        for each in wanted:
            rows = torch.from_numpy(each.rows)
            ensembles.append(fit_ensemble(faces[rows], targets[rows], shape, self.tuning, each.members, each.seed))
            progress(DOING, len(ensembles) / len(wanted))
        return ensembles


@dataclass(frozen=True)
class ByGradient:
    """Everything by gradient descent with early stopping: see `gradient`. Heads are spread over all GPUs.

    Heads are kept in `work`, the running ones too, at most so many seconds old.
    """

    tuning: GradientTuning
    checkpoint_seconds: float = EVERY_SECONDS
    validation: ClassVar[str] = "used for early stopping"

    def tuned(self, numbers: dict[str, Any]) -> "ByGradient":
        """The same with these numbers. Raises TypeError if they are not its."""
        return replace(self, tuning=GradientTuning(**numbers))

    def __call__(
        self, faces: Faces, rates: Tensor, wanted: Sequence[Wanted], shape: HeadShape, work: Path, progress: Progress
    ) -> list[Ensemble]:
        """The ensembles wanted. What `work` has of an earlier run that was ended is taken from there."""
        tasks = [_tasks(each) for each in wanted]
        on = devices()
        key = key_of_all(faces, rates, shape, self.tuning, on[0].type)
        checkpoints = Checkpoints(work / f"heads-{key}", self.checkpoint_seconds)

        def prepare(device: torch.device) -> Callable[[Task], CrossAttention]:
            here: list[tuple[Faces, Tensor]] = []

            def fitted(task: Task) -> CrossAttention:
                kept = checkpoints.finished(task, shape)
                if kept is not None:
                    return kept
                if not here:
                    here.append((_on(device, faces), rates.float().to(device)))
                head = self._fitted(*here[0], task, shape, checkpoints)
                checkpoints.keep(task, head)
                return head

            return fitted

        flat = [task for each in tasks for task in each]
        heads = iter(spread(flat, on, prepare, lambda done: progress(DOING, done / len(flat))))
        return [Ensemble([next(heads) for _ in each]) for each in tasks]

    def _fitted(
        self, faces: Faces, rates: Tensor, task: Task, shape: HeadShape, checkpoints: Checkpoints
    ) -> CrossAttention:
        run = start(faces, rates, task, shape, self.tuning)
        checkpoints.resume(task, run)
        return go_on(run, faces, rates, task, self.tuning, checkpoints.saver(task))


Fit = ClosedForm | ByGradient


def _on(device: torch.device, faces: Faces) -> Faces:
    return Faces(*(part.to(device) for part in (faces.patches, faces.tokens, faces.weights, faces.places)))


def _tasks(wanted: Wanted) -> list[Task]:
    """The heads of an ensemble, each stopped by the faces that it leaves out."""
    if wanted.stop_by is not None:
        return [Task(wanted.rows, wanted.stop_by, wanted.seed)]
    count = len(wanted.rows)
    return [
        Task(wanted.rows[all_but(count, part)], wanted.rows[part], wanted.members * wanted.seed + member)
        for member, part in enumerate(folds(count, wanted.members, wanted.seed))
    ]
