"""Everything that can be checked of a bundle before it is trusted. Without torch.

Loading a bundle checks that its files are those that its digest pins. This checks the rest too: that the config makes
sense, that the weights are those of its networks, that the card is this bundle's, and that the folder holds nothing
else.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from shared.memorability import tensor_shapes
from shared.memorability.catalogue import (
    ABLATIONS,
    CARD,
    CARD_FOR_PEOPLE,
    CONFIG,
    FORMAT,
    MOST_JSON,
    OUT_OF_FOLD,
    TOKENIZER,
    WEIGHTS,
    file_sha256,
    name_in,
    parsed,
    pinned_files,
)
from shared.memorability.tensor_shapes import some

# A pickle is a program: reading it runs it. These are the names under which people pass them on.
PICKLES = frozenset({".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt", ".joblib", ".npz", ".npy"})
LOOKED_AT = 1000  # things below a folder; a bundle has seven


@dataclass(frozen=True)
class Check:
    """What was checked, whether it is as it should be, and what was found, in words."""

    name: str
    passed: bool
    found: str


class _Wrong(Exception):
    """A check failed; the message says what was found."""


def verify(folder: Path, digest: str | None = None) -> list[Check]:
    """Every check of the bundle in a folder, in an order in which each stands on those before it.

    `digest` is the one that it must have, all of it. Never raises for what is wrong with a bundle.
    """
    checks = [_tried("no pickle", lambda: _no_pickle(folder)), _tried(CONFIG, lambda: _config(folder))]
    if digest is not None:
        checks.append(_tried("digest", lambda: _digest(folder, digest)))
    if not checks[1].passed:
        return checks
    config = parsed((folder / CONFIG).read_bytes())
    pinned = pinned_files(config)
    checks += [
        _tried("nothing else", lambda: _nothing_else(folder, pinned)),
        _tried("SHA-256", lambda: _pinned(folder, pinned)),
    ]
    if any((folder / name).exists() and not (folder / name).is_file() for name in pinned):
        return checks  # reading what is no file might never end
    checks += [
        _tried(WEIGHTS, lambda: f"all {tensor_shapes.check(config, folder / WEIGHTS)} tensors, each with its shape"),
        _tried("text encoder", lambda: _text_encoder(folder, config, pinned)),
        _tried(CARD, lambda: _card(folder, config)),
        _tried(CARD_FOR_PEOPLE, lambda: _card_for_people(folder)),
    ]
    if OUT_OF_FOLD in pinned:
        checks.append(_tried(OUT_OF_FOLD, lambda: _out_of_fold(folder)))
    if ABLATIONS in pinned:  # which hold a score for each of those faces
        checks.append(_tried(ABLATIONS, lambda: _ablations(folder)))
    return checks


def _tried(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, True, check())
    except KeyError as error:
        return Check(name, False, f"{error} is missing")
    except Exception as error:  # a stranger's files may be wrong in ways that nobody thought of
        return Check(name, False, str(error) or type(error).__name__)


def _no_pickle(folder: Path) -> str:
    there = list(islice(folder.rglob("*"), LOOKED_AT))
    pickles = [str(path.relative_to(folder)) for path in there if path.suffix.lower() in PICKLES and not path.is_dir()]
    if pickles:
        raise _Wrong(f"{some(pickles)} may run code when read; weights belong into {WEIGHTS}")
    return f"none among {len(there)} files"


def _nothing_else(folder: Path, pinned: dict[str, str]) -> str:
    there = {path.name: path for path in islice(folder.iterdir(), LOOKED_AT)}
    if others := there.keys() - {CONFIG, *pinned}:
        raise _Wrong(f"{some(others)} in the folder, but not pinned by {CONFIG}")
    if no_files := [name for name, path in there.items() if path.is_symlink() or not path.is_file()]:
        raise _Wrong(f"{some(no_files)} no file of its own: a link, or a folder")
    return f"than {CONFIG} and the files that it pins"


def _config(folder: Path) -> str:
    if (folder / CONFIG).stat().st_size > MOST_JSON:
        raise _Wrong(f"has more than {MOST_JSON:,} bytes")
    content = (folder / CONFIG).read_bytes()
    config = parsed(content)
    name, form = name_in(config), config["format"]
    if form != FORMAT:
        raise _Wrong(f"is not of format {FORMAT}, which this version of facemem reads")
    pinned_files(config)
    rows, columns = config["grid"]
    if rows * columns != config["head"]["patches"]:
        raise _Wrong("its grid has not as many regions as the head has patches")
    if config["members"] < 1:
        raise _Wrong("the ensemble has no member")
    quantiles = config["percentiles"]
    if len(quantiles) < 2 or quantiles != sorted(quantiles):
        raise _Wrong("the percentiles do not rise")
    if not (config["interval"]["factor"] >= 0 and 0 < config["interval"]["coverage"] < 1):
        raise _Wrong("the interval makes no sense")
    return f"{name}, format {form}, digest {sha256(content).hexdigest()}"


def _digest(folder: Path, digest: str) -> str:
    found = sha256((folder / CONFIG).read_bytes()).hexdigest()
    if found != digest:
        raise _Wrong(f"is {found}, not {digest}")
    return "the one asked for"


def _pinned(folder: Path, pinned: dict[str, str]) -> str:
    for file, expected in pinned.items():
        if (found := file_sha256(folder / file)) != expected:
            raise _Wrong(f"that of {file} is {found}, but {CONFIG} pins {expected}")
    return f"of {len(pinned)} files, as {CONFIG} pins them"


def _text_encoder(folder: Path, config: dict[str, Any], pinned: dict[str, str]) -> str:
    text = config["text"]
    if text.get("network") == "bert":
        if TOKENIZER not in pinned:
            raise _Wrong(f"{CONFIG} does not pin its {TOKENIZER}")
        json.loads((folder / TOKENIZER).read_bytes())
        return f"in the bundle, with its {TOKENIZER}"
    package = text["package"]
    spec = find_spec(package) if package.isidentifier() else None
    if spec is None or spec.origin is None:
        raise _Wrong(f"the package {package}, which holds it, is not installed")
    for file, expected in {"model.safetensors": text["weights_sha256"], **text["files"]}.items():
        found = file_sha256(Path(spec.origin).parent / "model" / file)
        if found != expected:
            raise _Wrong(f"{file} of the one in {package} has SHA-256 {found}, but {CONFIG} pins {expected}")
    return f"in the package {package}, as {CONFIG} pins it"


def _card(folder: Path, config: dict[str, Any]) -> str:
    card = parsed((folder / CARD).read_bytes())
    if card["name"] != config["name"]:
        raise _Wrong(f"is the card of '{card['name']}'")
    missing = [part for part in ("target", "data", "licence", "results", "limits") if not card.get(part)]
    if missing:
        raise _Wrong(f"says nothing of {some(missing)}")
    return f"the card of {card['name']}"


def _card_for_people(folder: Path) -> str:
    if not (folder / CARD_FOR_PEOPLE).read_text(encoding="utf-8").strip():
        raise _Wrong("is empty")
    return "there"


def _out_of_fold(folder: Path) -> str:
    held_out = json.loads((folder / OUT_OF_FOLD).read_bytes())
    if not isinstance(held_out, dict) or not held_out:
        raise _Wrong("names no images")
    if unscored := [image for image, entry in held_out.items() if not isinstance(entry["score"], float)]:
        raise _Wrong(f"{some(unscored)} without a score")
    return f"{len(held_out):,} entries"


def _ablations(folder: Path) -> str:
    faces = len(json.loads((folder / OUT_OF_FOLD).read_bytes()))
    variants = json.loads((folder / ABLATIONS).read_bytes())
    if uneven := [name for name, scores in variants.items() if len(scores) != faces]:
        raise _Wrong(f"{some(uneven)}: not one score for each of {faces:,} faces")
    return f"{len(variants)} variants"
