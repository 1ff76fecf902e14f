"""Finding faces: photographs a second, against facenet-pytorch's MTCNN.detect with the same networks and settings.

Photographs are composed of the portraits that installed packages carry: one to six people of mixed sizes, upright and
across. One thread. Each engine that is installed has rows of its own; a further row tells how many of the largest faces
are the same as facenet-pytorch's (IoU of 0.9 or more).

python -m benchmarks.detection [--quick] [--json]
"""

from functools import partial
from importlib.util import find_spec
from itertools import chain
from typing import Any

import numpy as np
import torch

from benchmarks.measure import Row, arguments, side_by_side, tell
from benchmarks.photographs import composed, portrait
from shared.compute import Compute, Engine
from shared.faces.finder import FaceFinder
from shared.faces.torchvision_ops import allow_cpu_torch
from shared.images.crop import Box

BARS: dict[Engine, float] = {"torch": 2.5, "openvino": 3.5}
SETTINGS = ((1024, 20), (1024, 40), (512, 40))  # long side of the photographs, smallest face, in pixels
PAIRS = 12
PICTURES = 6  # composed and portraits, as many of each
SAME, SAME_SHARE = 0.9, 0.995
COMPARED, QUICK_COMPARED = 400, 30  # photographs whose largest faces are compared


def main() -> None:
    """Print a table."""
    asked = arguments(__doc__)
    torch.set_num_threads(1)
    settings, pairs, count = (SETTINGS[1:2], 3, QUICK_COMPARED) if asked.quick else (SETTINGS, PAIRS, COMPARED)
    engines = [engine for engine in BARS if find_spec(engine)]
    rows = [compared(engine, side, min_face, pairs) for side, min_face in settings for engine in engines]
    rows += [agreement(engine, count) for engine in engines]
    tell(rows, asked.json, ("torch", "openvino", "facenet-pytorch", "numpy"))


def compared(engine: Engine, side: int, min_face: int, pairs: int) -> Row:
    """Both at one setting."""
    pictures = photographs(PICTURES, side)
    peer, ours = facenet(min_face), FaceFinder(Compute.chosen("cpu", engine), min_face, 0.0)
    took = side_by_side(
        lambda: ours.find(pictures), lambda: [peer.detect(picture, landmarks=True) for picture in pictures], pairs
    )
    each = [seconds / len(pictures) * 1000 for seconds in (took.ours_seconds, took.peer_seconds)]
    return Row(
        "detection",
        f"faces in photographs of {side} pixels, from {min_face} pixels, {engine}",
        "facenet-pytorch MTCNN.detect",
        f"{each[0]:.1f} ms a photograph",
        f"{each[1]:.1f} ms",
        took.ratio,
        took.low,
        took.high,
        BARS[engine],
    )


def agreement(engine: Engine, count: int) -> Row:
    """How many of the peer's largest faces we have too. Where it has none, none is right."""
    side, min_face = SETTINGS[0]
    peer, ours = facenet(min_face), FaceFinder(Compute.chosen("cpu", engine), min_face, 0.0)
    same = [_same(peer, ours, picture) for picture in photographs(count // 2, side)]
    share = sum(same) / len(same)
    return Row(
        "detection",
        f"largest faces that are the same (IoU of at least {SAME:g}), {engine}",
        "facenet-pytorch MTCNN.detect",
        f"{sum(same)}",
        f"{len(same)} photographs",
        share,
        share,
        share,
        SAME_SHARE,
        "of all",
    )


def _same(peer: Any, ours: FaceFinder, picture: np.ndarray) -> bool:
    boxes, _, _ = peer.detect(picture, landmarks=True)
    [found] = ours.find([picture])
    if boxes is None:
        return not found
    return bool(found) and overlap((*map(float, boxes[0]),), found[0].box) >= SAME


def facenet(min_face: int) -> Any:
    """The peer."""
    allow_cpu_torch()
    from facenet_pytorch import MTCNN  # imports torchvision, which needs the line above

    return MTCNN(min_face_size=min_face, keep_all=True).eval()


def photographs(count: int, side: int) -> list[np.ndarray]:
    """So many groups and as many portraits."""
    makers = chain.from_iterable((partial(composed, number), partial(portrait, number)) for number in range(count))
    return [np.asarray(make(side)) for make in makers]


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (area - shared)


if __name__ == "__main__":
    main()
