"""Bundles: folders with a trained model. Finds and reads them without torch.

A bundle holds `config.json` (its shape, its calibration and the SHA-256 of everything it needs), `weights.safetensors`
and `card.json`; one that brings its own text encoder also `tokenizer.json`. Its digest is the SHA-256 of config.json;
as that pins the other files, the digest pins the whole model. Several bundles may have the same name, so a name is for
people: what is stored and compared is the digest.
"""

import json
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from shared.errors import BundleAmbiguous, BundleInvalid

BUNDLES = Path(__file__).parent / "bundles"
DEFAULT = "compact"
CONFIG, WEIGHTS, CARD, TOKENIZER = "config.json", "weights.safetensors", "card.json", "tokenizer.json"
FORMAT = 2  # of config.json; raised when an older reader would misread a newer bundle
DIGITS = 12  # of a digest: enough for people to tell bundles apart
DIGEST = re.compile(r"[0-9a-f]{8,64}")  # a whole digest, or as much of its beginning as may stand for it


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


@dataclass(frozen=True)
class Catalogue:
    """Where bundles are: those that came with facemem, those in `folder`, and the one that `chosen` may be a path of.

    `chosen` is the default bundle: a name, a digest or a bundle's folder. Every question looks at the disk again, so a
    bundle that is put into the folder is there at once.
    """

    chosen: str = DEFAULT
    folder: Path | None = None

    def default(self, digest: str | None = None) -> BundleFacts:
        """The bundle for whoever names none. Raises BundleInvalid as `find` does."""
        return self.find(self.chosen, digest)

    def survey(self) -> tuple[list[BundleFacts], list[BundleInvalid]]:
        """Every whole bundle, once each, shipped ones first; and what is wrong with the others."""
        whole: dict[str, BundleFacts] = {}
        wrong = []
        for folder in self._folders():
            try:
                facts = _read(folder)
            except BundleInvalid as error:
                wrong.append(error)
            else:
                whole.setdefault(facts.digest, facts)
        return list(whole.values()), wrong

    def by_digest(self, digest: str) -> BundleFacts:
        """The bundle with this whole digest. Raises BundleInvalid if none has it, or those that have it are damaged."""
        there = [label.path for label in self._labels() if label.digest == digest]
        if not there:
            raise BundleInvalid(f"there is no bundle with digest {digest}")
        return _first_whole(there)

    def find(self, wanted: str | Path, digest: str | None = None, in_use: str | None = None) -> BundleFacts:
        """The bundle of that name, with that digest (or beginning of it), or in that folder; verified.

        Where several bundles have the name, the one with the `digest` asked for or with the digest `in_use` is meant.
        Raises BundleAmbiguous if that does not settle it; BundleInvalid if there is none, if it is damaged, or if it
        has not the `digest` asked for.
        """
        facts = _first_whole(self.locate(wanted, digest, in_use))
        if digest is not None and digest != facts.digest:
            raise BundleInvalid(f"bundle '{facts.name}' has digest {facts.digest}, but {digest} was asked for")
        return facts

    def choose(self, wanted: str, in_use: str) -> BundleFacts:
        """As `find`, but never a folder beside the catalogue: `wanted` may be a stranger's."""
        meant = self._meant(wanted)
        if not meant:
            raise BundleInvalid(f"there is no bundle called '{wanted}', and none with such a digest")
        return _first_whole([each.path for each in _settled(wanted, meant, in_use)])

    def locate(self, wanted: str | Path, digest: str | None = None, in_use: str | None = None) -> list[Path]:
        """Where `find` looks: folders that hold the same bundle, of which nothing but config.json was looked at.

        Raises BundleAmbiguous, and BundleInvalid if there is none.
        """
        if not isinstance(wanted, Path) and os.sep not in wanted and (meant := self._meant(wanted)):
            return [each.path for each in _settled(wanted, meant, digest, in_use)]
        folder = Path(wanted).expanduser()
        if not (folder / CONFIG).is_file():
            raise BundleInvalid(f"there is no bundle called '{wanted}', and no folder of that name holds one")
        return [folder.resolve()]

    def _meant(self, wanted: str) -> list["_Label"]:
        """Those with this name; if none has it, those whose digest begins so."""
        labels = self._labels()
        named = [each for each in labels if each.name == wanted]
        if named or not DIGEST.fullmatch(wanted):
            return named
        return [each for each in labels if each.digest.startswith(wanted)]

    def _folders(self) -> list[Path]:
        found = _bundle_folders(BUNDLES) + (_bundle_folders(self.folder) if self.folder else [])
        chosen = Path(self.chosen).expanduser()
        if (chosen / CONFIG).is_file() and (os.sep in self.chosen or not _called(self.chosen, found)):
            found.append(chosen.resolve())
        return found

    def _labels(self) -> list["_Label"]:
        return [label for folder in self._folders() if (label := _label(folder)) is not None]


