"""Writes a bundle folder, and reads the held-out scores in it: see shared/memorability/catalogue.py for the rest."""

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from safetensors.torch import save
from torch import Tensor

from services.training.card_page import as_markdown
from services.training.protocol import HeldOut
from shared.errors import BundleInvalid
from shared.memorability.catalogue import (
    ABLATIONS,
    CARD,
    CARD_FOR_PEOPLE,
    CONFIG,
    FORMAT,
    OUT_OF_FOLD,
    PINNABLE,
    WEIGHTS,
    BundleFacts,
    find,
)


def write(
    folder: Path,
    config: dict[str, Any],
    weights: dict[str, Tensor],
    card: dict[str, Any],
    held_out: dict[str, Any],
    variants: dict[str, np.ndarray],
    files: dict[str, bytes],
) -> BundleFacts:
    """Write a bundle and read it back, verified. Nothing of a bundle that was in `folder` before is left.

    `held_out` is what `entries` made, `variants` what `ablations` found for the same images, in the same order; `files`
    are further files by name. The config that is written pins every file. Raises BundleInvalid as `check_place` does.
    """
    folder = folder.resolve()
    check_place(folder)
    contents = {
        WEIGHTS: save({name: tensor.contiguous() for name, tensor in weights.items()}),
        CARD: _json(card),
        CARD_FOR_PEOPLE: as_markdown(card).encode(),
        OUT_OF_FOLD: _json(held_out),
        **files,
    }
    if variants:
        contents[ABLATIONS] = json.dumps({name: scores.tolist() for name, scores in variants.items()}).encode() + b"\n"
    pins = {name: sha256(content).hexdigest() for name, content in contents.items()}
    contents[CONFIG] = _json({"format": FORMAT, **config, "files": pins})
    _swap_in(folder, contents)
    return find(folder)


def check_place(folder: Path) -> None:
    """Raises BundleInvalid if a bundle cannot be written there, because there is something else that would be lost."""
    if not folder.exists():
        return
    others = {path.name for path in folder.iterdir()} - {CONFIG, *PINNABLE} if folder.is_dir() else {folder.name}
    if others:
        raise BundleInvalid(f"'{folder}' holds {min(others)}, which is no part of a bundle; choose another folder")


def _swap_in(folder: Path, contents: dict[str, bytes]) -> None:
    """Write the files into a hidden folder beside `folder`, in their order, and only then put that in its place.

    Whatever breaks before, the old bundle stays as it is.
    """
    draft, old = (folder.with_name(f".{folder.name}.{uuid4().hex}.{kind}") for kind in ("new", "old"))
    draft.mkdir(parents=True)
    try:
        for name, content in contents.items():
            (draft / name).write_bytes(content)
        find(draft)
        if folder.exists():
            folder.rename(old)
        try:
            draft.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


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


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
