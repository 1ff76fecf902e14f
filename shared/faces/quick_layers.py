"""Layers as torch computes them, but faster on a CPU for pixels of few channels, stored side by side (channels last).

torch's pooling also notes where each maximum was, and its PReLU goes through each pixel's channels by themselves.
"""

from functools import reduce

import torch
from torch import nn

MANY = 16  # channels with which torch's own PReLU is as fast


def quicken(network: nn.Module) -> None:
    """Replace each nn.MaxPool2d of a network, which must have no padding and round up, and nn.PReLU of few channels."""
    for name, layer in list(network.named_children()):
        match layer:
            case nn.MaxPool2d():
                assert isinstance(layer.kernel_size, int)  # one number for both directions
                assert isinstance(layer.stride, int)
                setattr(network, name, SlicePool(layer.kernel_size, layer.stride))
            case nn.PReLU() if layer.num_parameters < MANY:
                setattr(network, name, RowPReLU(layer.weight))
            case _:
                quicken(layer)


class RowPReLU(nn.Module):
    """nn.PReLU, a row of pixels at once."""

    def __init__(self, weight: nn.Parameter) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Of values (N, C, H, W)."""
        pixels = values.permute(0, 2, 3, 1)
        count, height, width, channels = pixels.shape
        rows = pixels.reshape(count * height, width * channels)
        return torch.prelu(rows, self.weight.repeat(width)).view(pixels.shape).permute(0, 3, 1, 2)


class SlicePool(nn.Module):
    """nn.MaxPool2d(size, stride, ceil_mode=True): along the height, then along the width, the maximum of slices."""

    def __init__(self, size: int, stride: int) -> None:
        super().__init__()
        self._size, self._stride = size, stride

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Of values (N, C, H, W)."""
        return self._along(3, self._along(2, values))

    def _along(self, dimension: int, values: torch.Tensor) -> torch.Tensor:
        beyond = values.shape[dimension] - self._size
        whole = beyond // self._stride + 1  # windows; what remains is one that is cut off
        found = reduce(torch.maximum, (self._slice(values, dimension, first, whole) for first in range(self._size)))
        if beyond % self._stride == 0:
            return found
        begin = whole * self._stride
        cut_off = values.narrow(dimension, begin, values.shape[dimension] - begin)
        return torch.cat([found, reduce(torch.maximum, cut_off.split(1, dimension))], dimension)

    def _slice(self, values: torch.Tensor, dimension: int, first: int, count: int) -> torch.Tensor:
        """One value of each window, so many windows."""
        along = values.narrow(dimension, first, (count - 1) * self._stride + 1)
        return along.unfold(dimension, 1, self._stride).squeeze(-1)
