"""Decoding: every kind of picture that people have, and files made to do harm."""

import struct
import warnings
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from shared.errors import BrokenImage, NotAnImage, TooLarge
from shared.images.decode import ORIENTATION_TAG, decode, encode_jpeg

PLENTY = 10_000_000  # pixels
RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)


def corners(width: int = 64, height: int = 48) -> Image.Image:
    """Red, green, blue and grey quarters: no orientation looks like another."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2], pixels[: height // 2, width // 2 :] = RED, GREEN
    pixels[height // 2 :, : width // 2], pixels[height // 2 :, width // 2 :] = BLUE, GREY
    return Image.fromarray(pixels)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def assert_upright(pixels: np.ndarray, tolerance: int = 12) -> None:
    height, width = pixels.shape[:2]
    for (row, column), colour in zip([(1, 1), (1, 3), (3, 1), (3, 3)], [RED, GREEN, BLUE, GREY], strict=True):
        seen = pixels[row * height // 4, column * width // 4].astype(int)
        assert np.abs(seen - colour).max() <= tolerance, (row, column, seen)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"quality": 95}),
    ],
)
def test_formats(kind: str, options: dict[str, Any]) -> None:
    decoded = decode(saved(corners(), kind, **options), max_pixels=PLENTY)
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.shape == (48, 64, 3)
    assert (decoded.width, decoded.height, decoded.scale) == (64, 48, 1.0)
    assert_upright(decoded.pixels)


@pytest.mark.parametrize("mode", ["P", "CMYK", "RGB"])
def test_colour_modes(mode: str) -> None:
    image = corners().quantize(4) if mode == "P" else corners().convert(mode)
    content = saved(image, "JPEG", quality=95) if mode == "CMYK" else saved(image, "PNG")
    assert_upright(decode(content, max_pixels=PLENTY).pixels)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
def test_grey_modes(mode: str) -> None:
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    if mode == "I;16":
        image = Image.fromarray(ramp.astype(np.uint16) * 257)
        assert image.mode == mode
    else:
        image = Image.fromarray(ramp).convert(mode)
    pixels = decode(saved(image, "PNG"), max_pixels=PLENTY).pixels
    assert pixels.shape == (48, 64, 3)
    assert (pixels[..., 0] == pixels[..., 2]).all()
    if mode != "1":
        assert np.abs(pixels[..., 0].astype(int) - ramp).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize("long_side", [None, 24])
def test_transparent_is_white(kind: str, long_side: int | None) -> None:
    image = corners().convert("RGBA")
    image.putalpha(Image.fromarray(np.where(np.arange(64) < 32, 255, 0).astype(np.uint8)[None].repeat(48, 0)))
    pixels = decode(saved(image, kind, lossless=True), max_pixels=PLENTY, long_side=long_side).pixels
    height, width = pixels.shape[:2]
    assert np.abs(pixels[height // 4, width // 4].astype(int) - RED).max() <= 2
    assert (pixels[:, 3 * width // 4] >= 253).all()


def test_transparent_palette_colour_is_white() -> None:
    image = corners().quantize(4)
    content = saved(image, "PNG", transparency=image.getpixel((0, 0)))
    pixels = decode(content, max_pixels=PLENTY).pixels
    assert (pixels[4, 4] == 255).all()
    assert np.abs(pixels[4, 60].astype(int) - GREEN).max() <= 2


def as_stored(orientation: int) -> Image.Image:
    """How a camera stores `corners()` under an EXIF orientation: the inverse of what brings it upright."""
    undo = {
        1: [],
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_270],
        8: [Image.Transpose.ROTATE_270],
    }
    image = corners()
    for step in undo[orientation]:
        image = image.transpose(step)
    return image


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_orientation(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    content = saved(as_stored(orientation), kind, exif=exif, quality=95)
    decoded = decode(content, max_pixels=PLENTY)
    assert decoded.pixels.shape == (48, 64, 3)
    assert (decoded.width, decoded.height) == (64, 48)
    assert_upright(decoded.pixels, tolerance=40)
    small = decode(content, max_pixels=PLENTY, long_side=32)
    assert small.pixels.shape == (24, 32, 3)
    assert (small.width, small.height, small.scale) == (64, 48, 0.5)
    assert_upright(small.pixels, tolerance=40)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_metadata_does_no_harm() -> None:
    content = saved(corners(), "JPEG", exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff" + b"\xff" * 40, quality=95)
    assert_upright(decode(content, max_pixels=PLENTY).pixels, tolerance=40)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("long_side", [1000, 999, 250, 64, 1])
def test_long_side(kind: str, long_side: int) -> None:
    decoded = decode(saved(corners(1000, 400), kind), max_pixels=PLENTY, long_side=long_side)
    height, width = decoded.pixels.shape[:2]
    assert width == long_side
    assert height == max(1, round(400 * long_side / 1000))
    assert (decoded.width, decoded.height) == (1000, 400)
    assert decoded.scale == width / 1000
    if long_side >= 64:
        assert_upright(decoded.pixels, tolerance=40)


def test_small_images_are_not_enlarged() -> None:
    assert decode(saved(corners(), "PNG"), max_pixels=PLENTY, long_side=500).pixels.shape == (48, 64, 3)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM", "ICO", "TGA"])
def test_other_formats(kind: str) -> None:
    with pytest.raises(NotAnImage):
        decode(saved(corners(), kind), max_pixels=PLENTY)


@pytest.mark.parametrize("content", [b"", b"hello", b"<svg/>", b"%PDF-1.7", b"\x00" * 100, b"RIFF\0\0\0\0WAVEfmt "])
def test_not_images(content: bytes) -> None:
    with pytest.raises(NotAnImage):
        decode(content, max_pixels=PLENTY)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.03, 0.3, 0.6, 0.9])
def test_cut_off(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8)
    content = saved(Image.fromarray(noise), kind)
    with pytest.raises(BrokenImage):
        decode(content[: max(16, int(len(content) * share))], max_pixels=PLENTY)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["JPEG", "PNG", "WEBP"]), where=st.floats(0.0, 1.0), value=st.binary(min_size=1, max_size=8)
)
def test_damaged_files_give_pixels_or_our_errors(kind: str, where: float, value: bytes) -> None:
    content = bytearray(saved(corners(), kind))
    start = int(where * (len(content) - 1))
    content[start : start + len(value)] = value
    try:
        decoded = decode(bytes(content), max_pixels=PLENTY, long_side=40)
    except (NotAnImage, BrokenImage, TooLarge):
        return
    assert max(decoded.pixels.shape[:2]) <= 40


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("lossless", [True, False])
def test_ceiling(kind: str, lossless: bool) -> None:
    content = saved(corners(64, 48), kind, lossless=lossless)
    assert decode(content, max_pixels=64 * 48).width == 64
    with pytest.raises(TooLarge, match="64 x 48"):
        decode(content, max_pixels=64 * 48 - 1)


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises so many pixels and has almost none."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    shape = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", shape) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [13_300, 100_000, 2**31 - 1])
def test_bombs_are_refused_by_their_header(side: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TooLarge):
            decode(png_header(side, side), max_pixels=100_000_000)


def test_webp_bomb_is_refused_before_its_canvas_is_made() -> None:
    content = bytearray(
        saved(corners(), "WEBP", lossless=True, exif=Image.Exif(), save_all=True, append_images=[corners(64, 48)])
    )
    assert content[12:16] == b"VP8X"
    content[24:30] = b"\xff\xff\xff\xff\xff\xff"
    with pytest.raises(TooLarge, match="16777216 x 16777216"):
        decode(bytes(content), max_pixels=100_000_000)


def test_our_ceiling_counts_not_pillows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow warns and then fails at limits of its own; only ours is told to people."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(saved(corners(), "PNG"), max_pixels=PLENTY).width == 64


def test_animation_gives_its_first_frame() -> None:
    for kind in ("PNG", "WEBP"):
        content = saved(corners(), kind, save_all=True, append_images=[Image.new("RGB", (64, 48), "black")])
        assert_upright(decode(content, max_pixels=PLENTY).pixels, tolerance=40)


def test_pixels_can_be_written_to() -> None:
    assert decode(saved(corners(), "PNG"), max_pixels=PLENTY).pixels.flags.writeable


def test_encode_jpeg() -> None:
    pixels = np.asarray(corners())
    content = encode_jpeg(pixels, quality=95)
    assert_upright(decode(content, max_pixels=PLENTY).pixels)
    assert b"Exif" not in content
    assert len(encode_jpeg(pixels, quality=30)) < len(content)


@pytest.mark.parametrize(
    ("kind", "reduced", "shape"), [("JPEG", 2, (500, 200)), ("JPEG", 8, (125, 50)), ("PNG", 4, (1000, 400))]
)
def test_reduced(kind: str, reduced: int, shape: tuple[int, int]) -> None:
    decoded = decode(saved(corners(400, 1000), kind), max_pixels=PLENTY, reduced=reduced)
    assert decoded.pixels.shape[:2] == shape
    assert (decoded.width, decoded.height, decoded.scale) == (400, 1000, shape[1] / 400)
    assert_upright(decoded.pixels, tolerance=40)
