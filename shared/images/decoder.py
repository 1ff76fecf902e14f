"""The process that decodes strangers' images: `python -m shared.images.decoder MEMORY`.

It is started by shared/images/decoders.py, gives all its rights away, and then answers one request after the other
until its input ends. It imports Pillow and numpy, nothing else of weight.
"""

import os
import struct
import sys
import warnings
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from PIL import Image

from shared.errors import BrokenImage, NotAnImage, PermanentError, TooLarge
from shared.images.confine import confine
from shared.images.decode import ORIENTATION_TAG, Decoded, decode
from shared.images.pipes import read, write

REQUEST = struct.Struct("=QQII")  # bytes that follow, max_pixels, long_side (0: none), reduced
ANSWER = struct.Struct("=BIIIIQ")  # kind, height and width of the pixels, those of the image, bytes that follow
READY = b"!"
DECODED = 0
# The kinds of answers beyond DECODED: errors that the file is to blame for. What follows is the detail, in UTF-8.
ERRORS: tuple[type[PermanentError], ...] = (NotAnImage, BrokenImage, TooLarge)
TOO_MUCH_MEMORY = "Decoding this image takes more memory than this service gives to one."
INPUT, OUTPUT, LOG = 0, 1, 2


def main() -> None:
    """Load all that decoding needs, give the rights away, serve."""
    memory = int(sys.argv[1])
    _rehearse()
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # if memory runs out, this process goes, not its worker
    warnings.simplefilter("ignore")
    confine(memory)
    os.close(LOG)  # of what goes wrong until here the worker's log tells; files shall not write in it
    write(OUTPUT, READY)
    with suppress(EOFError, BrokenPipeError):  # whoever asked is gone
        serve()


def _rehearse() -> None:
    """Decode one of each format, turned: modules that Pillow loads when it first needs them cannot be loaded later."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    for kind in ("JPEG", "PNG", "WEBP"):
        file = BytesIO()
        Image.new("RGB", (16, 16)).save(file, kind, exif=exif)
        decode(file.getvalue(), max_pixels=256, long_side=8)


def serve() -> None:
    """Answer requests. Raises EOFError when there are no more."""
    while True:
        length, max_pixels, long_side, reduced = REQUEST.unpack(read(INPUT, REQUEST.size))
        try:
            content = bytes(read(INPUT, length))
            _answer(decode(content, max_pixels=max_pixels, long_side=long_side or None, reduced=reduced))
        except PermanentError as error:
            _refuse(error)
        except MemoryError:
            _refuse(TooLarge(TOO_MUCH_MEMORY))


def _answer(decoded: Decoded) -> None:
    height, width = decoded.pixels.shape[:2]
    pixels = decoded.pixels.data.cast("B")
    write(OUTPUT, ANSWER.pack(DECODED, height, width, decoded.height, decoded.width, len(pixels)))
    write(OUTPUT, pixels)


def _refuse(error: PermanentError) -> None:
    detail = error.detail.encode()
    write(OUTPUT, ANSWER.pack(1 + ERRORS.index(type(error)), 0, 0, 0, 0, len(detail)) + detail)


if __name__ == "__main__":
    main()
