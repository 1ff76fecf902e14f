"""From crops to what the visual encoder takes."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

# MTCNN's own scaling (Zhang et al. 2016, as in facenet-pytorch): bytes to about -1..1, RGB.
BYTE_CENTRE, BYTE_SCALE = 127.5, 1 / 128


def to_input(crops: np.ndarray, device: torch.device) -> Tensor:
    """uint8 (N, 224, 224, 3) RGB to float32 (N, 3, 224, 224) as MTCNN scales it."""
    pixels = torch.from_numpy(np.ascontiguousarray(crops)).to(device).permute(0, 3, 1, 2).float()
    return (pixels - BYTE_CENTRE) * BYTE_SCALE


def at_side(images: Tensor, side: int) -> Tensor:
    """`images` (N, 3, H, W) as squares of `side` pixels, each the mean of the pixels it covers."""
    return functional.interpolate(images, (side, side), mode="area")
