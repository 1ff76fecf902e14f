"""MTCNN's networks on pieces, on filled-up images and with layers of our own: what they answer stays the same."""

import numpy as np
import pytest
import torch
from torch import nn

from shared.compute import PLAIN, Compute
from shared.faces import cascade, networks
from shared.faces.areas import SummedAreas
from shared.faces.networks import Networks, places
from shared.faces.quick_layers import RowPReLU, SlicePool

ENGINES = [PLAIN, Compute(torch.device("cpu"), "openvino", torch.float32)]


@pytest.fixture(scope="module", params=ENGINES, ids=lambda compute: compute.engine)
def loaded(request: pytest.FixtureRequest) -> Networks:
    return networks.load(request.param)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).uniform(0, 255, shape).astype(np.float32)


@pytest.mark.parametrize("size", [(12, 12), (13, 800), (800, 13), (333, 401), (50, 400), (51, 400), (52, 400)])
@pytest.mark.parametrize("piece", [0, 400 * 40, 400 * 300])
def test_an_image_in_pieces(
    loaded: Networks, size: tuple[int, int], piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`piece`: pixels, as processors with small and large caches have them."""
    monkeypatch.setattr(networks, "PIECE_PIXELS", piece)
    image = noise(3, *size)
    assert loaded.in_pieces
    logits, shifts = loaded.propose(image)
    at_once = Networks(loaded.run, in_pieces=False).propose(image)
    assert logits.shape == shifts.shape[1:] == (places(size[0]), places(size[1]))
    assert logits == pytest.approx(at_once[0], abs=1e-3)
    assert shifts == pytest.approx(at_once[1], abs=1e-3)


@pytest.mark.parametrize("crops", [1, 16, 39])
@pytest.mark.parametrize("piece", [0, 2**14, 2**16])
def test_crops_in_pieces(loaded: Networks, crops: int, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "PIECE_PIXELS", piece)
    at_once = Networks(loaded.run, in_pieces=False)
    for side, ours, other in ((24, loaded.refine, at_once.refine), (48, loaded.locate, at_once.locate)):
        shown = noise(crops, 3, side, side)
        for answer, expected in zip(ours(shown), other(shown), strict=True):
            assert len(answer) == crops
            assert answer == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("size", [(96, 97), (97, 96), (101, 103)])
def test_what_an_image_is_filled_up_with_changes_its_last_places_at_most(size: tuple[int, int]) -> None:
    """And none where a side is even, where no place reaches beyond the edge."""
    plain = networks.load(PLAIN)
    areas = SummedAreas(noise(150, 150, 3).astype(np.uint8), 1000)
    rows, columns = (places(side) for side in size)
    exact, _ = plain.propose(areas.scaled(*size))
    filled, _ = plain.propose(areas.scaled(*size, cascade.FILLED_UP))
    assert exact.shape == (rows, columns)
    rows, columns = rows - size[0] % 2, columns - size[1] % 2
    assert filled[:rows, :columns] == pytest.approx(exact[:rows, :columns], abs=1e-3)


@pytest.mark.parametrize("cache", [2**18, 2**19, 2**20, 2**21])
def test_images_of_all_sizes_come_to_the_networks_in_few_shapes(cache: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What engines keep for each shape would otherwise grow with every size of photograph that comes.

    cache: bytes of the processor's second one, by which images are cut into pieces.
    """
    monkeypatch.setattr(networks, "PIECE_PIXELS", cache // 32)
    plain, shapes = networks.load(PLAIN), set()

    def noted(number: int, pixels: np.ndarray) -> list[np.ndarray]:
        shapes.add((number, pixels.shape))
        return plain.run(number, pixels)

    for side in range(120, 460, 3):
        cascade.detect(np.zeros((side, side, 3), np.uint8), Networks(noted, plain.in_pieces), 40)
    scales = sum(len(cascade.scales(side, side, 40)) for side in range(120, 460, 3))
    assert len(shapes) < scales / 30


@pytest.mark.parametrize("last", [0, 1])
def test_proposals_that_are_moved_out_of_the_image_are_none(last: int) -> None:
    """`last`: the number of the network that moves them there, so that the next one has nothing to look at."""
    plain = networks.load(PLAIN)

    def run(number: int, pixels: np.ndarray) -> list[np.ndarray]:
        away = -9.0 if number == last else 0.0  # shares of its size
        if number == 0:
            seen = places(pixels.shape[2]), places(pixels.shape[3])
            return [np.stack([np.full(seen, 9.0), *4 * [np.full(seen, away)]])[None].astype(np.float32)]
        if number == 1:
            return [np.full((len(pixels), 4), away, np.float32), np.tile(np.float32([0, 1]), (len(pixels), 1))]
        return plain.run(number, pixels)

    image = np.zeros((30, 30, 3), np.uint8)
    assert len(cascade.detect(image, Networks(run, plain.in_pieces), 12).boxes) == 0


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2)])
@pytest.mark.parametrize("sides", [(8, 8), (9, 22), (23, 9), (22, 21), (3, 3), (4, 5)])
def test_pooling_is_as_torch_does_it(sides: tuple[int, int], size: int, stride: int) -> None:
    values = torch.from_numpy(noise(2, 5, *sides) - 128)
    for layout in (torch.contiguous_format, torch.channels_last):
        shown = values.contiguous(memory_format=layout)
        found = SlicePool(size, stride)(shown)
        assert torch.equal(found, nn.MaxPool2d(size, stride, ceil_mode=True)(shown))
        assert found.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("sides", [(8, 8), (1, 9), (7, 1)])
def test_prelu_is_as_torch_does_it(sides: tuple[int, int]) -> None:
    values, weight = torch.from_numpy(noise(2, 5, *sides) - 128), nn.Parameter(torch.tensor([-1.5, -0.2, 0, 0.3, 2]))
    for layout in (torch.contiguous_format, torch.channels_last):
        shown = values.contiguous(memory_format=layout)
        assert torch.equal(RowPReLU(weight)(shown), torch.prelu(shown, weight))
