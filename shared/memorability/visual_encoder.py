"""The visual encoder of `compact`: the convolutions of MTCNN's O-Net, over the crop at several sizes.

O-Net looks at 48 x 48 pixels to place the landmarks of a face. Its four convolutions know edges, eyes, mouths and hair
lines; run over a larger picture they give a map instead of one vector. A small picture shows each patch much of the
face, a large one shows it detail. All maps are brought to one grid and laid on top of each other.

Where `mirrored`, each map is the mean of what the network and its mirror image see at a place. A face and its
reflection are the same face to people; this way their patches are the same, reflected, and no head need learn so from
some hundred examples.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from shared.memorability.pieces import CPU_SIZES
from shared.memorability.preprocessing import at_side, mtcnn_input

CHANNELS = 128  # of O-Net's last convolution


class OnetConvolutions(nn.Module):
    """O-Net (Zhang et al. 2016, "Joint face detection and alignment") up to its last convolution.

    The names of the layers are those of facenet-pytorch, whose weights it takes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.conv4, self.prelu4 = nn.Conv2d(64, CHANNELS, 2), nn.PReLU(CHANNELS)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) to (N, 128, s, s); s is about S / 8 - 3, so 80 pixels give 7 and 144 give 15."""
        x = functional.max_pool2d(self.prelu1(self.conv1(images)), 3, 2, ceil_mode=True)
        x = functional.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = functional.max_pool2d(self.prelu3(self.conv3(x)), 2, 2, ceil_mode=True)
        return self.prelu4(self.conv4(x))


class OnetEncoder(nn.Module):
    """One O-Net at each of several sizes of the crop, on one grid of patches."""

    # Its maps are large: twice as many crops at once take twice the memory, and are hardly faster.
    cpu_sizes = CPU_SIZES[1:]

    def __init__(self, sides: list[int], grid: tuple[int, int], *, mirrored: bool = True) -> None:
        super().__init__()
        self.sides, self.grid, self.mirrored = sides, grid, mirrored
        self.onet = OnetConvolutions()

    @property
    def width(self) -> int:
        """Numbers per patch."""
        return CHANNELS * len(self.sides)

    def forward(self, crops: Tensor) -> Tensor:
        """uint8 crops (N, 224, 224, 3) RGB to patches (N, rows * columns, width), row by row."""
        images = mtcnn_input(crops)
        maps = [functional.adaptive_avg_pool2d(self._seen(at_side(images, side)), self.grid) for side in self.sides]
        return torch.cat(maps, dim=1).flatten(2).transpose(1, 2)

    def _seen(self, images: Tensor) -> Tensor:
        """O-Net's map, or the mean of it and that of its mirror image, each place under itself: (N, 128, s, s)."""
        if not self.mirrored:
            return self.onet(images)
        return (self.onet(images) + self.onet(images.flip(3)).flip(3)) / 2
