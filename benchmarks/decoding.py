"""What it costs to decode photographs in a process without rights, against decoding them where they are needed.

Photographs of 1,024 and of 4,000 pixels on the longer side, as detection asks for them. One thread.

python -m benchmarks.decoding [--quick] [--json]
"""

from functools import partial

import numpy as np

from benchmarks.measure import Row, arguments, side_by_side, tell
from benchmarks.photographs import composed
from shared.images.decode import decode, encode_jpeg
from shared.images.decoders import Decode, Decoders
from shared.settings import Settings

SIDES = (1024, 4000)
PICTURES = 8
PAIRS, QUICK_PAIRS = 20, 5
MAX_PIXELS = int(Settings.model_fields["max_pixels"].default)
LONG_SIDE = int(Settings.model_fields["detection_long_side"].default)


def main() -> None:
    """Print a table."""
    asked = arguments(__doc__)
    with Decoders(MAX_PIXELS) as apart:
        rows = [compared(apart.decode, side, QUICK_PAIRS if asked.quick else PAIRS) for side in SIDES]
    tell(rows, asked.json, ("pillow", "numpy"))


def compared(apart: Decode, side: int, pairs: int) -> Row:
    """Both for photographs of one size."""
    files = [encode_jpeg(np.asarray(composed(number, side))) for number in range(PICTURES)]
    took = side_by_side(partial(all_of, apart, files), partial(all_of, decode, files), pairs)
    ours, peer = (seconds / PICTURES * 1000 for seconds in (took.ours_seconds, took.peer_seconds))
    what = f"JPEG files of {side:,} pixels decoded apart"
    note = f"{ours - peer:+.1f} ms a file"
    words = (f"{ours:.1f} ms a file", f"{peer:.1f} ms")
    return Row("decoding", what, "the same in the worker", *words, took.ratio, took.low, took.high, note=note)


def all_of(way: Decode, files: list[bytes]) -> None:
    """Decode each."""
    for content in files:
        way(content, max_pixels=MAX_PIXELS, long_side=LONG_SIDE)


if __name__ == "__main__":
    main()
