"""Writes a bundle folder: see shared/memorability/catalogue.py for what it holds."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from services.training.card import as_markdown
from shared.memorability.catalogue import CARD, CONFIG, FORMAT, WEIGHTS, BundleFacts, find

OUT_OF_FOLD = "out_of_fold.json"


def write(
    folder: Path, config: dict[str, Any], weights: dict[str, Tensor], card: dict[str, Any], held_out: dict[str, Any]
) -> BundleFacts:
    """Write a bundle and read it back, verified.

    `held_out` is, by image, the score and the members' spread when that face was held out; `evaluate` works from it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = save({name: tensor.contiguous() for name, tensor in weights.items()})
    pinned = {"format": FORMAT, **config, "weights_sha256": sha256(content).hexdigest()}
    (folder / WEIGHTS).write_bytes(content)
    (folder / CONFIG).write_text(_json(pinned), encoding="utf-8")
    (folder / CARD).write_text(_json(card), encoding="utf-8")
    (folder / "card.md").write_text(as_markdown(card), encoding="utf-8")
    (folder / OUT_OF_FOLD).write_text(_json(held_out), encoding="utf-8")
    return find(folder.resolve())


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
