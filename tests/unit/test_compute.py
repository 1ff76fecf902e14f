"""What a process computes with, and that engines and number formats agree."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr

from shared import compute
from shared.captions.describer import describe
from shared.compute import PLAIN, Compute
from shared.errors import SettingsInvalid
from shared.faces.finder import FaceFinder
from shared.images.crop import crop_face, to_crop
from shared.memorability.catalogue import find
from shared.memorability.encoders import Encoders
from shared.memorability.scorer import Scorer
from tests.photographs import ASTRONAUT, HOPPER

LIGHTS = (0.6, 0.8, 1, 1.2)
DRIFT = 0.005  # of a score; `python -m benchmarks.networks` finds less than a fifth of it


def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Compute.chosen("cpu")
    assert chosen.engine == "openvino"
    monkeypatch.setattr(compute, "find_spec", lambda _: None)
    assert Compute.chosen("cpu").engine == "torch"
    monkeypatch.setattr(compute, "_cpu_has_bfloat16", lambda: False)
    assert Compute.chosen("cpu").dtype == torch.float32
    monkeypatch.setattr(compute, "_cpu_has_bfloat16", lambda: True)
    assert Compute.chosen("cpu").dtype == torch.bfloat16
    assert Compute.chosen("cpu", precision="float32").dtype == torch.float32


def test_what_cannot_be_had_is_refused_with_the_setting_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsInvalid, match="FACEMEM_DEVICE"):
        Compute.chosen("cuda", "openvino")
    monkeypatch.setattr(compute, "find_spec", lambda _: None)
    with pytest.raises(SettingsInvalid, match="FACEMEM_ENGINE"):
        Compute.chosen("cpu", "openvino")


def test_it_says_what_results_depend_on() -> None:
    assert PLAIN.finding == f"torch {torch.__version__.partition('+')[0]} float32 on cpu"
    assert Compute.chosen("cpu", "openvino").finding.startswith("openvino ")
    assert "bfloat16" in Compute.chosen("cpu", precision="bfloat16").encoding


def variants(path: object) -> list[np.ndarray]:
    """A portrait in many lights and sizes, and its mirror image."""
    whole = Image.open(str(path)).convert("RGB")
    sizes = [whole.resize((whole.width * share // 100, whole.height * share // 100)) for share in (60, 80, 100)]
    lit = [Image.eval(each, lambda value, by=by: min(255, int(value * by))) for each in sizes for by in LIGHTS]
    return [np.asarray(each) for each in lit] + [np.asarray(each)[:, ::-1].copy() for each in lit]


def test_openvino_finds_the_same_faces_as_torch() -> None:
    photographs = variants(HOPPER) + variants(ASTRONAUT)
    torchs = FaceFinder(PLAIN, 40, 0.95).find(photographs)
    openvinos = FaceFinder(Compute.chosen("cpu", "openvino"), 40, 0.95).find(photographs)
    for ours, theirs in zip(openvinos, torchs, strict=True):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert np.allclose(one.box, other.box, atol=0.05)
            assert np.allclose(one.landmarks, other.landmarks, atol=0.05)
            assert one.confidence == pytest.approx(other.confidence, abs=1e-4)


def test_bfloat16_gives_the_same_scores_but_for_rounding() -> None:
    finder = FaceFinder(Compute.chosen("cpu"), 40, 0.9)
    crops, captions = [], []
    for pixels in variants(HOPPER) + variants(ASTRONAUT):
        for face in finder.find([pixels])[0][:1]:
            crop = crop_face(pixels, face.box, margin=0.25)
            crops.append(crop.pixels)
            captions.append(describe(crop.pixels, to_crop(face.landmarks, crop.box)))
    assert len(crops) > 40
    bundle = find("compact")
    scorer = Scorer(bundle)
    plain, rounded = (
        [face.score for face in scorer.score(Encoders(bundle, chosen).encode(np.stack(crops), captions))]
        for chosen in (PLAIN, Compute.chosen("cpu", precision="bfloat16"))
    )
    assert np.abs(np.array(plain) - rounded).max() < DRIFT
    assert spearmanr(plain, rounded).statistic > 0.99
