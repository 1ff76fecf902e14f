"""Damaged images, each from a number: the same number gives the same file wherever Pillow is the same.

Nine drawn files, of every kind that is read, are bent in five ways: bits are flipped, ends cut off, lengths of chunks
changed, headers edited, two files spliced. Where a PNG's checksums would give a change away at once, half are mended.
"""

import random
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from itertools import count
from typing import Any

import numpy as np
from PIL import Image

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
HEADER = 80  # bytes, which reach beyond IHDR, VP8X and the first tables of a JPEG
PNG_START, RIFF_START = 8, 12  # where chunks begin


def mutants() -> Iterator[tuple[str, bytes]]:
    """Damaged files without end, no two the same."""
    seen = {content for _, content in originals()}
    for number in count():
        name, content = mutant(number)
        if content not in seen:
            seen.add(content)
            yield name, content


def mutant(number: int) -> tuple[str, bytes]:
    """The name and content of a damaged file."""
    chance = random.Random(number)
    kind, content = chance.choice(originals())
    how = WAYS[number % len(WAYS)]
    bent = how(content, chance)
    if kind == "png" and chance.random() < 0.5:
        bent = mended(bent)
    return f"{how.__name__}-{number:05}.{kind}", bent


@cache
def originals() -> tuple[tuple[str, bytes], ...]:
    """Valid files: small, so that a change hits something that matters."""
    noise = np.random.default_rng(0).integers(0, 255, (40, 56, 3), np.uint8)
    slope = np.add.outer(np.arange(40), np.arange(56)).astype(np.uint8) * 2
    picture = Image.fromarray(np.dstack([slope, slope // 2, noise[..., 0] // 4]))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    clear = picture.convert("RGBA")
    clear.putalpha(Image.fromarray(slope))
    return (
        ("jpg", _saved(picture, "JPEG", exif=exif, quality=80)),
        ("jpg", _saved(picture, "JPEG", progressive=True, subsampling=0)),
        ("jpg", _saved(picture.convert("CMYK"), "JPEG")),
        ("png", _saved(clear, "PNG", exif=exif)),
        ("png", _saved(picture.quantize(16), "PNG", transparency=3)),
        ("png", _saved(Image.fromarray(slope.astype(np.uint16) * 257), "PNG")),
        ("webp", _saved(picture, "WEBP", quality=70)),
        ("webp", _saved(clear, "WEBP", lossless=True, exif=exif)),
        ("webp", _saved(picture, "WEBP", save_all=True, append_images=[Image.fromarray(noise)])),
    )


def bits(content: bytes, chance: random.Random) -> bytes:
    bent = bytearray(content)
    for _ in range(chance.choice((1, 2, 8, 40))):
        bent[chance.randrange(len(bent))] ^= 1 << chance.randrange(8)
    return bytes(bent)


def truncated(content: bytes, chance: random.Random) -> bytes:
    cut = content[: chance.randrange(len(content))]
    return cut + chance.choice((b"", b"\0" * 64, b"\xff" * 64, content[-12:]))


def length(content: bytes, chance: random.Random) -> bytes:
    at, size, order = chance.choice(list(lengths(content)))
    now = int.from_bytes(content[at : at + size], order)
    then = chance.choice((*EXTREMES, now - 1, now + 1, now * 2, len(content))) % 256**size
    return content[:at] + then.to_bytes(size, order) + content[at + size :]


def header(content: bytes, chance: random.Random) -> bytes:
    bent = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        at, size = chance.randrange(2, HEADER), chance.choice((1, 2, 4))
        bent[at : at + size] = (chance.choice(EXTREMES) % 256**size).to_bytes(size, "big")
    return bytes(bent)


def spliced(content: bytes, chance: random.Random) -> bytes:
    _, other = chance.choice(originals())
    return content[: chance.randrange(4, len(content))] + other[chance.randrange(len(other)) :]


WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (bits, truncated, length, header, spliced)


def lengths(content: bytes) -> Iterator[tuple[int, int, Any]]:
    """Where a valid file says how long a part of it is: the place, its size in bytes, their order."""
    if content.startswith(b"\xff\xd8"):
        at = 2
        while content[at + 1] != 0xDA:
            yield at + 2, 2, "big"
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        yield at + 2, 2, "big"
    elif content.startswith(b"\x89PNG"):
        at = PNG_START
        while at < len(content):
            yield at, 4, "big"
            at += 12 + int.from_bytes(content[at : at + 4], "big")
    else:
        yield 4, 4, "little"
        at = RIFF_START
        while at < len(content):
            yield at + 4, 4, "little"
            size = int.from_bytes(content[at + 4 : at + 8], "little")
            at += 8 + size + size % 2


def mended(content: bytes) -> bytes:
    """A PNG whose chunks, as far as they can be told, have the checksums of what is in them."""
    bent, at = bytearray(content), PNG_START
    while at + 12 <= len(bent):
        end = at + 8 + int.from_bytes(bent[at : at + 4], "big")
        if end + 4 > len(bent):
            break
        bent[end : end + 4] = zlib.crc32(bent[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(bent)


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
