"""Finding faces: photographs a second, against facenet-pytorch's MTCNN.detect with the same networks and settings.

Photographs are those that installed packages carry: one face, several, none, in the sizes that detection looks at. One
thread. It also tells how many of the largest faces are the same (IoU of 0.9 or more).

python -m benchmarks.detection [--quick] [--json]
"""

import numpy as np
import torch
from PIL import Image

from benchmarks.measure import Row, arguments, side_by_side, tell
from services.cli.samples import ASTRONAUT, HOPPER, group, packaged
from shared.faces.finder import FaceFinder
from shared.faces.torchvision_ops import allow_cpu_torch
from shared.images.crop import Box

BAR = 2.5
SETTINGS = ((1024, 20), (1024, 40), (512, 40))  # long side of the photographs, smallest face, in pixels
PAIRS = 12
SAME = 0.9


def main() -> None:
    """Print a table."""
    asked = arguments(__doc__)
    torch.set_num_threads(1)
    settings, pairs = (SETTINGS[1:2], 3) if asked.quick else (SETTINGS, PAIRS)
    rows = [compared(side, min_face, pairs) for side, min_face in settings]
    tell(rows, asked.json, ("torch", "facenet-pytorch", "numpy"))


def compared(side: int, min_face: int, pairs: int) -> Row:
    """Both at one setting."""
    allow_cpu_torch()
    from facenet_pytorch import MTCNN  # imports torchvision, which needs the line above

    pictures = photographs(side)
    peer = MTCNN(min_face_size=min_face, keep_all=True).eval()
    ours = FaceFinder("cpu", min_face, 0.0)
    took = side_by_side(
        lambda: ours.find(pictures), lambda: [peer.detect(picture, landmarks=True) for picture in pictures], pairs
    )
    same, faces = agreement(ours, peer, pictures)
    each = [seconds / len(pictures) * 1000 for seconds in (took.ours_seconds, took.peer_seconds)]
    return Row(
        "detection",
        f"faces in photographs of {side} pixels, from {min_face} pixels",
        "facenet-pytorch MTCNN.detect",
        f"{each[0]:.1f} ms a photograph",
        f"{each[1]:.1f} ms",
        took.ratio,
        took.low,
        took.high,
        BAR,
        f"{same} of {faces} largest faces are the same",
    )


def photographs(side: int) -> list[np.ndarray]:
    """Portraits, a group of both, one without a face, upright and across, with the long side of so many pixels."""
    hopper, astronaut = packaged(*HOPPER), packaged(*ASTRONAUT)
    coffee = packaged("skimage", "data/coffee.png")
    pictures = [hopper, astronaut, group(hopper, astronaut), coffee, hopper.crop((0, 60, 512, 420))]
    found = []
    for picture in pictures:
        scale = side / max(picture.size)
        size = (round(picture.width * scale), round(picture.height * scale))
        found.append(np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)))
    return found


def agreement(ours: FaceFinder, peer: object, pictures: list[np.ndarray]) -> tuple[int, int]:
    """How many of the peer's largest faces we have too, and how many those are. Where it has none, none is right."""
    same = faces = 0
    for picture, found in zip(pictures, ours.find(pictures), strict=True):
        boxes, _, _ = peer.detect(picture, landmarks=True)  # type: ignore[attr-defined]
        faces += 1
        if boxes is None:
            same += not found
        else:
            same += bool(found) and overlap(tuple(map(float, boxes[0])), found[0].box) >= SAME
    return same, faces


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (area - shared)


if __name__ == "__main__":
    main()
