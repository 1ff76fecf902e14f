"""The demo's photographs."""

from pathlib import Path

import numpy as np
import pytest

from services.samples import write_samples
from shared.errors import BrokenImage, NotAnImage
from shared.images.decode import decode


def test_the_samples_show_every_kind_of_result(tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in write_samples(tmp_path / "photos")}
    with pytest.raises(BrokenImage):
        decode(files.pop("broken.jpg"), max_pixels=10**7)
    with pytest.raises(NotAnImage):
        decode(files.pop("not-an-image.jpg"), max_pixels=10**7)
    decoded = {name: decode(content, max_pixels=10**7) for name, content in files.items()}
    upright, turned = decoded["astronaut.png"].pixels.astype(int), decoded["astronaut-turned.jpg"].pixels.astype(int)
    assert np.abs(upright - turned).mean() < 3, "it is upright once it is decoded"
    assert {content[:3] for content in files.values()} == {b"\xff\xd8\xff", b"\x89PN", b"RIF"}
