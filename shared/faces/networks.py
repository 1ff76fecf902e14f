"""MTCNN's three networks with facenet-pytorch's weights, run by torch, or by OpenVINO where that was chosen.

They want pixels from -1 to 1; the scaling is part of their first convolutions here, which spares a pass over every
pixel of every scale.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from shared.compute import Compute
from shared.faces.torchvision_ops import allow_cpu_torch

MIDDLE, HALF_RANGE = 127.5, 128.0  # of pixels, as the networks were trained with


# Runs the network of a number (0, 1, 2) on images (N, H, W, 3), and gives what it answers in its own order.
Run = Callable[[int, np.ndarray], list[np.ndarray]]


@dataclass(frozen=True)
class Networks:
    """The three networks. Pixels are float32 (..., height, width, 3), 0..255, RGB; shares are of a box's size."""

    run: Run

    def propose(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For one image (H, W, 3): logits (h, w) of its places, and shares (4, h, w) by which to move the edges."""
        [answers] = self.run(0, pixels[None])
        return answers[0, 0], answers[0, 1:]

    def refine(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For crops (N, 24, 24, 3): scores (N,), and shares (N, 4) by which to move the edges."""
        shares, scores = self.run(1, crops)
        return scores[:, 1], shares

    def locate(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For crops (N, 48, 48, 3): scores (N,), shares (N, 4), and landmarks (N, 10), five x, then five y."""
        shares, landmarks, scores = self.run(2, crops)
        return scores[:, 1], shares, landmarks


def load(compute: Compute) -> Networks:
    """The networks, where and as `compute` says."""
    published = _published()
    if compute.engine == "openvino":
        from shared.faces.openvino_networks import compiled  # not installed with everything

        return Networks(compiled(published))
    where = compute.device
    # Colours last is how the pixels come. (torch declares no such overload.)
    networks = [each.to(where).to(memory_format=torch.channels_last) for each in published]  # type: ignore[call-overload]

    def run(number: int, pixels: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            return [answer.cpu().numpy() for answer in networks[number](torch.from_numpy(pixels).to(where))]

    return Networks(run)


def _published() -> "list[_ColoursLast]":
    """facenet-pytorch's networks, taking pixels from 0 to 255 with the colours last."""
    allow_cpu_torch()
    from facenet_pytorch.models.mtcnn import ONet, PNet, RNet  # imports torchvision, which needs the line above

    networks: list[_ColoursLast] = []
    for network in (PNet(), RNet(), ONet()):
        first: nn.Conv2d = network.conv1
        with torch.no_grad():
            weight = first.weight / HALF_RANGE
            assert first.bias is not None  # those three have one
            first.bias -= (weight * MIDDLE).sum(dim=(1, 2, 3))
            first.weight.copy_(weight)
        networks.append(_ColoursLast(network).eval())
    networks[0].network = _OneHead(networks[0].network)
    return networks


class _OneHead(nn.Module):
    """The first network with one last convolution instead of two, and the logit of its two classes instead of their
    softmax: it has half a million places to answer for, and only for some hundred of them anybody asks.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(getattr(network, name) for name in ("conv1", "prelu1", "pool1", "conv2", "prelu2", "conv3", "prelu3"))
        )
        classes, shares = network.conv4_1, network.conv4_2
        self.head = nn.Conv2d(shares.in_channels, 1 + shares.out_channels, kernel_size=1)
        with torch.no_grad():
            self.head.weight.copy_(torch.cat([classes.weight[1:] - classes.weight[:1], shares.weight]))
            assert self.head.bias is not None
            self.head.bias.copy_(torch.cat([classes.bias[1:] - classes.bias[:1], shares.bias]))

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        return [self.head(self.body(pixels))]


class _ColoursLast(nn.Module):
    """A network that takes images as they lie in memory."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> Any:
        return self.network(pixels.permute(0, 3, 1, 2))
