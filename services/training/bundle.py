"""Writes a bundle folder, and reads the held-out scores in it: see shared/memorability/catalogue.py for the rest."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save
from torch import Tensor

from services.training.card_page import as_markdown
from services.training.protocol import HeldOut
from shared.errors import BundleInvalid
from shared.memorability.catalogue import CARD, CONFIG, FORMAT, WEIGHTS, BundleFacts, find
from shared.memorability.verification import ABLATIONS, CARD_FOR_PEOPLE, OUT_OF_FOLD


def write(
    folder: Path,
    config: dict[str, Any],
    weights: dict[str, Tensor],
    card: dict[str, Any],
    held_out: dict[str, Any],
    variants: dict[str, np.ndarray],
    files: dict[str, bytes],
) -> BundleFacts:
    """Write a bundle and read it back, verified.

    `held_out` is what `entries` made, `variants` what `ablations` found for the same images, in the same order; `files`
    are further files by name, which `config` pins.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = save({name: tensor.contiguous() for name, tensor in weights.items()})
    pinned = {"format": FORMAT, **config, "weights_sha256": sha256(content).hexdigest()}
    (folder / WEIGHTS).write_bytes(content)
    for name, further in files.items():
        (folder / name).write_bytes(further)
    (folder / CONFIG).write_text(_json(pinned), encoding="utf-8")
    (folder / CARD).write_text(_json(card), encoding="utf-8")
    (folder / CARD_FOR_PEOPLE).write_text(as_markdown(card), encoding="utf-8")
    (folder / OUT_OF_FOLD).write_text(_json(held_out), encoding="utf-8")
    if variants:
        columns = {name: scores.tolist() for name, scores in variants.items()}
        (folder / ABLATIONS).write_text(json.dumps(columns) + "\n", encoding="utf-8")
    return find(folder.resolve())


def entries(images: list[str], held_out: HeldOut) -> dict[str, Any]:
    """Held-out scores by image: `score` and `spread` of the first repeat, `again` of the others.

    `seed_score` stands where the face was in the test tenth of the seed's protocol.
    """
    written = {}
    for row, image in enumerate(images):
        scores, spreads = held_out.scores[:, row].tolist(), held_out.spreads[:, row].tolist()
        entry: dict[str, Any] = {"score": scores[0], "spread": spreads[0]}
        if len(scores) > 1:
            entry["again"] = [list(pair) for pair in zip(scores[1:], spreads[1:], strict=True)]
        if held_out.seed_scores is not None and not np.isnan(held_out.seed_scores[row]):
            entry["seed_score"] = float(held_out.seed_scores[row])
        written[image] = entry
    return written


def held_out_scores(bundle: BundleFacts) -> tuple[list[str], HeldOut]:
    """The inverse of `entries`. Raises BundleInvalid if the bundle has none."""
    try:
        read = json.loads((bundle.path / OUT_OF_FOLD).read_bytes())
        pairs = [[[entry["score"], entry["spread"]], *entry.get("again", [])] for entry in read.values()]
        scores, spreads = np.array(pairs, dtype=float).transpose(2, 1, 0)
        seed = np.array([entry.get("seed_score", np.nan) for entry in read.values()], dtype=float)
        return list(read), HeldOut(scores, spreads, None if np.isnan(seed).all() else seed)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleInvalid(f"bundle '{bundle.name}' has no held-out scores to evaluate: {error}") from error


def variant_scores(bundle: BundleFacts, faces: int) -> dict[str, np.ndarray]:
    """The scores (N,) of each variant that the bundle was held against; none if it was not taken apart.

    Raises BundleInvalid if they are not those of `faces` faces.
    """
    try:
        read = json.loads((bundle.path / ABLATIONS).read_bytes())
        variants = {name: np.array(scores, dtype=float) for name, scores in read.items()}
        if any(scores.shape != (faces,) for scores in variants.values()):
            raise ValueError(f"not one score for each of {faces} faces")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BundleInvalid(f"the {ABLATIONS} of bundle '{bundle.name}' cannot be read: {error}") from error
    return variants


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
