"""The import of VGGFace2's weights: the file as it circulates, files that are not it, and files that mean harm."""

import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

from services.cli.main import cli
from services.training.array_pickle import MOST_READS, read_arrays
from services.training.vggface2 import convert, expected_shapes, load_vggface2
from shared.errors import WeightsInvalid
from tests import vggface2_file
from tests.vggface2_file import write

SMALL = {"fc.bias": np.arange(6, dtype=np.float32).reshape(2, 3), "conv1.weight": np.ones(3, np.float32)}


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    return vggface2_file.random_weights()


@pytest.fixture(scope="module")
def published(weights: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("weights") / "senet50_scratch_weight.pkl", weights)


def refusal(path: Path, content: bytes | None = None) -> str:
    """Why the import refuses the file. Nothing is written."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsInvalid) as caught:
        convert(path, path.with_suffix(".safetensors"))
    assert caught.value.code == "weights_invalid"
    assert [each.suffix for each in path.parent.iterdir()] == [path.suffix]
    return caught.value.detail


def test_the_made_file_is_of_the_published_kind(published: Path, weights: dict[str, np.ndarray]) -> None:
    content = published.read_bytes()
    with pytest.raises(UnicodeDecodeError):
        pickle.loads(content)
    read = pickle.loads(content, encoding="latin1")  # what the public code does with the published file
    assert list(read) == list(weights)
    assert all(np.array_equal(read[name], weights[name]) for name in weights)


def test_the_whole_file_becomes_safetensors(published: Path, weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    imported = convert(published, tmp_path / "vggface2.safetensors")
    written = load_file(imported.path)
    assert set(written) == set(weights) - {"fc.weight", "fc.bias"}
    assert all(np.array_equal(written[name], weights[name]) for name in written)
    assert imported.numbers == sum(array.size for array in written.values()) == 26_092_144
    assert imported.path.stat().st_size == pytest.approx(4 * imported.numbers, rel=0.001)
    assert convert(published, tmp_path / "again.safetensors").sha256 == imported.sha256
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["again.safetensors", "vggface2.safetensors"]
    network = load_vggface2(imported.path)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert np.array_equal(network.state_dict()["layer3.5.conv4.bias"].numpy(), weights["layer3.5.conv4.bias"])


def test_names_and_shapes_are_the_published_ones() -> None:
    assert expected_shapes() == vggface2_file.shapes()


def test_everything_wrong_is_said_at_once(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    changed = dict(weights)
    del changed["layer2.1.conv5.bias"]
    changed["fc.bias"] = changed["fc.bias"][:1000]
    changed["layer5.0.conv1.weight\x1b[31m"] = np.zeros(1, np.float32)
    changed["bn1.weight"] = changed["bn1.weight"].astype(np.float64)
    said = refusal(tmp_path / "file.pkl", pickle.dumps(changed, protocol=2))
    assert "missing: layer2.1.conv5.bias;" in said
    assert "fc.bias (1000,) instead of (8631,)" in said
    assert r"'layer5.0.conv1.weight\x1b[31m'" in said
    assert "not float32: bn1.weight <f8" in said


def test_another_network_is_refused(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    plain = {name: array for name, array in weights.items() if ".conv4." not in name and ".conv5." not in name}
    assert "missing: layer1.0.conv4.weight" in refusal(write(tmp_path / "resnet50_scratch_weight.pkl", plain))
    headless = {name: array for name, array in weights.items() if not name.startswith("fc.")}
    assert "missing: fc.weight, fc.bias" in refusal(write(tmp_path / "resnet50_scratch_weight.pkl", headless))


@pytest.mark.parametrize(
    ("name", "number"), [("layer4.2.conv3.weight", np.nan), ("bn1.running_var", -1), ("fc.bias", np.inf)]
)
def test_unsound_numbers_are_refused(weights: dict[str, np.ndarray], name: str, number: float, tmp_path: Path) -> None:
    changed = weights | {name: weights[name].copy()}
    changed[name].flat[-1] = number
    assert f"'{name}'" in refusal(write(tmp_path / "file.pkl", changed))


def test_counters_of_newer_versions_are_tolerated(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    counted = weights | {"bn1.num_batches_tracked": np.array(5), "layer1.0.bn2.num_batches_tracked": np.array(5)}
    (tmp_path / "file.pkl").write_bytes(pickle.dumps(counted, protocol=2))
    imported = convert(tmp_path / "file.pkl", tmp_path / "file.safetensors")
    assert not any(name.endswith("num_batches_tracked") for name in load_file(imported.path))


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("kind", [dict, OrderedDict])
def test_arrays_are_read_in_whatever_form_a_python_writes_them(protocol: int, kind: type, tmp_path: Path) -> None:
    arrays = kind(SMALL, turned=np.asfortranarray(SMALL["fc.bias"]), alone=np.array(3, np.float32))
    (tmp_path / "file.pkl").write_bytes(pickle.dumps(arrays, protocol=protocol))
    read = read_arrays(tmp_path / "file.pkl")
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].kind == "<f4"
        assert np.array_equal(read[name].numbers(), array)


class Runs:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def array_of(shape: bytes, code: bytes, content: bytes) -> bytes:
    """Opcodes of a pickle with one array whose parts may be anything."""
    reconstruct = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
    kind = (
        b"cnumpy\ndtype\n(U"
        + bytes([len(code)])
        + code
        + b"K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    return b"\x80\x02}U\x07fc.bias" + reconstruct + b"(K\x01" + shape + kind + b"\x89" + content + b"tbs."


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_hostile_calls_are_refused_and_not_made(protocol: int, tmp_path: Path) -> None:
    trap = tmp_path / "trap.pkl"
    shell, code = f"touch {trap}", f"open({str(trap)!r}, 'w')"
    hostile = [
        Runs(os.system, shell),
        Runs(eval, code),
        {"fc.bias": Runs(exec, code)},
        SMALL | {"x": Runs(getattr, Runs(__import__, "os"), "system")},
        Runs(np.load, str(trap), None, True),
        Runs(os.getcwd),
    ]
    for number, harm in enumerate(hostile):
        content = pickle.dumps(harm, protocol=protocol)
        assert refusal(tmp_path / "file.pkl", content), number
    assert not trap.exists()


@pytest.mark.parametrize(
    ("harm", "reason", "content"),
    [
        ("an array of objects", "'O8'", array_of(b"K\x06\x85", b"O8", b"](cos\nsystem\nU\x04truetRa")),
        (
            "an array of objects, as numpy writes it",
            "'O8'",
            pickle.dumps({"a": np.array([{}, None], dtype=object)}, protocol=2),
        ),
        ("an array with fields", "'V12'", pickle.dumps({"a": np.zeros(2, dtype="f4,i8")}, protocol=2)),
        ("a list in place of numbers", "not stored as plain numbers", array_of(b"K\x06\x85", b"f4", b"](K\x01e")),
        (
            "fewer numbers than claimed",
            "(2147483647, 2147483647) instead of (8631,)",
            array_of(b"(J\xff\xff\xff\x7fJ\xff\xff\xff\x7ft", b"f4", b"U\x04\x00\x00\x00\x00"),
        ),
        ("a negative side", "impossible shape", array_of(b"J\xff\xff\xff\xff\x85", b"f4", b"U\x00")),
        (
            "a side like a mountain",
            "impossible shape",
            array_of(b"\x8a\xff" + b"\x7f" * 255 + b"\x85", b"f4", b"U\x00"),
        ),
        ("a text longer than the file", "EOFError", b"\x80\x02}T" + struct.pack("<i", 2**31 - 1) + b"a"),
        ("bytes longer than any memory", "EOFError", b"\x80\x04}\x8e" + struct.pack("<Q", 2**62) + b"a"),
        ("a byte array as large as the memory", "KeyError", b"\x80\x05\x96" + struct.pack("<Q", 2**36) + b"."),
        ("a memo as large as the memory", "missing: conv1.weight", b"\x80\x02}r\xff\xff\xff\xff."),
        (
            "a key that takes for ever to hash",
            "other than text",
            b"\x80\x02}K\x00" + b"q\x00h\x00\x86" * 60 + b"K\x01s.",
        ),
        ("a key as deep as the stack", "other than text", b"\x80\x02}K\x00" + b"\x85" * 90_000 + b"K\x01s."),
        ("a great many small parts", "many more parts", b"\x80\x02" + b"]" * (MOST_READS + 1)),
        ("state for a class", "not an array", b"\x80\x02cnumpy\ndtype\n}U\x05buildK\x01sb."),
        ("a class by extension code", "KeyError", b"\x80\x02\x82\x01."),
        ("an object of ours by persistent id", "KeyError", b"\x80\x02U\x01aQ."),
        ("an encoding that unpacks", "'zip'", b"\x80\x02c_codecs\nencode\nU\x01aU\x03zip\x86R."),
        ("a list", "arrays by name", pickle.dumps([1, 2], protocol=2)),
        ("names of numbers", "other than text", pickle.dumps({1: SMALL["fc.bias"]}, protocol=2)),
        ("other things by name", "arrays by name", pickle.dumps({"epoch": 3}, protocol=2)),
        ("nothing", "0 bytes", b""),
        ("no pickle", "KeyError", b"\x89PNG\r\n\x1a\n" + bytes(100)),
        ("a stop at once", "IndexError", b"."),
    ],
)
def test_damaged_and_hostile_files_are_refused(harm: str, reason: str, content: bytes, tmp_path: Path) -> None:
    assert reason in refusal(tmp_path / "file.pkl", content), harm


@pytest.mark.parametrize("content", [b"U\x03abc", b"U\x05abcde", b"X\x05\x00\x00\x00" + "Ωabc".encode()])
def test_an_array_must_have_the_bytes_of_its_shape(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file.pkl").write_bytes(array_of(b"K\x01\x85", b"f4", content))
    with pytest.raises(WeightsInvalid):
        read_arrays(tmp_path / "file.pkl")["fc.bias"].numbers()


def test_a_file_that_was_cut_off_is_refused(published: Path, tmp_path: Path) -> None:
    content = published.read_bytes()
    for length in (len(content) - 1, len(content) // 2, 200, 3):
        assert "damaged" in refusal(tmp_path / "file.pkl", content[:length])


def test_a_checkpoint_of_pytorch_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "file.pkl", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(SMALL))
    assert refusal(tmp_path / "file.pkl")


def test_only_what_the_import_wrote_is_loaded(published: Path, tmp_path: Path) -> None:
    save_file({"fc.bias": SMALL["fc.bias"]}, tmp_path / "other.safetensors")
    for path in (published, tmp_path / "other.safetensors", tmp_path / "missing.safetensors"):
        with pytest.raises(WeightsInvalid, match="import-vggface2"):
            load_vggface2(path)


def test_the_command_writes_beside_the_file_and_names_both_digests(published: Path, tmp_path: Path) -> None:
    given = tmp_path / "senet50_scratch_weight.pkl"
    given.hardlink_to(published)
    run = CliRunner().invoke(cli, ["models", "import-vggface2", str(given)])
    assert run.exit_code == 0, run.output
    imported = convert(published, tmp_path / "again.safetensors")
    assert f"{given}: SHA-256 {imported.pickle_sha256}" in run.output
    assert f"{given.with_suffix('.safetensors')}: SHA-256 {imported.sha256}, 26,092,144 numbers" in run.output
    assert given.with_suffix(".safetensors").read_bytes() == imported.path.read_bytes()


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    given = tmp_path / "file.pkl"
    given.write_bytes(pickle.dumps(Runs(os.system, f"touch {tmp_path / 'trap'}")))
    run = CliRunner().invoke(cli, ["models", "import-vggface2", str(given), "--output", str(tmp_path / "out")])
    assert run.exit_code == 1
    assert "system" in run.output
    assert "Nothing in it was run" in " ".join(run.output.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == [given]


def test_the_command_cannot_write_into_a_folder_that_is_not_there(published: Path, tmp_path: Path) -> None:
    output = tmp_path / "nowhere" / "out.safetensors"
    run = CliRunner().invoke(cli, ["models", "import-vggface2", str(published), "--output", str(output)])
    assert run.exit_code == 1
    assert "No such file or directory" in " ".join(run.output.replace("│", " ").split())
