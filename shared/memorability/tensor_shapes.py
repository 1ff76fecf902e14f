"""The tensors that a bundle's config implies, and whether its file has them. Without torch: the API verifies too.

A file of weights is safetensors: the length of a JSON header (8 bytes, little endian), the header, then the numbers.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HEADER_LENGTH = 8  # bytes
MOST_HEADER = 16 * 1024 * 1024  # bytes; some thousand tensors need one of them
# More than any network needs; a stranger's config must not make work without end.
MOST_MEMBERS, MOST_LAYERS, MOST_HEADS, MOST_PATCHES, MOST_WIDTH, MOST_ROWS = 256, 128, 256, 16_384, 65_536, 10_000_000
MOST_SIDES, MOST_SIDE = 16, 1024  # how often O-Net looks at a face, and how large, in pixels
NAMED = 3  # things in a message, before it says how many more there are
FLOATS = frozenset({"F64", "F32", "F16", "BF16"})
ONET_LAYERS = ((3, 32, 3), (32, 64, 3), (64, 64, 3), (64, 128, 2))  # channels in and out, and side of the kernel

Shapes = dict[str, tuple[int, ...]]


def check(config: dict[str, Any], weights: Path) -> int:
    """Compare what the config implies with what the file has, and return how many tensors that is.

    Raises ValueError, KeyError or TypeError, and OSError.
    """
    expected = implied(config)
    there, not_floats = found(weights)
    if missing := expected.keys() - there.keys():
        raise ValueError(f"{some(missing)} missing")
    if unknown := there.keys() - expected.keys():
        raise ValueError(f"{some(unknown)} not among the tensors of its networks")
    differing = [f"{name} is {there[name]}, not {shape}" for name, shape in expected.items() if there[name] != shape]
    if differing:
        raise ValueError(some(differing))
    if not_floats:
        raise ValueError(f"{some(not_floats)} not floating-point numbers")
    return len(expected)


def some(things: Iterable[str]) -> str:
    """The first few, shortened, and how many more there are."""
    names = sorted(things)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(name[:200] for name in names[:NAMED]) + more


def implied(config: dict[str, Any]) -> Shapes:
    """Every tensor that the networks of this config have. Raises KeyError, TypeError, ValueError for a wrong config."""
    visual, text = config["visual"], config["text"]
    shapes: Shapes = {}
    for member in range(_number(config, "members", MOST_MEMBERS)):
        shapes |= _named(f"members.{member}.", head(config["head"]))
    match visual["network"]:
        case "mtcnn-onet":
            for place in range(_number({"sides": len(visual["sides"])}, "sides", MOST_SIDES)):
                _number({"side": visual["sides"][place]}, "side", MOST_SIDE)
            shapes |= _named("visual.onet.", onet())
        case "se-resnet-50":
            shapes |= _named("visual.", se_resnet_50())
        case other:
            raise ValueError(f"no visual network '{other}' is known")
    match text.get("network", "minilm-l6-v2"):
        case "minilm-l6-v2":
            pass  # its weights are in a package, pinned by text.weights_sha256
        case "bert":
            shapes |= _named("text.", bert(text["config"]))
        case other:
            raise ValueError(f"no text network '{other}' is known")
    return shapes


def found(weights: Path) -> tuple[Shapes, set[str]]:
    """The tensors of a file, and the names of those that do not hold floating-point numbers.

    Raises OSError, and ValueError if the file is not safetensors.
    """
    with weights.open("rb") as file:
        length = int.from_bytes(file.read(HEADER_LENGTH), "little")
        if not 0 < length <= MOST_HEADER:
            raise ValueError("it does not begin as safetensors do")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    size = weights.stat().st_size - HEADER_LENGTH - length
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    if max((entry["data_offsets"][1] for entry in tensors.values()), default=0) != size:
        raise ValueError("it is longer or shorter than its header says")
    shapes = {name: tuple(entry["shape"]) for name, entry in tensors.items()}
    return shapes, {name for name, entry in tensors.items() if entry["dtype"] not in FLOATS}


def head(shape: dict[str, Any]) -> Shapes:
    """One member of the ensemble: see cross_attention.py."""
    patches, heads = _number(shape, "patches", MOST_PATCHES), _number(shape, "heads", MOST_HEADS)
    patch_width, token_width = _number(shape, "patch_width", MOST_WIDTH), _number(shape, "token_width", MOST_WIDTH)
    width = heads * _number(shape, "key_width", MOST_WIDTH)
    readings = 1 if shape.get("regions_read_alike") else patches
    return {
        "patch_centre": (patches, patch_width),
        "patch_scale": (patches, patch_width),
        "token_centre": (token_width,),
        "token_scale": (token_width,),
        "query.weight": (width, token_width),
        "query.bias": (width,),
        "key.weight": (width, patch_width),
        "key_position": (patches, width),
        "value": (heads, readings, patch_width),
        "value_bias": (heads, readings),
        "constant": (),
    }


def onet() -> Shapes:
    """The convolutions of MTCNN's O-Net: see visual_encoder.py."""
    shapes: Shapes = {}
    for number, (inward, outward, side) in enumerate(ONET_LAYERS, start=1):
        shapes |= {
            f"conv{number}.weight": (outward, inward, side, side),
            f"conv{number}.bias": (outward,),
            f"prelu{number}.weight": (outward,),
        }
    return shapes


