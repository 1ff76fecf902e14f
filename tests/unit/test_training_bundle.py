"""Writing a bundle: all of it is pinned, and whatever breaks leaves the old one whole."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from services.training import bundle
from shared.errors import BundleInvalid
from shared.memorability.catalogue import BundleFacts, find
from shared.memorability.verification import verify


def written(folder: Path, *, variants: bool = True, **files: bytes) -> BundleFacts:
    """Compact's own parts, written again."""
    compact = find("compact")
    config: dict[str, Any] = {name: part for name, part in compact.config.items() if name != "files"}
    held_out = json.loads((compact.path / "out_of_fold.json").read_bytes())
    found = {"image alone": np.zeros(len(held_out))} if variants else {}
    further = {name.replace("_", "."): content for name, content in files.items()}
    card = {**compact.card, "results": {**compact.card["results"], "human_ceiling": None}}
    return bundle.write(folder, config, load_file(compact.weights), card, held_out, found, further)


def test_every_file_of_a_written_bundle_is_pinned(tmp_path: Path) -> None:
    facts = written(tmp_path / "new" / "mine", tokenizer_json=b"{}")
    assert {path.name for path in facts.path.iterdir()} == {"config.json", *facts.config["files"]}
    assert "tokenizer.json" in facts.config["files"]
    assert all(check.passed for check in verify(facts.path, facts.digest))
    assert [path.name for path in facts.path.parent.iterdir()] == ["mine"]


def test_nothing_of_an_earlier_training_is_left(tmp_path: Path) -> None:
    first = written(tmp_path / "mine", tokenizer_json=b"{}")
    second = written(tmp_path / "mine", variants=False)
    assert second.digest != first.digest
    assert not {"ablations.json", "tokenizer.json"} & {path.name for path in second.path.iterdir()}
    assert all(check.passed for check in verify(second.path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("breaks", ["write_bytes", "rename"])
def test_a_crash_leaves_the_old_bundle_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: str) -> None:
    before = written(tmp_path / "mine")
    works = getattr(Path, breaks)

    def broken(path: Path, *arguments: Any) -> Any:
        if path.name == "config.json" or path.name.endswith(".new"):
            raise OSError("the disk is full")
        return works(path, *arguments)

    monkeypatch.setattr(Path, breaks, broken)
    with pytest.raises(OSError, match="full"):
        written(tmp_path / "mine", variants=False)
    monkeypatch.undo()
    assert find(tmp_path / "mine") == before
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_other_peoples_files_are_not_swapped_away(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("-")
    with pytest.raises(BundleInvalid, match=r"thesis\.tex"):
        written(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").exists()
