"""Decoding apart: the pixels are the same, and a file that takes the decoder over gets nowhere and harms nobody."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from shared.errors import BrokenImage, DecodeCrashed, DecoderUnavailable, DecodeTimeout, NotAnImage, TooLarge
from shared.images.decode import ORIENTATION_TAG, decode
from shared.images.decoders import Decoders
from tests.hostile_decoder import FORBIDDEN, REFUSED, file_that
from tests.processes import alive
from tests.unit.test_decode import corners, png_header, saved

ROOT = Path(__file__).parents[2]
PLENTY = 1_000_000  # pixels
GOOD = saved(corners(), "JPEG", quality=95)


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    with Decoders(PLENTY) as made:
        yield made


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Decoders]:
    """Decoders that files can take over, with little patience."""
    monkeypatch.syspath_prepend(ROOT)
    with Decoders(PLENTY, cpu_seconds=1, wall_seconds=8, module="tests.hostile_decoder") as made:
        yield made


def children() -> set[int]:
    return {process.pid for process in psutil.Process().children() if alive(process)}


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    return exif


@pytest.mark.parametrize("how", [{}, {"long_side": 24}, {"reduced": 2}])
@pytest.mark.parametrize(
    ("kind", "image", "options"),
    [
        ("JPEG", corners(), {"exif": turned()}),
        ("JPEG", corners().convert("CMYK"), {"progressive": True}),
        ("PNG", corners().quantize(4), {"transparency": 0}),
        ("PNG", Image.fromarray(np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) * 21), {}),
        ("PNG", corners().convert("LA"), {"exif": turned()}),
        ("WEBP", corners().convert("RGBA"), {"lossless": True, "exif": turned()}),
        ("WEBP", corners(), {"save_all": True, "append_images": [corners(64, 48)]}),
    ],
)
def test_it_is_decoded_as_it_would_be_here(
    decoders: Decoders, kind: str, image: Image.Image, options: dict[str, Any], how: dict[str, int]
) -> None:
    content = saved(image, kind, **options)
    apart, here = decoders.decode(content, max_pixels=PLENTY, **how), decode(content, max_pixels=PLENTY, **how)
    assert np.array_equal(apart.pixels, here.pixels)
    assert (apart.width, apart.height, apart.scale) == (here.width, here.height, here.scale)
    assert apart.pixels.flags.writeable


def test_refusals_come_through_and_the_process_stays(decoders: Decoders) -> None:
    decoders.decode(GOOD, max_pixels=PLENTY)
    before = children()
    with pytest.raises(NotAnImage):
        decoders.decode(b"", max_pixels=PLENTY)
    with pytest.raises(BrokenImage):
        decoders.decode(GOOD[:-200], max_pixels=PLENTY)
    with pytest.raises(TooLarge, match="64 x 48 pixels"):
        decoders.decode(GOOD, max_pixels=100)
    with pytest.raises(TooLarge, match="2147483647 x 2147483647"):
        decoders.decode(png_header(2**31 - 1, 2**31 - 1), max_pixels=PLENTY)
    assert decoders.decode(GOOD, max_pixels=PLENTY).width == 64
    assert children() == before


def test_memory_of_a_large_image_is_given_back() -> None:
    before, large = children(), saved(corners(4000, 2000), "PNG")
    with Decoders(8_000_000) as fresh:
        shared = []
        for content in (GOOD, large, GOOD):
            assert fresh.decode(content, max_pixels=8_000_000).width in (64, 4000)
            [decoder] = children() - before
            shared.append(psutil.Process(decoder).memory_info().shared)
    # The pixels of the large one are 24 MB, and nothing else that is shared changes by so much.
    assert shared[1] < shared[0] + 8e6


def test_metadata_is_gone(decoders: Decoders) -> None:
    """Not only from the file that is made of it: what comes out are pixels and three numbers."""
    exif = turned()
    exif[0x010E] = "the secret description"
    decoded = decoders.decode(saved(corners(), "JPEG", exif=exif), max_pixels=PLENTY)
    assert set(vars(decoded)) == {"pixels", "width", "height", "scale"}
    assert type(decoded.pixels) is np.ndarray


@pytest.mark.parametrize("deed", FORBIDDEN)
def test_code_in_the_decoder_has_no_rights(hostile: Decoders, deed: str) -> None:
    """Also as root, which these tests run as in many places: the kernel says EPERM, whatever the limits would say."""
    with pytest.raises(BrokenImage) as refused:
        hostile.decode(file_that(deed), max_pixels=PLENTY)
    assert refused.value.detail == f"{REFUSED}{errno.EPERM}"


def test_nothing_is_open_in_the_decoder_but_its_two_pipes() -> None:
    before = children()
    with Decoders(PLENTY) as fresh:
        fresh.decode(GOOD, max_pixels=PLENTY)
        [decoder] = children() - before
        open_files = {path.name: path.readlink() for path in Path(f"/proc/{decoder}/fd").iterdir()}
    assert sorted(open_files) == ["0", "1"]
    assert all(str(target).startswith("pipe:") for target in open_files.values())


def test_the_decoder_inherits_no_secrets(hostile: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEMEM_DATABASE_URL", "postgresql+psycopg://user:password@host/database")
    with pytest.raises(BrokenImage) as told:
        hostile.decode(file_that("environment"), max_pixels=PLENTY)
    names = told.value.detail.split()
    assert "OMP_NUM_THREADS" in names
    assert not [name for name in names if "FACEMEM" in name]


@pytest.mark.parametrize(
    ("deed", "error"),
    [
        ("exit", DecodeCrashed),
        ("segfault", DecodeCrashed),
        ("abort", DecodeCrashed),
        ("loop", DecodeTimeout),
        ("wait", DecodeTimeout),
        ("babble", DecodeCrashed),
        ("too_many_pixels", DecodeCrashed),
        ("four_gigabytes", TooLarge),
    ],
)
def test_a_deadly_file_fails_alone(hostile: Decoders, deed: str, error: type[Exception]) -> None:
    assert hostile.decode(GOOD, max_pixels=PLENTY).width == 64
    with pytest.raises(error):
        hostile.decode(file_that(deed), max_pixels=PLENTY)
    assert hostile.decode(GOOD, max_pixels=PLENTY).width == 64


def test_neighbours_in_other_threads_are_not_affected(hostile: Decoders) -> None:
    files = [GOOD, file_that("segfault"), GOOD, file_that("exit"), GOOD, GOOD, file_that("loop"), GOOD]

    def outcome(content: bytes) -> str:
        try:
            return str(hostile.decode(content, max_pixels=PLENTY).width)
        except (DecodeCrashed, DecodeTimeout) as error:
            return error.code

    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(outcome, files))
    assert outcomes == ["64", "decode_crashed", "64", "decode_crashed", "64", "64", "decode_timeout", "64"]


def test_an_image_is_not_blamed_when_its_process_was_killed(hostile: Decoders) -> None:
    hostile.decode(GOOD, max_pixels=PLENTY)
    for pid in children():
        os.kill(pid, signal.SIGKILL)
    assert hostile.decode(GOOD, max_pixels=PLENTY).width == 64


def test_a_decoder_that_does_not_start_is_no_images_fault() -> None:
    with Decoders(PLENTY, module="shared.no_such_module") as broken, pytest.raises(DecoderUnavailable):
        broken.decode(GOOD, max_pixels=PLENTY)


@pytest.mark.parametrize("busy", ["", "loop"])
def test_the_decoder_ends_with_its_worker(busy: str) -> None:
    """Killed without warning: an idle decoder at once, one that computes when its time is over."""
    code = (
        "import sys, threading, psutil; from shared.images.decoders import Decoders; "
        "from tests.hostile_decoder import file_that; from tests.unit.test_decoders import GOOD\n"
        "decoders = Decoders(10**6, cpu_seconds=2, module='tests.hostile_decoder')\n"
        "decoders.decode(GOOD, max_pixels=10**6)\n"
        "print(psutil.Process().children()[0].pid, flush=True)\n"
        "decoders.decode(file_that(sys.argv[1]), max_pixels=10**6) if sys.argv[1] else sys.stdin.read()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", code, busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT
    ) as worker:
        assert worker.stdout is not None
        decoder = psutil.Process(int(worker.stdout.readline()))
        worker.kill()
        worker.wait()
    assert psutil.wait_procs([decoder], timeout=60)[1] == []
