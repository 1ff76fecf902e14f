"""The gradient trainer finds what is planted, gives the same head again, and goes on where it was killed."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
import torch

from services.training import checkpoints, devices
from services.training.ensemble import Ensemble
from services.training.fits import ByGradient, Wanted
from services.training.fitting import Faces
from services.training.gradient import GradientTuning, Task, fit_head
from services.training.measures import spearman
from shared.memorability.cross_attention import HeadShape

ROOT = Path(__file__).parents[2]
SHAPE = HeadShape(patches=9, patch_width=24, token_width=12, heads=2, key_width=6, regions_read_alike=True)
TUNING = GradientTuning(epochs=30, patience=30, learning_rate=1e-2, batch=32)
WANTED = [Wanted(np.arange(160), 2, 0), Wanted(np.arange(120), 2, 5, np.arange(120, 160))]


def silent(_what: str, _share: float) -> None:
    """Progress that nobody watches."""


def made_up(count: int) -> tuple[Faces, torch.Tensor]:
    """Faces whose rate follows one number of the patches that their words point at."""
    generator = torch.Generator().manual_seed(5)
    patches, tokens = torch.randn(count, 9, 24, generator=generator), torch.randn(count, 6, 12, generator=generator)
    weights = torch.full((count, 6), 1 / 6)
    weights[::3, :3], weights[::3, 3:] = 1 / 3, 0.0
    rates = torch.sigmoid(3 * patches[:, :, 4].mean(1))
    return Faces(patches, tokens, weights, torch.zeros(count, 6, 9)), rates


def fitted(work: Path, tuning: GradientTuning = TUNING) -> list[dict[str, torch.Tensor]]:
    faces, rates = made_up(200)
    ensembles = ByGradient(tuning, 0.0)(faces, rates, WANTED, SHAPE, work, silent)
    return [ensemble.weights() for ensemble in ensembles]


def same(one: list[dict[str, torch.Tensor]], other: list[dict[str, torch.Tensor]]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a) for a, b in pairs)


def test_a_planted_signal_is_found(tmp_path: Path) -> None:
    faces, rates = made_up(200)
    several, single = ByGradient(TUNING)(faces, rates, WANTED, SHAPE, tmp_path, silent)
    scores, spreads = several.scores(faces[torch.arange(160, 200)])
    assert spearman(scores, rates[160:].numpy()) > 0.7
    assert (spreads > 0).all()
    assert len(single.heads) == 1


def test_the_same_seeds_give_the_same_heads(tmp_path: Path) -> None:
    assert same(fitted(tmp_path / "a"), fitted(tmp_path / "b"))


def test_regions_read_alike_are_standardised_alike(tmp_path: Path) -> None:
    first = fitted(tmp_path, replace(TUNING, epochs=1))[0]
    assert first["0.value"].shape == (2, 1, 24)
    assert torch.equal(first["0.patch_centre"], first["0.patch_centre"][:1].expand(9, 24))


def test_training_stops_when_nothing_gets_better() -> None:
    faces, _ = made_up(200)
    noise = torch.rand(200, generator=torch.Generator().manual_seed(1))
    best: list[int] = []  # the best epoch so far, after each epoch
    tuning = replace(TUNING, epochs=400, patience=3)
    task = Task(np.arange(120), np.arange(120, 160), 5)
    head = fit_head(faces, noise, task, SHAPE, tuning, lambda run: best.append(run.best_epoch))
    assert len(best) - 1 - best[-1] == 3  # as long as patience lasts, and no longer
    assert len(best) < 100
    scores, _ = Ensemble([head]).scores(faces)
    assert scores.std() < 0.1  # the best weights are early ones, which say the mean of everybody


def test_training_goes_on_while_it_gets_better() -> None:
    faces, rates = made_up(200)
    best: list[int] = []
    tuning = replace(TUNING, epochs=12, patience=3)
    task = Task(np.arange(160), np.arange(160, 200), 0)
    fit_head(faces, rates, task, SHAPE, tuning, lambda run: best.append(run.best_epoch))
    assert len(best) == 12


def test_heads_of_another_version_of_the_code_are_fitted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = replace(TUNING, epochs=1)
    fitted(tmp_path, quick)
    monkeypatch.setattr(checkpoints, "HEADS_VERSION", checkpoints.HEADS_VERSION + 1)
    fitted(tmp_path, quick)
    assert len(list(tmp_path.iterdir())) == 2


def test_finished_heads_are_not_fitted_again(tmp_path: Path) -> None:
    first = fitted(tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert len(files) == 3
    assert not list(tmp_path.rglob("*.running.*"))
    assert same(fitted(tmp_path), first)
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_other_numbers_are_other_heads(tmp_path: Path) -> None:
    assert not same(fitted(tmp_path), fitted(tmp_path, replace(TUNING, epochs=3)))


def test_a_killed_training_ends_as_one_that_ran_through(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from tests.unit.test_training_gradient import fitted; import sys, torch;"
        "torch.set_num_threads(int(sys.argv[2])); fitted(Path(sys.argv[1]))"
    )
    work = tmp_path / "killed"
    command = [sys.executable, "-c", code, str(work), str(torch.get_num_threads())]
    child = subprocess.Popen(command, cwd=ROOT)
    deadline = monotonic() + 60
    while not list(work.rglob("*.running.safetensors")) and child.poll() is None and monotonic() < deadline:
        sleep(0.002)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL  # it was killed in the middle, not finished before
    running = list(work.rglob("*.running.safetensors"))
    assert running
    assert same(fitted(work), fitted(tmp_path / "through"))


def test_an_error_on_a_device_is_raised_to_the_caller() -> None:
    def prepare(_device: torch.device) -> "type[int]":
        return int

    cpu = [torch.device("cpu")] * 2
    assert devices.spread(["1", "2", "3"], cpu, prepare, lambda _: None) == [1, 2, 3]
    with pytest.raises(ValueError, match="nonsense"):
        devices.spread(["1", "nonsense"], cpu, prepare, lambda _: None)
