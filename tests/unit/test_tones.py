"""Quantiles by counting are those by sorting."""

import numpy as np
import pytest

from shared.images.tones import counted, quantile


@pytest.mark.parametrize("size", [1, 2, 3, 200, 22_201])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.95, 0.99, 1])
def test_quantiles_are_numpys(size: int, share: float) -> None:
    for most in (2, 20, 256):
        pixels = np.random.default_rng(size).integers(0, most, size, dtype=np.uint8)
        assert quantile(counted(pixels), share) == pytest.approx(np.quantile(pixels, share), abs=1e-9)