def se_resnet_50() -> Shapes:
    """SE-ResNet-50 without its classifier: see se_resnet.py."""
    shapes: Shapes = {"conv1.weight": (64, 3, 7, 7), **_named("bn1.", _batch_norm(64))}
    inward = 64
    for stage, (blocks, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True), start=1):
        for block in range(blocks):
            shapes |= _named(f"layer{stage}.{block}.", _bottleneck(inward, width, first=block == 0))
            inward = 4 * width
    return shapes


def _bottleneck(inward: int, width: int, first: bool) -> Shapes:
    outward, squeezed = 4 * width, width // 4
    shapes: Shapes = {
        "conv1.weight": (width, inward, 1, 1),
        "conv2.weight": (width, width, 3, 3),
        "conv3.weight": (outward, width, 1, 1),
        "conv4.weight": (squeezed, outward, 1, 1),
        "conv4.bias": (squeezed,),
        "conv5.weight": (outward, squeezed, 1, 1),
        "conv5.bias": (outward,),
        **_named("bn1.", _batch_norm(width)),
        **_named("bn2.", _batch_norm(width)),
        **_named("bn3.", _batch_norm(outward)),
    }
    if first:
        shapes |= {"downsample.0.weight": (outward, inward, 1, 1), **_named("downsample.1.", _batch_norm(outward))}
    return shapes


def _batch_norm(width: int) -> Shapes:
    return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (width,))


def bert(config: dict[str, Any]) -> Shapes:
    """BERT as Hugging Face lays it out, without the pooling layer."""
    width, inner = _number(config, "hidden_size", MOST_WIDTH), _number(config, "intermediate_size", MOST_WIDTH)
    shapes: Shapes = {
        "embeddings.word_embeddings.weight": (_number(config, "vocab_size", MOST_ROWS), width),
        "embeddings.position_embeddings.weight": (_number(config, "max_position_embeddings", MOST_ROWS), width),
        "embeddings.token_type_embeddings.weight": (_number(config, "type_vocab_size", MOST_ROWS), width),
        **_named("embeddings.LayerNorm.", _norm(width)),
    }
    for layer in range(_number(config, "num_hidden_layers", MOST_LAYERS)):
        within = f"encoder.layer.{layer}."
        for part in ("query", "key", "value"):
            shapes |= _named(f"{within}attention.self.{part}.", _dense(width, width))
        shapes |= _named(f"{within}attention.output.dense.", _dense(width, width))
        shapes |= _named(f"{within}attention.output.LayerNorm.", _norm(width))
        shapes |= _named(f"{within}intermediate.dense.", _dense(width, inner))
        shapes |= _named(f"{within}output.dense.", _dense(inner, width))
        shapes |= _named(f"{within}output.LayerNorm.", _norm(width))
    return shapes


def _dense(inward: int, outward: int) -> Shapes:
    return {"weight": (outward, inward), "bias": (outward,)}


def _norm(width: int) -> Shapes:
    return {"weight": (width,), "bias": (width,)}


def _named(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + name: shape for name, shape in shapes.items()}


def _number(config: dict[str, Any], name: str, most: int) -> int:
    value = config[name]
    if not isinstance(value, int) or not 1 <= value <= most:
        raise ValueError(f"{name} is not a whole number from 1 to {most:,}")
    return value
