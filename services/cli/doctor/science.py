"""What computes: torch, the face detector, the text encoder, the bundle. Together they score one portrait."""

import time
from functools import lru_cache
from importlib import import_module

import numpy as np
import torch

from services.cli.doctor.check import Missing
from services.local.bundles import in_use
from services.samples import HOPPER, packaged
from shared.captions.describer import describe
from shared.compute import Compute
from shared.faces.finder import FaceFinder, FoundFace
from shared.images.crop import crop_face, to_crop
from shared.memorability.encoders import Encoders, text_of
from shared.memorability.scorer import Scorer
from shared.memorability.verification import verify
from shared.settings import LocalSettings, Settings

SIDE = 512  # of the matrices that are multiplied


def device(configured: Settings) -> str:
    """The device of the settings multiplies two matrices."""
    compute = Compute.of(configured)
    name = compute.device.type
    ones = torch.ones(SIDE, SIDE, device=name)
    started = time.perf_counter()
    if float((ones @ ones).sum()) != float(SIDE**3):
        raise Missing(f"{name} multiplies wrongly")
    took = 1000 * (time.perf_counter() - started)
    model = torch.cuda.get_device_name() if name == "cuda" else f"{torch.get_num_threads()} threads"
    return f"torch {torch.__version__} on {name} ({model}), {took:.0f} ms for {SIDE} x {SIDE}"


def detector(configured: Settings) -> str:
    """It finds the one face of a portrait."""
    return f"MTCNN finds the face of the sample, confidence {_found(configured).confidence:.3f}"


def text_encoder(configured: Settings, local: LocalSettings) -> str:
    """Its weights are those that the bundle was trained with."""
    facts = in_use(local, configured.bundle_digest)
    text_of(facts, torch.device("cpu"))
    text = facts.config["text"]
    if text["network"] == "minilm-l6-v2":
        return f"MiniLM of {text['package']}, SHA-256 {text['weights_sha256'][:12]}"
    return f"{text['network']}, in bundle {facts.name} itself"


def bundle(configured: Settings, local: LocalSettings) -> str:
    """It is whole, and scores the portrait."""
    facts = in_use(local, configured.bundle_digest)
    face = _found(configured)
    crop = crop_face(_portrait(), face.box, margin=configured.crop_margin)
    caption = describe(crop.pixels, to_crop(face.landmarks, crop.box))
    states = Encoders(facts, Compute.of(configured)).encode(crop.pixels[None], [caption])
    [score] = Scorer(facts).score(states)
    return f"{facts.name} {facts.digest[:12]} scores the sample {score.score:.2f} ± {score.uncertainty:.2f}"


def bundle_files(configured: Settings, local: LocalSettings) -> str:
    """Everything of it that can be checked without computing: `facemem models verify`."""
    facts = in_use(local, configured.bundle_digest)
    found = verify(facts.path, facts.digest)
    wrong = [f"{check.name}: {check.found}" for check in found if not check.passed]
    if wrong:
        raise Missing(f"{facts.path}: {'; '.join(wrong)}")
    return f"{len(found)} checks of {facts.name} pass"


def openvino() -> str:
    """It imports, so faces are found with it."""
    found = import_module("openvino")
    return f"OpenVINO {str(found.__version__).partition('-')[0]}"


def _portrait() -> np.ndarray:
    return np.array(packaged(*HOPPER))


@lru_cache(maxsize=1)
def _found(configured: Settings) -> FoundFace:
    finder = FaceFinder(Compute.of(configured), configured.detection_min_face, configured.detection_threshold)
    [faces] = finder.find([_portrait()])
    if len(faces) != 1:
        raise Missing(f"MTCNN finds {len(faces)} faces in a portrait of one")
    return faces[0]
