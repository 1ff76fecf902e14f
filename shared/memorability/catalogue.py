"""Bundles: folders with a trained model. Finds and reads them without torch.

A bundle holds `config.json` (its shape, its calibration and, under `files`, the SHA-256 of each of its other files),
`weights.safetensors`, `card.json`, and what else of `PINNABLE` it has. Its digest is the SHA-256 of config.json; as
that pins all other files, the digest pins the whole bundle. Several bundles may have the same name, so a name is for
people: what is stored and compared is the digest. A bundle may be a stranger's, and malformed in any way: that makes it
BundleInvalid, and is no other bundle's trouble.
"""

import json
import os
import re
import stat
from dataclasses import dataclass
from functools import lru_cache
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from shared.errors import BundleAmbiguous, BundleInvalid

BUNDLES = Path(__file__).parent / "bundles"
DEFAULT = "compact"
CONFIG, WEIGHTS, CARD, TOKENIZER = "config.json", "weights.safetensors", "card.json", "tokenizer.json"
CARD_FOR_PEOPLE, OUT_OF_FOLD, ABLATIONS = "card.md", "out_of_fold.json", "ablations.json"
PINNABLE = (WEIGHTS, CARD, CARD_FOR_PEOPLE, OUT_OF_FOLD, ABLATIONS, TOKENIZER)  # all that a bundle has beside CONFIG
FORMAT = 2  # of config.json; raised when an older reader would misread a newer bundle
DIGITS = 12  # of a digest: enough for people to tell bundles apart
DIGEST = re.compile(r"[0-9a-f]{8,64}")  # a whole digest, or as much of its beginning as may stand for it
WHOLE_DIGEST = re.compile(r"[0-9a-f]{64}")
MOST_NAME = 100  # signs
MOST_JSON = 16 * 1024 * 1024  # bytes of config.json or card.json, which every listing reads
MOST_DEPTH = 32  # of lists and objects within each other; what is nested deeper cannot be written again


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

    def by_digest(self, digest: str, *, afresh: bool = False) -> BundleFacts:
        """The bundle with this whole digest. Raises BundleInvalid if none has it, or those that have it are damaged.

        `afresh`, for whoever loads it, hashes its files now; else a hash is remembered while a file looks the same.
        """
        there = [label.path for label in self._labels() if label.digest == digest]
        if not there:
            raise BundleInvalid(f"there is no bundle with digest {digest}")
        return _first_whole(there, afresh)

    def name_of(self, digest: str) -> str | None:
        """The name of the bundle with this whole digest, whole or not; None if none has it. Reads only config.json."""
        return next((label.name for label in self._labels() if label.digest == digest), None)

    def meant(self, wanted: str) -> list[str]:
        """The digests of the bundles, whole or not, with this name; if none has it, those that begin so.

        Never looks beside the catalogue: `wanted` may be a stranger's.
        """
        return list(dict.fromkeys(label.digest for label in self._meant(wanted)))

    def find(self, wanted: str | Path, digest: str | None = None, in_use: str | None = None) -> BundleFacts:
        """The bundle of that name, with that digest (or beginning of it), or in that folder; verified.

        Where several bundles have the name, the one with the `digest` asked for or with the digest `in_use` is meant.
        Raises BundleAmbiguous if that does not settle it; BundleInvalid if there is none, if it is damaged, or if it
        has not the `digest` asked for.
        """
        facts = _first_whole(self.locate(wanted, digest, in_use), afresh=True)
        if digest is not None and digest != facts.digest:
            raise BundleInvalid(f"bundle '{facts.name}' has digest {facts.digest}, but {digest} was asked for")
        return facts

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
    """The other files of a bundle, with the SHA-256 that each must have. Raises KeyError, TypeError, ValueError."""
    files = config["files"]
    if not isinstance(files, dict) or not all(isinstance(pin, str) for pin in files.values()):
        raise TypeError(f"`files` of {CONFIG} is not a SHA-256 for each file name")
    if unknown := files.keys() - set(PINNABLE):
        raise ValueError(f"{CONFIG} pins {min(unknown)[:MOST_NAME]!r}, which is no file of a bundle")
    if missing := {WEIGHTS, CARD} - files.keys():
        raise ValueError(f"{CONFIG} does not pin {min(missing)}")
    return dict(files)


