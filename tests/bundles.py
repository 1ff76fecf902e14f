"""Bundles that are made of the shipped one, for tests that need a second."""

import json
import shutil
from pathlib import Path
from typing import Any

from shared.memorability.catalogue import CARD, CONFIG, WEIGHTS, BundleFacts, find


def retuned(folder: Path, name: str = "retuned", constant: float = 1.0) -> BundleFacts:
    """A copy of compact in `folder` whose every member adds `constant` to the logit, with a digest of its own."""
    from hashlib import sha256

    from safetensors.numpy import load_file, save

    shutil.copytree(find("compact").path, folder)
    weights = {key: value.copy() for key, value in load_file(folder / WEIGHTS).items()}
    for key, value in weights.items():
        if key.endswith(".constant"):
            value += constant
    content = save(weights)
    (folder / WEIGHTS).write_bytes(content)
    change(folder / CONFIG, name=name, weights_sha256=sha256(content).hexdigest())
    change(folder / CARD, name=name)
    return find(folder)


def change(file: Path, **fields: Any) -> None:
    """Write other values into a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def flip_a_byte(file: Path, place: int = -1) -> None:
    """Damage a file as a bad disk would."""
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
