"""Crops of large photographs: cut from as many pixels as they need, not more."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from PIL.JpegImagePlugin import get_sampling

from shared.compute import PLAIN
from shared.errors import DecodeCrashed
from shared.faces.finder import FaceFinder
from shared.images.decode import Decoded, decode
from shared.images.decoders import Decode
from shared.settings import Settings
from tests.photographs import HOPPER
from workers.detection import detect as detection
from workers.detection.detect import Photograph, detect

LARGE = 2400  # pixels on the longer side, so that the crop is cut from half of them
FULL_COLOUR, SHARED_COLOUR = 0, 2  # what Pillow calls 4:4:4 and 4:2:0


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder(PLAIN, min_face=40, threshold=0.95)


def photograph(kind: str, orientation: int = 1) -> bytes:
    image = Image.open(str(HOPPER)).convert("RGB")
    image = image.resize((round(image.width * LARGE / max(image.size)), round(image.height * LARGE / max(image.size))))
    if orientation == 6:  # is to be turned by a quarter to the right when it is shown
        image = image.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = BytesIO()
    image.save(file, kind, exif=exif, quality=92)
    return file.getvalue()


def seen(finder: FaceFinder, content: bytes, decode: Decode = decode) -> Photograph:
    [found] = detect(finder, decode, [content], Settings.model_construct(detection_long_side=800))
    assert isinstance(found, Photograph)
    return found


def crop(found: Photograph) -> np.ndarray:
    [face] = found.faces
    return np.asarray(Image.open(BytesIO(face.crop_jpeg)), dtype=float)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_crop_from_half_the_pixels_is_the_crop_from_all(
    finder: FaceFinder, monkeypatch: pytest.MonkeyPatch, orientation: int
) -> None:
    content, asked = photograph("JPEG", orientation), []
    reduced = seen(finder, content, lambda content, **how: asked.append(how) or decode(content, **how))
    assert asked[-1]["reduced"] == 2
    monkeypatch.setattr(detection, "_reduced", lambda *_: 1)
    full = seen(finder, content)
    assert np.abs(crop(reduced) - crop(full)).mean() < 4
    assert (reduced.width, reduced.height) == (full.width, full.height)
    [one], [other] = reduced.faces, full.faces
    assert one.box == other.box
    assert np.array_equal(one.landmarks, other.landmarks)
    assert one.flags == other.flags
    # Squares are of whole pixels, which are twice as large in half the photograph; so they lie elsewhere by a fraction.
    assert np.abs(np.subtract(one.crop_box, other.crop_box)).max() <= 3


def test_crops_keep_all_of_their_colour_and_copies_for_people_do_not(finder: FaceFinder) -> None:
    found = seen(finder, photograph("PNG"))
    [face] = found.faces
    sampling = [get_sampling(Image.open(BytesIO(jpeg))) for jpeg in (face.crop_jpeg, found.jpeg)]
    assert sampling == [FULL_COLOUR, SHARED_COLOUR]


def test_what_cannot_be_decoded_in_part_is_decoded_in_full(finder: FaceFinder) -> None:
    from_png, from_jpeg = seen(finder, photograph("PNG")), seen(finder, photograph("JPEG"))
    assert np.abs(crop(from_png) - crop(from_jpeg)).mean() < 4
    [one], [other] = from_png.faces, from_jpeg.faces
    assert np.abs(np.subtract(one.crop_box, other.crop_box)).max() <= 6


def test_an_image_that_cannot_be_decoded_again_fails_alone(finder: FaceFinder) -> None:
    """Its crops need more pixels than the faces were looked for in, and then the decoder ends."""

    def crashing(content: bytes, **how: int) -> Decoded:
        if content == bad and "long_side" not in how:
            raise DecodeCrashed
        return decode(content, **how)

    good, bad = photograph("JPEG"), photograph("PNG")
    first, second = detect(finder, crashing, [bad, good], Settings.model_construct(detection_long_side=800))
    assert isinstance(first, DecodeCrashed)
    assert isinstance(second, Photograph)
