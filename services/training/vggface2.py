"""Imports the weights of SE-ResNet-50 that were published with VGGFace2: from a pickle of numpy arrays to safetensors.

The pickle is read by `array_pickle`, which runs nothing of it; safetensors is the only form that is read later.
"""

from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from services.training.array_pickle import StoredArray, quoted, read_arrays
from shared.errors import WeightsInvalid
from shared.memorability.se_resnet import WIDTH, SEResNet50

IDENTITIES = 8631  # people in VGGFace2's training set, whom the published network's classifier tells apart
CLASSIFIER = {"fc.weight": (IDENTITIES, WIDTH), "fc.bias": (IDENTITIES,)}
COUNTER = "num_batches_tracked"  # of batch normalisation, which newer versions of PyTorch store; it changes nothing
NAMED_AT_MOST = 5  # tensors, in an error about many


@dataclass(frozen=True)
class Imported:
    """What an import read and wrote: two files' SHA-256, and how many numbers the network has."""

    path: Path
    sha256: str
    pickle_sha256: str
    numbers: int


def convert(pickle_path: Path, output: Path) -> Imported:
    """Read senet50_scratch_weight.pkl and write the network, without its classifier, to `output` as safetensors.

    Nothing in the file is run. Raises WeightsInvalid if it is not exactly the published network's weights, OSError if a
    file cannot be read or written.
    """
    arrays, expected = read_arrays(pickle_path), expected_shapes()
    _check_names(arrays, expected)
    tensors = {name: _tensor(name, arrays[name]) for name in expected}
    network = {name: tensor for name, tensor in tensors.items() if name not in CLASSIFIER}
    unfinished = output.with_name(f"{output.name}.part")
    try:
        unfinished.write_bytes(save(network))
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)
    return Imported(output, _sha256(output), _sha256(pickle_path), sum(tensor.numel() for tensor in network.values()))


def load_vggface2(path: Path) -> SEResNet50:
    """The network with the weights that `convert` wrote. Raises WeightsInvalid if the file holds something else."""
    network = SEResNet50()
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise WeightsInvalid(f"'{path}' was not written by `facemem models import-vggface2`: {error}") from error
    return network.eval().requires_grad_(False)


def expected_shapes() -> dict[str, tuple[int, ...]]:
    """Every tensor of the published network, the classifier included."""
    with torch.device("meta"):  # shapes only, no memory
        shapes = {name: tuple(tensor.shape) for name, tensor in SEResNet50().state_dict().items()}
    return shapes | CLASSIFIER


def _check_names(arrays: dict[str, StoredArray], expected: dict[str, tuple[int, ...]]) -> None:
    """Raise WeightsInvalid, naming everything that is wrong at once, unless these are the published network's."""
    there = {name: array for name, array in arrays.items() if not name.endswith(COUNTER)}
    ours = {name: array for name, array in there.items() if name in expected}
    complaints = {
        "missing": [name for name in expected if name not in there],
        "not of this network": [quoted(name) for name in there if name not in expected],
        "of another shape": [
            f"{name} {array.shape} instead of {expected[name]}"
            for name, array in ours.items()
            if array.shape != expected[name]
        ],
        "not float32": [f"{name} {array.kind}" for name, array in ours.items() if array.kind != "<f4"],
    }
    found = [f"{what}: {_listed(names)}" for what, names in complaints.items() if names]
    if found:
        raise WeightsInvalid(f"These are not the weights of VGGFace2's SE-ResNet-50. {'; '.join(found)}.")


def _tensor(name: str, array: StoredArray) -> Tensor:
    numbers = array.numbers()
    if not np.isfinite(numbers).all() or (name.endswith("running_var") and (numbers < 0).any()):
        raise WeightsInvalid(f"'{name}' holds infinite numbers, something that is no number, or variances below zero.")
    return torch.from_numpy(np.array(numbers, order="C"))


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
