"""From the bytes of a file to RGB pixels, and back to JPEG.

The format is read from the content, the size from the header before a pixel is decoded, and whatever Pillow raises
becomes one of three errors. For what strangers sent, shared/images/decoders.py does this in a process of its own.
"""

from dataclasses import dataclass
from io import BytesIO
from math import ceil

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from shared.errors import BrokenImage, NotAnImage, TooLarge
from shared.images.formats import JPEG, PNG, WEBP, media_type

PLUGINS: dict[str, type[ImageFile]] = {JPEG: JpegImageFile, PNG: PngImageFile, WEBP: WebPImageFile}
ORIENTATION_TAG = 0x0112  # TIFF 6.0 and EXIF 2.3
TURN_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Decoded:
    """An upright RGB picture.

    `pixels` is uint8 (height, width, 3), perhaps scaled down; `width` and `height` are those of the full upright image,
    in pixels; `scale` is pixels' width / `width`, so a point of the full image times `scale` is a point of `pixels`.
    """

    pixels: np.ndarray
    width: int
    height: int
    scale: float


def decode(content: bytes, *, max_pixels: int, long_side: int | None = None, reduced: int = 1) -> Decoded:
    """Decode a JPEG, PNG or WebP file, upright, without metadata, transparency laid on white.

    `max_pixels` bounds width x height of the image; `long_side` bounds the pixels returned. `reduced` (1, 2, 4 or 8)
    lets a JPEG be decoded at that part of its size, which is cheaper; other files are not. Animations give their first
    frame. Raises NotAnImage, BrokenImage or TooLarge.
    """
    try:
        image = _open(content, max_pixels)
        orientation = _orientation(image)
        width, height = image.size
        if reduced > 1 and isinstance(image, JpegImageFile):
            image.draft(None, (ceil(width / reduced), ceil(height / reduced)))
        upright = _upright(_rgb(_scaled(image, long_side)), orientation)
    except (NotAnImage, TooLarge, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise TooLarge from error
    except Exception as error:  # Pillow's decoders let nearly any error through when a file is made to break them.
        raise BrokenImage from error
    if orientation >= 5:  # 5 to 8 turn by a quarter
        width, height = height, width
    pixels = np.array(upright)
    return Decoded(pixels, width, height, pixels.shape[1] / width)


def encode_jpeg(pixels: np.ndarray, quality: int = 90, *, full_colour: bool = True) -> bytes:
    """JPEG of uint8 RGB `pixels` (height, width, 3), without metadata.

    Without `full_colour` two by two pixels share their colour, as in the files of most cameras (4:2:0), which is
    smaller and made faster: enough for people to look at.
    """
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling="4:4:4" if full_colour else "4:2:0")
    return buffer.getvalue()


def _open(content: bytes, max_pixels: int) -> ImageFile:
    """The file with its header read. The plugin is named, not guessed: no other decoder ever sees the bytes."""
    kind = media_type(content)
    if kind is None:
        raise NotAnImage
    if kind == WEBP:
        _check_size(_webp_size(content), max_pixels)  # Pillow allocates the canvas while it opens the file
    image = PLUGINS[kind](BytesIO(content))
    _check_size(image.size, max_pixels)
    return image


def _webp_size(content: bytes) -> tuple[int, int]:
    """Width and height from the first chunk of a WebP file (RFC 9649, sections 2.5 to 2.7)."""
    chunk = content[12:16]
    if chunk == b"VP8X":
        return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(content[26:28], "little") & 0x3FFF, int.from_bytes(content[28:30], "little") & 0x3FFF


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    if size[0] * size[1] > max_pixels:
        raise TooLarge(f"The image has {size[0]} x {size[1]} pixels; this service accepts {max_pixels:,} in all.")


def _orientation(image: ImageFile) -> int:
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # Damaged metadata is no reason to refuse a picture that can be seen.
        return 1
    return orientation if orientation in TURN_UPRIGHT else 1


def _scaled(image: ImageFile, long_side: int | None) -> Image.Image:
    """At most `long_side` pixels on the longer side; JPEG is decoded at the nearest larger eighth, which is cheap."""
    shrink = max(image.size) / long_side if long_side else 1
    if shrink <= 1:
        image.load()
        return image
    target = (max(1, round(image.width / shrink)), max(1, round(image.height / shrink)))
    if isinstance(image, JpegImageFile):
        image.draft(None, target)
    image.load()
    # Palettes and bit masks cannot be averaged, and transparent pixels must not bleed into their neighbours.
    return _rgb(image).resize(target, Image.Resampling.BICUBIC, reducing_gap=2.0)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of grey
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(TURN_UPRIGHT[orientation]) if orientation in TURN_UPRIGHT else image
