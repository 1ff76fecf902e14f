"""Everything that can be checked of a bundle before it is trusted. Without torch.

Loading a bundle checks what its digest pins. This checks the rest too: that the config makes sense, that the weights
are those of its networks, that the card is this bundle's, and that the folder holds nothing that could run code.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from shared.memorability import tensor_shapes
from shared.memorability.catalogue import CARD, CONFIG, DIGEST, FORMAT, TOKENIZER, WEIGHTS, file_sha256, pinned_files

CARD_FOR_PEOPLE = "card.md"
OUT_OF_FOLD, ABLATIONS = "out_of_fold.json", "ablations.json"
FILES = (CONFIG, WEIGHTS, CARD, CARD_FOR_PEOPLE, OUT_OF_FOLD, ABLATIONS, TOKENIZER)  # all that a bundle may consist of
# A pickle is a program: reading it runs it. These are the names under which people pass them on.
PICKLES = frozenset({".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt", ".joblib", ".npz", ".npy"})
NAMED = 3  # things in a message, before it says how many more there are


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

    `digest` is the one that it must have, or the beginning of it. Never raises for what is wrong with a bundle.
    """
    checks = [_tried("no pickle", lambda: _no_pickle(folder)), _tried(CONFIG, lambda: _config(folder))]
    if digest is not None:
        checks.append(_tried("digest", lambda: _digest(folder, digest)))
    if not checks[1].passed:
        return checks
    config = json.loads((folder / CONFIG).read_bytes())
    checks += [
        _tried(f"{WEIGHTS}: SHA-256", lambda: _pinned(folder, config, WEIGHTS)),
        _tried(f"{WEIGHTS}: tensors", lambda: _tensors(folder, config)),
        _tried("text encoder", lambda: _text_encoder(folder, config)),
        _tried(CARD, lambda: _card(folder, config)),
        _tried(CARD_FOR_PEOPLE, lambda: _card_for_people(folder)),
    ]
    if (folder / OUT_OF_FOLD).exists():
        checks.append(_tried(OUT_OF_FOLD, lambda: _out_of_fold(folder)))
        if (folder / ABLATIONS).exists():  # which hold a score for each of those faces
            checks.append(_tried(ABLATIONS, lambda: _ablations(folder)))
    return checks


def _tried(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, True, check())
    except _Wrong as wrong:
        return Check(name, False, str(wrong))
    except KeyError as error:
        return Check(name, False, f"{error} is missing")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return Check(name, False, str(error))


def _no_pickle(folder: Path) -> str:
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    pickles = [path.relative_to(folder) for path in files if path.suffix.lower() in PICKLES]
    if pickles:
        raise _Wrong(f"{_some(map(str, pickles))} may run code when read; weights belong into {WEIGHTS}")
    return f"none among {len(files)} files"


def _config(folder: Path) -> str:
    content = (folder / CONFIG).read_bytes()
    config = json.loads(content)
    name, form = config["name"], config["format"]
    if form != FORMAT:
        raise _Wrong(f"has format {form}; this version of facemem reads format {FORMAT}")
    if not isinstance(name, str) or not name.isprintable() or not name.strip() or "/" in name:
        raise _Wrong(f"the name {name!r} is not a name")
    pinned_files(config)
    rows, columns = config["grid"]
    if rows * columns != config["head"]["patches"]:
        raise _Wrong(f"a grid of {rows} x {columns} regions has not {config['head']['patches']} patches")
    if config["members"] < 1:
        raise _Wrong("the ensemble has no member")
    quantiles = config["percentiles"]
    if len(quantiles) < 2 or quantiles != sorted(quantiles):
        raise _Wrong("the percentiles do not rise")
    if not (config["interval"]["factor"] >= 0 and 0 < config["interval"]["coverage"] < 1):
        raise _Wrong(f"the interval {config['interval']} makes no sense")
    return f"{name}, format {form}, digest {sha256(content).hexdigest()}"


def _digest(folder: Path, digest: str) -> str:
    found = sha256((folder / CONFIG).read_bytes()).hexdigest()
    if not DIGEST.fullmatch(digest) or not found.startswith(digest):
        raise _Wrong(f"is {found}, not {digest}")
    return "the one asked for"


def _pinned(folder: Path, config: dict[str, Any], file: str) -> str:
    found, expected = file_sha256(folder / file), pinned_files(config)[file]
    if found != expected:
        raise _Wrong(f"is {found}, but {CONFIG} pins {expected}")
    return f"as {CONFIG} pins it"


def _tensors(folder: Path, config: dict[str, Any]) -> str:
    implied = tensor_shapes.implied(config)
    found, not_floats = tensor_shapes.found(folder / WEIGHTS)
    if missing := implied.keys() - found.keys():
        raise _Wrong(f"{_some(missing)} missing")
    if unknown := found.keys() - implied.keys():
        raise _Wrong(f"{_some(unknown)} not among the tensors of its networks")
    differing = [
        f"{name} is {found[name]}, not {shape}" for name, shape in sorted(implied.items()) if found[name] != shape
    ]
    if differing:
        raise _Wrong(_some(differing))
    if not_floats:
        raise _Wrong(f"{_some(not_floats)} not floating-point numbers")
    return f"all {len(implied)} there, each with its shape"


def _text_encoder(folder: Path, config: dict[str, Any]) -> str:
    text = config["text"]
    if "tokenizer_sha256" in text:
        _pinned(folder, config, TOKENIZER)
        json.loads((folder / TOKENIZER).read_bytes())
        return f"in the bundle; {TOKENIZER} as {CONFIG} pins it"
    package = text["package"]
    spec = find_spec(package) if package.isidentifier() else None
    if spec is None or spec.origin is None:
        raise _Wrong(f"the package {package}, which holds it, is not installed")
    found = file_sha256(Path(spec.origin).parent / "model" / "model.safetensors")
    if found != text["weights_sha256"]:
        raise _Wrong(f"the one in {package} has SHA-256 {found}, but {CONFIG} pins {text['weights_sha256']}")
    return f"in the package {package}, as {CONFIG} pins it"


def _card(folder: Path, config: dict[str, Any]) -> str:
    card = json.loads((folder / CARD).read_bytes())
    if card["name"] != config["name"]:
        raise _Wrong(f"is the card of '{card['name']}'")
    missing = [part for part in ("target", "data", "licence", "results", "limits") if not card.get(part)]
    if missing:
        raise _Wrong(f"says nothing of {_some(missing)}")
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
        raise _Wrong(f"{_some(unscored)} without a score")
    return f"{len(held_out):,} entries"


def _ablations(folder: Path) -> str:
    faces = len(json.loads((folder / OUT_OF_FOLD).read_bytes()))
    variants = json.loads((folder / ABLATIONS).read_bytes())
    if uneven := [name for name, scores in variants.items() if len(scores) != faces]:
        raise _Wrong(f"{_some(uneven)}: not one score for each of {faces:,} faces")
    return f"{len(variants)} variants"


def _some(things: Iterator[str] | set[str] | list[str]) -> str:
    """The first few, and how many more there are."""
    names = sorted(things)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
