"""All images that Pillow tests itself with, among them those that once broke it, through the API and detection."""

import subprocess
import sys
import tarfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL
import pytest

from shared.errors import PermanentError
from shared.images.decode import Decoded, decode
from shared.images.decoders import Decode, Decoders
from shared.images.formats import media_type
from shared.settings import Settings
from tests.conftest import missing
from tests.integration.hostile.conftest import Sent, told

IMAGES = "Tests/images/"
MOST_BYTES = 32 * 2**20  # of one file, as the API takes it


@pytest.fixture(scope="module")
def corpus(pytestconfig: pytest.Config) -> dict[str, bytes]:
    """Content by path, from the source distribution of the Pillow that is installed. It is fetched once and kept."""
    folder = pytestconfig.cache.mkdir("pillow-source")
    archive = folder / f"pillow-{PIL.__version__}.tar.gz"
    if not archive.is_file():
        fetch(folder)
    if not archive.is_file():
        missing(f"the source distribution of Pillow {PIL.__version__} (pip download)")
    files = {}
    with tarfile.open(archive) as opened:
        for member in opened:
            _, _, path = member.name.partition(IMAGES)
            if member.isfile() and path:
                content = opened.extractfile(member)
                assert content is not None
                files[path] = content.read()
    return files


def fetch(folder: Path) -> None:
    """pip's `download` takes it from whichever index pip is set up for, and builds nothing."""
    wanted = ["--no-deps", "--no-binary", "pillow", f"pillow=={PIL.__version__}", "--dest", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *wanted], check=False, timeout=240)


@pytest.mark.timeout(1200)
def test_each_ends_with_its_reason(
    corpus: dict[str, bytes], sent: Sent, record_property: Callable[[str, object], None]
) -> None:
    assert len(corpus) > 500
    distinct = {content: path for path, content in corpus.items() if content}
    # Names of their own: what is in hidden folders, or named as systems name such things, is not taken from an archive.
    files = {f"{number:04}-{Path(path).name}": content for number, (content, path) in enumerate(distinct.items())}
    ends = sent(files)
    assert ends.keys() == files.keys()
    numbers = Counter(ends.values())
    told("Pillow's own images", numbers)
    record_property("ends", dict(numbers))
    assert set(numbers) <= {"face", "no_face", "not_an_image", "broken_image", "too_large"}
    assert all((ends[name] == "not_an_image") == (media_type(content) is None) for name, content in files.items())
    assert numbers["no_face"] + numbers["face"] > 300


def test_a_confined_decoder_makes_of_them_what_a_free_one_makes(corpus: dict[str, bytes]) -> None:
    """So nothing that decoding needs is kept from it."""
    most = Settings.model_fields["max_pixels"].default
    with Decoders(most) as decoders, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path, content in corpus.items():
            if media_type(content):
                assert outcome(decoders.decode, content, most) == outcome(decode, content, most), path


def outcome(how: Decode, content: bytes, most: int) -> object:
    try:
        decoded = how(content, max_pixels=most, long_side=1024)
    except PermanentError as error:
        return error.code, error.detail
    assert isinstance(decoded, Decoded)
    assert decoded.pixels.dtype == np.uint8
    return decoded.pixels.shape, decoded.pixels.tobytes(), decoded.width, decoded.height
