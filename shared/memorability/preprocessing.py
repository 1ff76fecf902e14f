"""From crops to what the visual encoders take. Each network was trained on pictures scaled in its own way."""

import torch
from torch import Tensor
from torch.nn import functional

# MTCNN's own scaling (Zhang et al. 2016, as in facenet-pytorch): bytes to about -1..1, RGB.
BYTE_CENTRE, BYTE_SCALE = 127.5, 1 / 128

# VGGFace2's (Cao et al. 2018): bytes stay 0..255, in Caffe's order blue, green, red, less the data set's mean colour.
BGR_MEANS = (91.4953, 103.8827, 131.0912)


def mtcnn_input(crops: Tensor) -> Tensor:
    """uint8 (N, 224, 224, 3) RGB to float32 (N, 3, 224, 224) as MTCNN scales it."""
    return (crops.permute(0, 3, 1, 2).float() - BYTE_CENTRE) * BYTE_SCALE


def vggface2_input(crops: Tensor) -> Tensor:
    """uint8 (N, 224, 224, 3) RGB to float32 (N, 3, 224, 224) BGR as the VGGFace2 networks were trained on."""
    blue_first = crops.permute(0, 3, 1, 2).flip(1).float()
    return blue_first - torch.tensor(BGR_MEANS, device=crops.device)[:, None, None]


def at_side(images: Tensor, side: int) -> Tensor:
    """`images` (N, 3, H, W) as squares of `side` pixels, each the mean of the pixels it covers."""
    return functional.interpolate(images, (side, side), mode="area")
