"""The process that decodes strangers' images: `python -m shared.images.decoder MEMORY DESCRIPTOR SIZE`.

It is started by shared/images/decoders.py, gives all its rights away, and then answers one request after the other
until its input ends. Pixels go into the memory of so many bytes that the descriptor leads to; the rest goes through
pipes. It imports Pillow and numpy, nothing else of weight.
"""

import os
import struct
import sys
import warnings
from contextlib import suppress
from io import BytesIO
from mmap import mmap
from pathlib import Path

from PIL import Image

from shared.errors import BrokenImage, NotAnImage, PermanentError, TooLarge
from shared.images.confine import confine
from shared.images.decode import ORIENTATION_TAG, Decoded, decode
from shared.images.pipes import read, write

REQUEST = struct.Struct("=QQII")  # bytes that follow, max_pixels, long_side (0: none), reduced
ANSWER = struct.Struct("=BIIIIQ")  # kind, height and width of the pixels, those of the image, bytes of detail
READY = b"!"
DECODED = 0
# The kinds of answers beyond DECODED: errors that the file is to blame for. The detail follows, in UTF-8.
ERRORS: tuple[type[PermanentError], ...] = (NotAnImage, BrokenImage, TooLarge)
TOO_MUCH_MEMORY = "Decoding this image takes more memory than this service gives to one."
INPUT, OUTPUT, LOG = 0, 1, 2


def main() -> None:
    """Load all that decoding needs, give the rights away, serve."""
    memory, descriptor, size = map(int, sys.argv[1:])
    pixels = mmap(descriptor, size)
    _rehearse()
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # if memory runs out, this process goes, not its worker
    for opened in list(Path("/proc/self/fd").iterdir()):  # the memory's: ours, and a copy that mmap keeps
        with suppress(OSError):
            if int(opened.name) > LOG:
                os.close(int(opened.name))
    warnings.simplefilter("ignore")
    confine(memory)
    os.close(LOG)  # of what goes wrong until here the worker's log tells; files shall not write in it
    write(OUTPUT, READY)
    with suppress(EOFError, BrokenPipeError):  # whoever asked is gone
        serve(pixels)


def _rehearse() -> None:
    """Decode one of each format, turned: modules that Pillow loads when it first needs them cannot be loaded later."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    for kind in ("JPEG", "PNG", "WEBP"):
        file = BytesIO()
        Image.new("RGB", (16, 16)).save(file, kind, exif=exif)
        decode(file.getvalue(), max_pixels=256, long_side=8)


def serve(pixels: mmap) -> None:
    """Answer requests. Raises EOFError when there are no more."""
    while True:
        length, max_pixels, long_side, reduced = REQUEST.unpack(read(INPUT, REQUEST.size))
        try:
            content = bytes(read(INPUT, length))
            _answer(decode(content, max_pixels=max_pixels, long_side=long_side or None, reduced=reduced), pixels)
        except PermanentError as error:
            _refuse(error)
        except MemoryError:
            _refuse(TooLarge(TOO_MUCH_MEMORY))


def _answer(decoded: Decoded, pixels: mmap) -> None:
    height, width = decoded.pixels.shape[:2]
    pixels[: decoded.pixels.nbytes] = decoded.pixels.data.cast("B")
    write(OUTPUT, ANSWER.pack(DECODED, height, width, decoded.height, decoded.width, 0))


def _refuse(error: PermanentError) -> None:
    detail = error.detail.encode()
    write(OUTPUT, ANSWER.pack(1 + ERRORS.index(type(error)), 0, 0, 0, 0, len(detail)) + detail)


if __name__ == "__main__":
    main()