@dataclass(frozen=True)
class _Label:
    """What a folder's config.json says of it. Nothing else of the folder was looked at."""

    name: str
    digest: str
    path: Path


def shipped() -> list[BundleFacts]:
    """The bundles that came with facemem, by name. Raises BundleInvalid if one of them is damaged."""
    return [_read(folder) for folder in _bundle_folders(BUNDLES)]


def find(name_or_path: str | Path, digest: str | None = None) -> BundleFacts:
    """The shipped bundle of that name, or the one in that folder, verified. Raises as `Catalogue.find` does."""
    return Catalogue().find(name_or_path, digest)


def pinned_files(config: dict[str, Any]) -> dict[str, str]:
    """The files of a bundle that its config pins, with the SHA-256 that they must have. Raises KeyError, TypeError."""
    pinned = {WEIGHTS: config["weights_sha256"]}
    if "tokenizer_sha256" in config["text"]:
        pinned[TOKENIZER] = config["text"]["tokenizer_sha256"]
    return pinned


def file_sha256(path: Path) -> str:
    """A file's SHA-256, read anew only after the file was written to. Raises OSError."""
    status = path.stat()
    return _hashed(path, status.st_mtime_ns, status.st_size)


def listed(bundles: list[BundleFacts]) -> str:
    """Bundles in a sentence, as `compact 0123456789ab, other ba9876543210`."""
    return ", ".join(f"{bundle.name} {bundle.digest[:DIGITS]}" for bundle in bundles)


def _bundle_folders(above: Path) -> list[Path]:
    """Those with a config.json. A name that begins with a dot is one that is still being copied."""
    try:
        folders = [folder for folder in sorted(above.iterdir()) if not folder.name.startswith(".")]
    except OSError:  # a folder for bundles need not be there
        return []
    return [folder for folder in folders if (folder / CONFIG).is_file()]


def _label(folder: Path) -> _Label | None:
    try:
        content = (folder / CONFIG).read_bytes()
        return _Label(str(json.loads(content)["name"]), sha256(content).hexdigest(), folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _called(name: str, folders: list[Path]) -> bool:
    return any(label is not None and label.name == name for label in map(_label, folders))


def _settled(wanted: str, meant: list[_Label], *digests: str | None) -> list[_Label]:
    """Those of one digest. The same bundle may be there twice; it is the same bundle."""
    there = {label.digest: label for label in reversed(meant)}
    preferred = next((digest for digest in digests if digest in there), None)
    if preferred is None and len(there) > 1:
        places = "; ".join(f"{label.name} {digest[:DIGITS]} in {label.path}" for digest, label in there.items())
        raise BundleAmbiguous(f"'{wanted}' may be any of {len(there)} bundles: {places}")
    return [label for label in meant if label.digest == (preferred or meant[0].digest)]


def _first_whole(folders: list[Path]) -> BundleFacts:
    errors = []
    for folder in folders:
        try:
            return _read(folder)
        except BundleInvalid as error:
            errors.append(error)
    raise errors[0]


def _read(folder: Path) -> BundleFacts:
    try:
        config_bytes = (folder / CONFIG).read_bytes()
        config, card = json.loads(config_bytes), json.loads((folder / CARD).read_bytes())
        name, form = config["name"], config["format"]
        if form != FORMAT:
            raise BundleInvalid(f"bundle '{name}' has format {form}; this version of facemem reads format {FORMAT}")
        for file, expected in pinned_files(config).items():
            if (found := file_sha256(folder / file)) != expected:
                raise BundleInvalid(f"bundle '{name}' is damaged: {folder / file} was replaced, its SHA-256 is {found}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{error} is missing in {CONFIG}" if isinstance(error, KeyError) else str(error)
        raise BundleInvalid(f"the bundle in '{folder}' cannot be read: {reason}") from error
    return BundleFacts(name, sha256(config_bytes).hexdigest(), folder, config, card)


@lru_cache(maxsize=64)
def _hashed(path: Path, _modified: int, _bytes: int) -> str:
    """The API asks on every listing, and a large bundle takes a second to hash."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
