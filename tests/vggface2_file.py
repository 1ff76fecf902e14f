"""A made-up senet50_scratch_weight.pkl: the names, shapes and bytes of the published file, with random numbers.

The published file was written by Python 2, as a dictionary of numpy arrays. Python 3 cannot write that form by itself
(its text is always Unicode), so this module writes the opcodes one by one, from the description in pickletools.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

IDENTITIES = 8631
STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))  # blocks, and channels within them


def shapes() -> dict[str, tuple[int, ...]]:
    """Every tensor of SE-ResNet-50 in the order of the layers, as the public code for the file names them."""
    return dict(_shapes())


def _shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "conv1.weight", (64, 3, 7, 7)
    yield from _norm("bn1", 64)
    before = 64
    for stage, (blocks, inner) in enumerate(STAGES, 1):
        outer = inner * 4
        for block in range(blocks):
            at = f"layer{stage}.{block}"
            yield f"{at}.conv1.weight", (inner, before, 1, 1)
            yield from _norm(f"{at}.bn1", inner)
            yield f"{at}.conv2.weight", (inner, inner, 3, 3)
            yield from _norm(f"{at}.bn2", inner)
            yield f"{at}.conv3.weight", (outer, inner, 1, 1)
            yield from _norm(f"{at}.bn3", outer)
            yield from ((f"{at}.conv4.weight", (outer // 16, outer, 1, 1)), (f"{at}.conv4.bias", (outer // 16,)))
            yield from ((f"{at}.conv5.weight", (outer, outer // 16, 1, 1)), (f"{at}.conv5.bias", (outer,)))
            if block == 0:
                yield f"{at}.downsample.0.weight", (outer, before, 1, 1)
                yield from _norm(f"{at}.downsample.1", outer)
            before = outer
    yield from (("fc.weight", (IDENTITIES, 2048)), ("fc.bias", (IDENTITIES,)))


def _norm(name: str, channels: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{part}", (channels,)


def random_weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Weights that keep a picture's numbers in bounds through fifty layers, and no two channels alike."""
    random = np.random.default_rng(seed)
    weights = {}
    for name, shape in shapes().items():
        numbers = random.standard_normal(shape, dtype=np.float32)
        if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
            numbers = 1 + 0.3 * np.tanh(numbers)  # around one, and above zero
        elif len(shape) > 1:
            numbers *= np.float32((2 / np.prod(shape[1:])) ** 0.5)
        else:
            numbers *= np.float32(0.2)
        if name == "conv1.weight":
            numbers /= 60  # pixels come as -131..164
        if name.endswith("bn3.weight"):
            numbers *= np.float32(0.5)  # what a block adds
        weights[name] = numbers.astype(np.float32)
    return weights


def as_python2(weights: dict[str, np.ndarray]) -> bytes:
    """Protocol 2 as Python 2 with numpy 1 wrote it: names and numbers are byte strings, which need latin-1."""
    return b"".join([b"\x80\x02}(", *(_item(name, array) for name, array in weights.items()), b"u."])


def _item(name: str, array: np.ndarray) -> bytes:
    reconstruct = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + _text("b") + b"\x87R"
    kind = (
        b"cnumpy\ndtype\n"
        + _text("f4")
        + b"K\x00K\x01\x87R(K\x03"
        + _text("<")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    shape = b"(" + b"".join(b"J" + struct.pack("<i", side) for side in array.shape) + b"t"
    numbers = array.tobytes()
    return (
        _text(name)
        + reconstruct
        + b"(K\x01"
        + shape
        + kind
        + b"\x89T"
        + struct.pack("<i", len(numbers))
        + numbers
        + b"tb"
    )


def _text(text: str) -> bytes:
    return b"U" + bytes([len(text)]) + text.encode("ascii")


def write(path: Path, weights: dict[str, np.ndarray]) -> Path:
    """The file, with these weights."""
    path.write_bytes(as_python2(weights))
    return path
