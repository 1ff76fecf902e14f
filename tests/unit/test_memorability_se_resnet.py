"""SE-ResNet-50 against a second way of writing it down, from the pickle to the patches."""

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from services.training.encoders import MINILM_FILES, MINILM_SHA256
from services.training.vggface2 import convert, load_vggface2
from shared.memorability.encoders import encode
from shared.memorability.preprocessing import vggface2_input
from shared.memorability.se_resnet import FrozenBatchNorm, SEResNet50
from shared.memorability.text_encoder import MiniLMEncoder
from tests.vggface2_file import random_weights, write


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    return random_weights(seed=7)


@pytest.fixture(scope="module")
def network(weights: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> SEResNet50:
    folder: Path = tmp_path_factory.mktemp("weights")
    return load_vggface2(convert(write(folder / "file.pkl", weights), folder / "file.safetensors").path)


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    """Noise at several scales, so that neighbouring pixels resemble each other."""
    random = np.random.default_rng(3)
    noise = sum(
        np.kron(random.random((2, side, side, 3)), np.ones((1, 224 // side, 224 // side, 1))) for side in (7, 28, 224)
    )
    return (noise * 85).astype(np.uint8)


class WrittenDown:
    """The network once more, in float64: convolutions as sums of shifted products, all else as formulas."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights = {name: torch.from_numpy(array).double() for name, array in weights.items()}

    def patches(self, crops: np.ndarray) -> Tensor:
        blue, green, red = (crops[..., channel].astype(np.float64) for channel in (2, 1, 0))
        x = torch.from_numpy(np.stack([blue - 91.4953, green - 103.8827, red - 131.0912], axis=1))
        x = self.norm("bn1", self.convolution("conv1", x, stride=2, padding=3)).clamp(min=0)
        x = functional.pad(x, (0, 1, 0, 1), value=-torch.inf)  # 112 to 113: the last window overhangs by one
        x = x.unfold(2, 3, 2).unfold(3, 3, 2).amax((4, 5))
        for stage, blocks in ((1, 3), (2, 4), (3, 6), (4, 3)):
            for block in range(blocks):
                x = self.block(f"layer{stage}.{block}", x, stride=2 if stage > 1 and block == 0 else 1)
        return torch.stack([x[:, :, row, column] for row in range(7) for column in range(7)], dim=1)

    def block(self, at: str, x: Tensor, stride: int) -> Tensor:
        y = self.norm(f"{at}.bn1", self.convolution(f"{at}.conv1", x, stride=stride)).clamp(min=0)
        y = self.norm(f"{at}.bn2", self.convolution(f"{at}.conv2", y, padding=1)).clamp(min=0)
        y = self.norm(f"{at}.bn3", self.convolution(f"{at}.conv3", y))
        squeezed = y.mean((2, 3)) @ self.matrix(f"{at}.conv4").T + self.weights[f"{at}.conv4.bias"]
        excited = squeezed.clamp(min=0) @ self.matrix(f"{at}.conv5").T + self.weights[f"{at}.conv5.bias"]
        y = y / (1 + torch.exp(-excited))[:, :, None, None]
        if f"{at}.downsample.0.weight" in self.weights:
            x = self.norm(f"{at}.downsample.1", self.convolution(f"{at}.downsample.0", x, stride=stride))
        return (y + x).clamp(min=0)

    def matrix(self, name: str) -> Tensor:
        return self.weights[f"{name}.weight"][:, :, 0, 0]

    def norm(self, name: str, x: Tensor) -> Tensor:
        scale, shift, mean, variance = (
            self.weights[f"{name}.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * scale + shift

    def convolution(self, name: str, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
        kernel = self.weights[f"{name}.weight"]  # (out, in, side, side)
        side = kernel.shape[2]
        padded = torch.zeros(len(x), x.shape[1], x.shape[2] + 2 * padding, x.shape[3] + 2 * padding, dtype=x.dtype)
        padded[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]] = x
        places = (padded.shape[2] - side) // stride + 1
        total = torch.zeros(len(x), len(kernel), places, places, dtype=x.dtype)
        for down in range(side):
            for right in range(side):
                seen = padded[:, :, down : down + places * stride : stride, right : right + places * stride : stride]
                total += torch.einsum("nchw,oc->nohw", seen[:, :, :places, :places], kernel[:, :, down, right])
        return total


def test_the_network_equals_its_formulas(
    network: SEResNet50, weights: dict[str, np.ndarray], crops: np.ndarray
) -> None:
    with torch.inference_mode():
        patches = network(torch.from_numpy(crops))
        expected = WrittenDown(weights).patches(crops)
    assert patches.dtype == torch.float32
    assert patches.shape == expected.shape == (2, 49, 2048)
    scale = float(expected.abs().max())
    assert 1 < scale < 1e4  # neither died out nor blew up
    assert float((expected[0] - expected[1]).abs().mean()) > 0.01 * float(expected.std())  # and it tells pictures apart
    assert float((patches - expected).abs().max()) < 1e-5 * scale


def test_padding_of_the_pool_is_told_apart(
    network: SEResNet50, crops: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above would see the pooling of other ResNets, which has the same shape."""
    with torch.inference_mode():
        patches = network(torch.from_numpy(crops))
        pool = functional.max_pool2d
        monkeypatch.setattr(
            functional, "max_pool2d", lambda x, side, stride, ceil_mode: pool(x, side, stride, padding=1)
        )
        other = network(torch.from_numpy(crops))
    assert float((patches - other).abs().max()) > 1e-3 * float(patches.max())


def test_a_known_pixel_becomes_blue_green_red_less_the_means() -> None:
    crop = torch.zeros(1, 224, 224, 3, dtype=torch.uint8)
    crop[0, 5, 9] = torch.tensor([255, 128, 0])  # orange, as red, green, blue
    pixels = vggface2_input(crop)
    assert pixels.shape == (1, 3, 224, 224)
    assert pixels[0, :, 5, 9].tolist() == pytest.approx([-91.4953, 128 - 103.8827, 255 - 131.0912], abs=1e-4)
    assert pixels[0, :, 9, 5].tolist() == pytest.approx([-91.4953, -103.8827, -131.0912], abs=1e-4)


def test_patches_lie_row_by_row(network: SEResNet50) -> None:
    """A change in a corner of the crop changes the patches of that corner most."""
    crops = torch.full((3, 224, 224, 3), 120, dtype=torch.uint8)
    crops[1, :48, -48:] = torch.tensor([250, 20, 180], dtype=torch.uint8)  # top right
    crops[2, -48:, :48] = torch.tensor([250, 20, 180], dtype=torch.uint8)  # bottom left
    with torch.inference_mode():
        patches = network(crops)
    (top, right), (bottom, left) = (
        divmod(int(place), 7) for place in (patches[1:] - patches[0]).abs().mean(2).argmax(1)
    )
    assert max(top, left) <= 1
    assert min(bottom, right) >= 5


def test_a_face_does_not_depend_on_its_batch(network: SEResNet50, crops: np.ndarray) -> None:
    """Batch normalisation is frozen, also where somebody switches the network to training."""
    text = MiniLMEncoder(MINILM_SHA256, MINILM_FILES, 256, torch.device("cpu"))
    together = encode(network.train(), text, crops, ["Green eyes.", "Grey hair."], torch.float32)
    alone = encode(network.eval(), text, crops[1:], ["Grey hair."], torch.float32)
    assert together[1].patches.shape == (49, 2048)
    scale = float(alone[0].patches.abs().max())
    assert float((together[1].patches - alone[0].patches).abs().max()) < 1e-3 * scale  # float16


def test_folded_norms_change_rounding_only(network: SEResNet50, crops: np.ndarray) -> None:
    folded = deepcopy(network).eval()
    folded.fold_norms()
    assert not [layer for layer in folded.modules() if isinstance(layer, FrozenBatchNorm)]
    with torch.inference_mode():
        expected, found = network(torch.from_numpy(crops)), folded(torch.from_numpy(crops))
    assert float((found - expected).abs().max()) < 1e-5 * float(expected.abs().max())
