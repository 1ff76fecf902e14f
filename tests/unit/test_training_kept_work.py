"""Work that is kept is found again by what it was made from, code included; nobody else's is taken or broken."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from services.training import faces
from services.training.datasets.data_set import DataSet
from services.training.datasets.sources import own
from services.training.encoders import FrozenEncoders, Networks, compact_encoders
from services.training.encoding import states_of
from services.training.faces import Crops, crops_of
from services.training.whole_files import put
from shared.memorability import text_encoder
from tests.photographs import HOPPER

CAPTIONS = ["A faint smile; long hair."] * 2
CROPS = Crops(
    np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8),
    np.zeros((2, 5, 2), dtype=np.float32),
    np.arange(2),
)


def silent(_what: str, _share: float) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="module")
def encoders() -> FrozenEncoders:
    return compact_encoders(Networks(), torch.device("cpu"))


def made(encoders: FrozenEncoders) -> Callable[[torch.device], FrozenEncoders]:
    return lambda _device: encoders


def test_the_same_encoders_have_the_same_digest(encoders: FrozenEncoders) -> None:
    assert encoders.digest() == encoders.digest()
    assert encoders.digest() != replace(encoders, files={"tokenizer.json": b"{}"}).digest()


def test_states_are_kept(encoders: FrozenEncoders, tmp_path: Path) -> None:
    states_of(made(encoders), CROPS, CAPTIONS, tmp_path, silent)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    states_of(made(encoders), CROPS, CAPTIONS, tmp_path, silent)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == files
    assert len(files) == 1


def test_code_that_tells_sentences_otherwise_is_another_digest(
    encoders: FrozenEncoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = encoders.digest()
    monkeypatch.setattr(text_encoder, "SENTENCE_END", text_encoder.WORD)
    assert encoders.digest() != before


def test_code_that_sees_otherwise_is_another_digest(encoders: FrozenEncoders, monkeypatch: pytest.MonkeyPatch) -> None:
    before = encoders.digest()
    seen = type(encoders.visual).forward
    monkeypatch.setattr(type(encoders.visual), "forward", lambda self, crops: seen(self, crops).flip(1))
    assert encoders.digest() != before


def test_crops_are_kept_until_their_version_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hopper.jpg").write_bytes(HOPPER.read_bytes())
    data = DataSet(tmp_path, ["hopper.jpg"], np.zeros(1), own("mine", "score", 0, 1))
    work = tmp_path / "work"
    assert len(crops_of(data, work, silent)) == len(crops_of(data, work, silent)) == 1
    assert len(list(work.iterdir())) == 1
    monkeypatch.setattr(faces, "CROPS_VERSION", faces.CROPS_VERSION + 1)
    crops_of(data, work, silent)
    assert len(list(work.iterdir())) == 2


def test_an_unfinished_file_is_this_processs_own_and_goes_away(tmp_path: Path) -> None:
    path, names = tmp_path / "a.npz", []

    def write(unfinished: Path) -> None:
        unfinished.write_text("half")
        names.append(unfinished.name)
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        put(path, write)
    assert str(os.getpid()) in names[0]
    assert list(tmp_path.iterdir()) == []
    put(path, lambda unfinished: unfinished.write_text("whole"))
    assert path.read_text() == "whole"
