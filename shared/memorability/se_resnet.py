"""The visual encoder of `reference`: SE-ResNet-50 as published with VGGFace2, up to its last feature map.

Cao et al. 2018, "VGGFace2: a dataset for recognising faces across pose and age"; the blocks are from Hu et al. 2018,
"Squeeze-and-excitation networks". Three things differ from other ResNets: a stage halves the picture in the first 1 x 1
convolution of its first block, the max-pool has no padding and rounds up, and every block weighs its channels. Layers
bear the names of the public PyTorch weights. The network is frozen wherever it is used.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from shared.memorability.pieces import CPU_SIZES
from shared.memorability.preprocessing import vggface2_input

BLOCKS = (3, 4, 6, 3)  # bottlenecks in each of the four stages
STEM = 64  # channels before the first stage
EXPANSION = 4  # a block hands on so many times the channels it works in
SQUEEZE = 16  # the squeezed description of a block's channels is so many times shorter
WIDTH = 2048  # numbers per patch
GRID = (7, 7)  # patches of a crop, rows and columns
EPSILON = 1e-5  # added to variances, in Caffe as in PyTorch


class FrozenBatchNorm(nn.Module):
    """Batch normalisation with the means and variances of its training, whatever batch it sees."""

    running_mean: Tensor
    running_var: Tensor
    eps = EPSILON

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, S, S), each channel scaled and shifted."""
        return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class Bottleneck(nn.Module):
    """A residual block: narrow, look around, widen, and weigh each channel by what the whole picture holds."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        channels_out = channels * EXPANSION
        self.conv1 = nn.Conv2d(channels_in, channels, 1, stride, bias=False)
        self.bn1 = FrozenBatchNorm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = FrozenBatchNorm(channels)
        self.conv3 = nn.Conv2d(channels, channels_out, 1, bias=False)
        self.bn3 = FrozenBatchNorm(channels_out)
        self.conv4 = nn.Conv2d(channels_out, channels_out // SQUEEZE, 1)
        self.conv5 = nn.Conv2d(channels_out // SQUEEZE, channels_out, 1)
        self.downsample: nn.Module = nn.Identity()
        if channels_in != channels_out:  # the first block of a stage
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), FrozenBatchNorm(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, S, S) to (N, 4 * channels, S / stride, S / stride)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        gate = functional.adaptive_avg_pool2d(y, 1)  # (N, 4 * channels, 1, 1)
        gate = functional.relu(self.conv4(gate))
        gate = torch.sigmoid(self.conv5(gate))
        return functional.relu(y * gate + self.downsample(x))

    def fold_norms(self) -> None:
        """As `SEResNet50.fold_norms`."""
        for number in (1, 2, 3):
            _fold(self, f"conv{number}", f"bn{number}")
        if isinstance(self.downsample, nn.Sequential):
            _fold(self.downsample, "0", "1")


def stage(channels_in: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    """Blocks in a row; the first may halve the picture."""
    rest = [Bottleneck(channels * EXPANSION, channels, 1) for _ in range(blocks - 1)]
    return nn.Sequential(Bottleneck(channels_in, channels, stride), *rest)


class SEResNet50(nn.Module):
    """Crops to 7 x 7 patches of 2048 numbers, none of them negative. The classifier of identities is left out."""

    cpu_sizes = CPU_SIZES  # its many weights are read once for all crops of a piece

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, STEM, 7, 2, padding=3, bias=False)
        self.bn1 = FrozenBatchNorm(STEM)
        self.layer1 = stage(STEM, 64, BLOCKS[0], 1)
        self.layer2 = stage(256, 128, BLOCKS[1], 2)
        self.layer3 = stage(512, 256, BLOCKS[2], 2)
        self.layer4 = stage(1024, 512, BLOCKS[3], 2)

    def forward(self, crops: Tensor) -> Tensor:
        """uint8 crops (N, 224, 224, 3) RGB to patches (N, 49, 2048), row by row."""
        x = vggface2_input(crops)  # (N, 3, 224, 224)
        x = functional.relu(self.bn1(self.conv1(x)))  # (N, 64, 112, 112)
        x = functional.max_pool2d(x, 3, 2, ceil_mode=True)  # (N, 64, 56, 56)
        x = self.layer1(x)  # (N, 256, 56, 56)
        x = self.layer2(x)  # (N, 512, 28, 28)
        x = self.layer3(x)  # (N, 1024, 14, 14)
        x = self.layer4(x)  # (N, 2048, 7, 7)
        return x.flatten(2).transpose(1, 2)

    def fold_norms(self) -> None:
        """Let each convolution do what the normalisation behind it does: the same numbers, but for rounding, which
        happens once then. Its tensors are not those of a bundle any more.
        """
        _fold(self, "conv1", "bn1")
        for block in self.modules():
            if isinstance(block, Bottleneck):
                block.fold_norms()


def _fold(there: nn.Module, convolution: str, norm: str) -> None:
    setattr(there, convolution, fuse_conv_bn_eval(getattr(there, convolution), getattr(there, norm)))
    setattr(there, norm, nn.Identity())
