"""Bundles: folders with a trained model. Reads and verifies them without torch.

A bundle holds `config.json` (its shape, its calibration and the SHA-256 of everything it needs), `weights.safetensors`
and `card.json`. Its digest is the SHA-256 of config.json; as that pins the weights, the digest pins the whole model.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from shared.errors import BundleInvalid

BUNDLES = Path(__file__).parent / "bundles"
CONFIG, WEIGHTS, CARD = "config.json", "weights.safetensors", "card.json"
FORMAT = 1  # of config.json; raised when an older reader would misread a newer bundle


@dataclass(frozen=True)
class BundleFacts:
    """What there is to know of a bundle without loading it. `digest` is 64 hexadecimal digits."""

    name: str
    digest: str
    path: Path
    config: dict[str, Any]
    card: dict[str, Any]

    @property
    def weights(self) -> Path:
        """The file of the weights, whose SHA-256 was verified when these facts were read."""
        return self.path / WEIGHTS


def shipped() -> list[BundleFacts]:
    """The bundles that came with facemem, by name. Raises BundleInvalid if one of them is damaged."""
    return [_read(folder) for folder in sorted(BUNDLES.iterdir()) if (folder / CONFIG).is_file()]


def find(name_or_path: str | Path, digest: str | None = None) -> BundleFacts:
    """The shipped bundle of that name, or the one in that folder, verified.

    Raises BundleInvalid if there is none, if a file is missing or damaged, or if it has not the `digest` asked for.
    """
    folder = BUNDLES / name_or_path
    if not (folder / CONFIG).is_file():  # an absolute path replaces BUNDLES in the line above, a relative one does not
        folder = Path(name_or_path)
    if not (folder / CONFIG).is_file():
        raise BundleInvalid(f"there is no bundle called '{name_or_path}', and no folder of that name holds one")
    facts = _read(folder)
    if digest is not None and digest != facts.digest:
        raise BundleInvalid(f"bundle '{facts.name}' has digest {facts.digest}, but {digest} was asked for")
    return facts


def _read(folder: Path) -> BundleFacts:
    try:
        config_bytes = (folder / CONFIG).read_bytes()
        config, card = (
            json.loads(config_bytes),
            json.loads((folder / CARD).read_bytes()),
        )
        name, form, expected = (
            config["name"],
            config["format"],
            config["weights_sha256"],
        )
        weights_digest = _file_sha256(folder / WEIGHTS, (folder / WEIGHTS).stat().st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleInvalid(f"the bundle in '{folder}' cannot be read: {error}") from error
    if form != FORMAT:
        raise BundleInvalid(f"bundle '{name}' has format {form}; this version of facemem reads format {FORMAT}")
    if weights_digest != expected:
        raise BundleInvalid(f"the weights of bundle '{name}' are damaged or were replaced: SHA-256 is {weights_digest}")
    return BundleFacts(name, sha256(config_bytes).hexdigest(), folder, config, card)


@lru_cache(maxsize=32)
def _file_sha256(path: Path, _modified: int) -> str:
    """Hashing a file again only once it was modified: the API asks on every listing."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
