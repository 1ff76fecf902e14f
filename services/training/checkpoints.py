"""Heads on the disk while they are fitted, so that a training that was killed goes on where it was.

Safetensors with a JSON header, never a pickle. A file is written beside its place and then put there at once: whatever
kills the process leaves the old one or the new one.
"""

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from services.training.fitting import Faces
from services.training.gradient import GradientTuning, Run, Task
from services.training.whole_files import put
from shared.memorability.cross_attention import CrossAttention, HeadShape

# Raise it when the same task no longer gives the same head: a change to `gradient`, to the head itself, to what `Faces`
# are made of that does not show in its tensors, or to what a checkpoint holds.
HEADS_VERSION = 1
HEAD, BEST, OPTIMISER, GENERATOR = "head.", "best.", "optimiser.", "generator"
EVERY_SECONDS = 20.0  # between two checkpoints of a running head; a killed training loses at most so much of each


class Checkpoints:
    """The heads of one training, in a folder."""

    def __init__(self, folder: Path, every_seconds: float = EVERY_SECONDS) -> None:
        self._folder, self._every_seconds = folder, every_seconds
        folder.mkdir(parents=True, exist_ok=True)

    def finished(self, task: Task, shape: HeadShape) -> CrossAttention | None:
        """The head of a task that ran through, or None."""
        read = _read(self._finished(task))
        if read is None:
            return None
        head = CrossAttention(shape)
        head.load_state_dict(read[0])
        return head.eval().requires_grad_(False)

    def keep(self, task: Task, head: CrossAttention) -> None:
        """Keep a finished head; its checkpoint is no longer needed."""
        _write(self._finished(task), head.state_dict(), {})
        self._running(task).unlink(missing_ok=True)

    def resume(self, task: Task, run: Run) -> None:
        """Set a run that has just begun to where its last checkpoint was, if there is one."""
        read = _read(self._running(task))
        if read is None:
            return
        tensors, facts = read
        run.head.load_state_dict(_under(HEAD, tensors))
        run.best = _under(BEST, tensors)
        run.generator.set_state(tensors[GENERATOR])
        run.optimiser.load_state_dict(
            {"state": _by_parameter(tensors), "param_groups": run.optimiser.state_dict()["param_groups"]}
        )
        run.epoch, run.best_epoch, run.best_loss = facts["epoch"], facts["best_epoch"], facts["best_loss"]

    def saver(self, task: Task) -> "Saver":
        """What keeps a running head, now and then."""
        return Saver(self._running(task), self._every_seconds)

    def _finished(self, task: Task) -> Path:
        return self._folder / f"{key_of(task)}.safetensors"

    def _running(self, task: Task) -> Path:
        return self._folder / f"{key_of(task)}.running.safetensors"


class Saver:
    """Writes checkpoints of one run, at most one in so many seconds."""

    def __init__(self, path: Path, every_seconds: float) -> None:
        self._path, self._every_seconds, self._last = path, every_seconds, monotonic()

    def __call__(self, run: Run) -> None:
        if monotonic() - self._last < self._every_seconds:
            return
        tensors = {f"{HEAD}{name}": tensor for name, tensor in run.head.state_dict().items()}
        tensors |= {f"{BEST}{name}": tensor for name, tensor in run.best.items()}
        for number, state in run.optimiser.state_dict()["state"].items():
            tensors |= {f"{OPTIMISER}{number}.{name}": tensor for name, tensor in state.items()}
        tensors[GENERATOR] = run.generator.get_state()
        facts = {"epoch": run.epoch, "best_epoch": run.best_epoch, "best_loss": run.best_loss}
        _write(self._path, tensors, facts)
        self._last = monotonic()


def key_of(task: Task) -> str:
    """The same for the same task."""
    digest = sha256(f"{task.seed} {len(task.rows)}".encode())
    for rows in (task.rows, task.validation):
        digest.update(np.ascontiguousarray(rows, dtype=np.int64).tobytes())
    return digest.hexdigest()[:16]


def key_of_all(faces: Faces, rates: Tensor, shape: HeadShape, tuning: GradientTuning, device: str) -> str:
    """The same for all heads of one training: what they are fitted to, and everything that says how."""
    facts = [HEADS_VERSION, asdict(shape), asdict(tuning), device, torch.__version__]
    digest = sha256(json.dumps(facts).encode())
    for tensor in (faces.patches, faces.tokens, faces.weights, rates):
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()[:16]


def _write(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    put(path, lambda unfinished: save_file(tensors, unfinished, metadata={"facts": json.dumps(facts)}))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors and facts; None if there is no such file, or a damaged one."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["facts"])  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _by_parameter(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """The optimiser's state as it hands it out: by the number of a parameter, then by name."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under(OPTIMISER, tensors).items():
        number, _, part = name.partition(".")
        state.setdefault(int(number), {})[part] = tensor
    return state