def file_sha256(path: Path) -> str:
    """A file's SHA-256. Raises OSError, and ValueError for what is no file and might never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path} is no file")
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def parsed(content: bytes) -> dict[str, Any]:
    """A JSON object that is not nested too deeply to be written again. Raises ValueError."""
    try:
        value = json.loads(content)
    except RecursionError:
        value = None
    if not isinstance(value, dict) or not _shallow(value, MOST_DEPTH):
        raise ValueError("not a JSON object, or one that is nested too deeply")
    return value


def name_in(config: dict[str, Any]) -> str:
    """The name in a config, which people can read and type. Raises KeyError, ValueError."""
    name = config["name"]
    if not isinstance(name, str) or not name.isprintable() or not name.strip() or os.sep in name:
        raise ValueError("its name is not a name")
    if len(name) > MOST_NAME:
        raise ValueError(f"its name has more than {MOST_NAME} signs")
    return name


def listed(bundles: list[BundleFacts]) -> str:
    """Bundles in a sentence, as `compact 0123456789ab, other ba9876543210`."""
    return ", ".join(f"{bundle.name} {bundle.digest[:DIGITS]}" for bundle in bundles)


def _bundle_folders(above: Path) -> list[Path]:
    """Those with a config.json. A name that begins with a dot is one that is still being copied."""
    try:
        folders = [folder for folder in sorted(above.iterdir()) if not folder.name.startswith(".")]
    except OSError:  # a folder for bundles need not be there
        return []
    return [folder for folder in folders if _has_config(folder)]


def _has_config(folder: Path) -> bool:
    try:
        return (folder / CONFIG).is_file()
    except PermissionError:  # somebody's own folder is no reason for nobody to be served
        return False


def _label(folder: Path) -> _Label | None:
    try:
        content = _json_bytes(folder / CONFIG)
        return _Label(name_in(parsed(content)), sha256(content).hexdigest(), folder)
    except (OSError, ValueError, KeyError):
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


def _first_whole(folders: list[Path], afresh: bool) -> BundleFacts:
    errors = []
    for folder in folders:
        try:
            return _read(folder, afresh)
        except BundleInvalid as error:
            errors.append(error)
    raise errors[0]


def _read(folder: Path, afresh: bool = False) -> BundleFacts:
    try:
        config_bytes = _json_bytes(folder / CONFIG)
        config = parsed(config_bytes)
        name, form = name_in(config), config["format"]
        if form != FORMAT:
            raise BundleInvalid(f"bundle '{name}' is not of format {FORMAT}, which this version of facemem reads")
        for file, expected in pinned_files(config).items():
            if (found := (file_sha256 if afresh else _remembered_sha256)(folder / file)) != expected:
                raise BundleInvalid(f"bundle '{name}' is damaged: {folder / file} was replaced, its SHA-256 is {found}")
        card = parsed(_json_bytes(folder / CARD))
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{error} is missing in {CONFIG}" if isinstance(error, KeyError) else str(error)
        raise BundleInvalid(f"the bundle in '{folder}' cannot be read: {reason}") from error
    return BundleFacts(name, sha256(config_bytes).hexdigest(), folder, config, card)


def _json_bytes(path: Path) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_JSON:
        raise ValueError(f"{path} is no file, or has more than {MOST_JSON:,} bytes")
    return path.read_bytes()


def _shallow(value: Any, left: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    return left > 0 and all(_shallow(each, left - 1) for each in (value.values() if isinstance(value, dict) else value))


def _remembered_sha256(path: Path) -> str:
    """For listings, of which the API makes many: a large bundle takes a second to hash."""
    status = path.stat()
    return _hashed(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@lru_cache(maxsize=256)
def _hashed(path: Path, *_looks: int) -> str:
    return file_sha256(path)
