"""The tensors of a bundle: each part of the model reads its own, and they must fit it."""

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from shared.errors import BundleInvalid
from shared.memorability.catalogue import BundleFacts


def tensors_of(bundle: BundleFacts, prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, by the rest of their names. Others are not read."""
    try:
        with safe_open(bundle.weights, framework="pt") as file:
            names = file.keys()
            return {name.removeprefix(prefix): file.get_tensor(name) for name in names if name.startswith(prefix)}
    except (OSError, SafetensorError) as error:
        raise BundleInvalid(f"the weights of bundle '{bundle.name}' cannot be read: {error}") from error


def load_into(network: nn.Module, bundle: BundleFacts, prefix: str) -> None:
    """Give a network its tensors. Raises BundleInvalid if one is missing, left over or of another shape."""
    try:
        network.load_state_dict(tensors_of(bundle, prefix))
    except RuntimeError as error:
        raise BundleInvalid(f"the weights of bundle '{bundle.name}' do not fit its networks: {error}") from error


def cast_layers(network: nn.Module, dtype: torch.dtype) -> None:
    """Keep the weights that autocast would cast in the format that it casts them to. It would do so again for each
    piece of a batch, with the same result.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            layer.to(dtype)
