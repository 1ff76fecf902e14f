"""Bundles that are made of the shipped one, for tests that need a second."""

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

from shared.memorability.catalogue import CARD, CONFIG, WEIGHTS, BundleFacts, find


def retuned(folder: Path, name: str = "retuned", constant: float = 1.0) -> BundleFacts:
    """A copy of compact in `folder` whose every member adds `constant` to the logit, with a digest of its own."""
    from safetensors.numpy import load_file, save

    shutil.copytree(find("compact").path, folder)
    weights = {key: value.copy() for key, value in load_file(folder / WEIGHTS).items()}
    for key, value in weights.items():
        if key.endswith(".constant"):
            value += constant
    (folder / WEIGHTS).write_bytes(save(weights))
    change(folder / CARD, name=name)
    change(folder / CONFIG, name=name)
    pin(folder)
    return find(folder)


def change(file: Path, **fields: Any) -> None:
    """Write other values into a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def pin(folder: Path) -> None:
    """Let the config pin the files as they are: the folder then holds another bundle."""
    files = sorted(path for path in folder.iterdir() if path.name != CONFIG)
    change(folder / CONFIG, files={path.name: sha256(path.read_bytes()).hexdigest() for path in files})


def flip_a_byte(file: Path, place: int = -1) -> None:
    """Damage a file as a bad disk would."""
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
