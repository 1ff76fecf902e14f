"""The tensors that a bundle's config implies, and those that its file has. Without torch: the API verifies too.

A file of weights is safetensors: the length of a JSON header (8 bytes, little endian), the header, then the numbers.
"""

import json
from pathlib import Path
from typing import Any

HEADER_LENGTH = 8  # bytes
MOST_HEADER = 16 * 1024 * 1024  # bytes; some thousand tensors need one of them
FLOATS = frozenset({"F64", "F32", "F16", "BF16"})
ONET_LAYERS = ((3, 32, 3), (32, 64, 3), (64, 64, 3), (64, 128, 2))  # channels in and out, and side of the kernel

Shapes = dict[str, tuple[int, ...]]


def implied(config: dict[str, Any]) -> Shapes:
    """Every tensor that the networks of this config have. Raises KeyError, TypeError, ValueError for a wrong config."""
    visual, text = config["visual"], config["text"]
    shapes: Shapes = {}
    for member in range(config["members"]):
        shapes |= _named(f"members.{member}.", head(config["head"]))
    match visual["network"]:
        case "mtcnn-onet":
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
    size = weights.stat().st_size - HEADER_LENGTH - length
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    if max((entry["data_offsets"][1] for entry in tensors.values()), default=0) != size:
        raise ValueError("it is longer or shorter than its header says")
    shapes = {name: tuple(entry["shape"]) for name, entry in tensors.items()}
    return shapes, {name for name, entry in tensors.items() if entry["dtype"] not in FLOATS}


def head(shape: dict[str, Any]) -> Shapes:
    """One member of the ensemble: see cross_attention.py."""
    patches, patch_width, token_width = shape["patches"], shape["patch_width"], shape["token_width"]
    heads, width = shape["heads"], shape["heads"] * shape["key_width"]
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
    width, inner = config["hidden_size"], config["intermediate_size"]
    shapes: Shapes = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], width),
        "embeddings.position_embeddings.weight": (config["max_position_embeddings"], width),
        "embeddings.token_type_embeddings.weight": (config["type_vocab_size"], width),
        **_named("embeddings.LayerNorm.", _norm(width)),
    }
    for layer in range(config["num_hidden_layers"]):
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
