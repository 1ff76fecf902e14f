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
from shared.faces.quick_layers import quicken
from shared.faces.torchvision_ops import allow_cpu_torch

MIDDLE, HALF_RANGE = 127.5, 128.0  # of pixels, as the networks were trained with
# Runs the network of a number (0, 1, 2) on images (N, 3, H, W), and gives what it answers in its own order.
Run = Callable[[int, np.ndarray], list[np.ndarray]]
CELL, STRIDE = 12, 2  # pixels: what the first network sees at once, and from one place to the next
OVERLAP = CELL - STRIDE  # pixels that a piece shares with the next; one pixel more has a place, as pooling rounds up
# A piece has about so many pixels, in whole rows or whole crops: what the networks make of it stays in a core's
# cache from one layer to the next. That is the second one; 32 bytes of it for each pixel do well. Where torch cannot
# tell how large it is, it is taken for a mebibyte.
PIECE_PIXELS = int(torch.cpu.get_capabilities().get("l2_cache_size") or 2**20) // 32
CROP_WEIGHT = 16 / 9  # pixels of an image that one of a crop counts for: its network makes more numbers of it
PIECE_ROWS = 8  # come together, so that each piece begins where a place does


@dataclass(frozen=True)
class Networks:
    """The three networks. Pixels are float32 (..., 3, height, width), 0..255, RGB; shares are of a box's size.

    in_pieces: whether an image, or many crops, are better looked at piece by piece, as on a CPU.
    """

    run: Run
    in_pieces: bool

    def propose(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For one image (3, H, W): logits (h, w) of its places, and shares (4, h, w) by which to move the edges."""
        height, width = pixels.shape[1:]
        rows = max(1, PIECE_PIXELS // width // PIECE_ROWS) * PIECE_ROWS if self.in_pieces else height
        pieces = [
            self.run(0, pixels[None, :, first : first + rows + OVERLAP])[0]
            for first in range(0, height - OVERLAP, rows)
        ]
        answers = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=2)
        return answers[0, 0], answers[0, 1:]

    def refine(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For crops (N, 3, 24, 24): scores (N,), and shares (N, 4) by which to move the edges."""
        shares, scores = self._run_on_crops(1, crops)
        return scores[:, 1], shares

    def locate(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For crops (N, 3, 48, 48): scores (N,), shares (N, 4), and landmarks (N, 10), five x, then five y."""
        shares, landmarks, scores = self._run_on_crops(2, crops)
        return scores[:, 1], shares, landmarks

    def _run_on_crops(self, number: int, crops: np.ndarray) -> list[np.ndarray]:
        pixels = round(crops.shape[-1] ** 2 * CROP_WEIGHT)
        step = max(1, PIECE_PIXELS // pixels) if self.in_pieces else len(crops)
        pieces = [self.run(number, crops[first : first + step]) for first in range(0, len(crops), step)]
        return [np.concatenate(answers) for answers in zip(*pieces, strict=True)]


def places(pixels: int) -> int:
    """How many places the first network has along so many pixels: pooling halves them and rounds up, and each of its
    three convolutions of 3 x 3 takes a pixel off at both ends, the first one before they are halved.
    """
    return (pixels - 1) // STRIDE - 4


def load(compute: Compute) -> Networks:
    """The networks, where and as `compute` says."""
    published = _published()
    if compute.engine == "openvino":
        from shared.faces.openvino_networks import compiled  # not installed with everything

        return Networks(compiled(published), in_pieces=True)
    where = compute.device
    on_cpu = where.type == "cpu"
    if on_cpu:
        quicken(published[0])  # its channels are few
    # Colours last is how convolutions like their pictures. (torch declares no such overload of a module's.)
    networks = [each.to(where).to(memory_format=torch.channels_last) for each in published]  # type: ignore[call-overload]

    def run(number: int, pixels: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            shown = torch.from_numpy(pixels).to(where, memory_format=torch.channels_last)
            return [answer.cpu().numpy() for answer in networks[number](shown)]

    return Networks(run, in_pieces=on_cpu)


def _published() -> list[nn.Module]:
    """facenet-pytorch's networks, taking pixels from 0 to 255."""
    allow_cpu_torch()
    from facenet_pytorch.models.mtcnn import ONet, PNet, RNet  # imports torchvision, which needs the line above

    networks: list[nn.Module] = []
    for network in (PNet(), RNet(), ONet()):
        first: nn.Conv2d = network.conv1
        with torch.no_grad():
            weight = first.weight / HALF_RANGE
            assert first.bias is not None  # those three have one
            first.bias -= (weight * MIDDLE).sum(dim=(1, 2, 3))
            first.weight.copy_(weight)
        networks.append(network.eval())
    return [_OneHead(networks[0]).eval(), *networks[1:]]


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
