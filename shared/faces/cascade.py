"""MTCNN (Zhang et al. 2016): three networks, each looking closer at what the one before it proposed.

What is computed is what facenet-pytorch computes, with its networks and their weights. What is different is how the
pixels get there: from one summed-area table instead of resampling floats ten times and each crop by itself.
"""

from dataclasses import dataclass

import numpy as np

from shared.faces import boxes as geometry
from shared.faces.areas import SummedAreas
from shared.faces.networks import CELL, STRIDE, Networks, places

SHRINK = 0.709  # from one scale to the next
# Images are filled up to multiples of so many pixels, because engines make and keep code for each size that they meet.
# What lies beyond the edge is not asked for; but where a place reaches one pixel beyond it, facenet-pytorch sees
# nothing there, and we the edge once more.
FILLED_UP = 16
REFINED = FOUND = np.float32(0.7)  # confidences from which a box goes on
PROPOSED = np.float32(np.log(0.6 / 0.4))  # the same of the first network, 0.6, as a logit
REFINED_SIDE, FOUND_SIDE = 24, 48  # pixels: what the second and third network are shown
SAME_SCALE, SAME_FACE = 0.5, 0.7  # more overlap than that, within one scale or over all, is the same face


@dataclass(frozen=True)
class Detections:
    """Boxes (N, 4), confidences (N,) and landmarks (N, 5, 2), float32, in pixels; in no particular order."""

    boxes: np.ndarray
    scores: np.ndarray
    landmarks: np.ndarray


NOTHING = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))


def detect(pixels: np.ndarray, networks: Networks, min_face: int) -> Detections:
    """The faces of one image, uint8 (height, width, 3) RGB, that are at least so many pixels large."""
    areas = SummedAreas(pixels, _largest_mean(*pixels.shape[:2]))
    return _found(areas, networks, _refined(areas, networks, _proposed(areas, networks, min_face)))


def _largest_mean(height: int, width: int) -> int:
    """Of how many pixels a mean is asked for at most: of the image at its smallest, or of all of it as one crop."""
    return max((min(height, width) // CELL + 2) ** 2, (height // REFINED_SIDE + 2) * (width // REFINED_SIDE + 2))


def scales(height: int, width: int, min_face: int) -> list[float]:
    """The scales on which an image is looked at; none if it is smaller than a face may be."""
    scale = CELL / min_face
    shorter, found = min(height, width) * scale, []
    while shorter >= CELL:
        found.append(scale)
        scale *= SHRINK
        shorter *= SHRINK
    return found


def _proposed(areas: SummedAreas, networks: Networks, min_face: int) -> np.ndarray:
    """Squares that may be faces, from a look at the whole image on every scale."""
    found = [_at_scale(areas, networks, scale) for scale in scales(areas.height, areas.width, min_face)]
    if not found:
        return NOTHING.boxes
    boxes, scores, shifts = (np.concatenate(each) for each in zip(*found, strict=True))
    kept = geometry.best_of_overlapping(boxes, scores, SAME_FACE)
    return geometry.square(geometry.moved(boxes[kept], shifts[kept], 0))


def _at_scale(areas: SummedAreas, networks: Networks, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, their logits and how far they are to be moved, each best one of those that overlap."""
    height, width = int(areas.height * scale + 1), int(areas.width * scale + 1)
    logits, shifts = networks.propose(areas.scaled(height, width, FILLED_UP))
    rows, columns = np.nonzero(logits[: places(height), : places(width)] >= PROPOSED)
    place = STRIDE * np.stack([columns, rows], axis=1).astype(np.float32)
    shown = np.float32(scale)
    boxes = np.concatenate([np.floor((place + 1) / shown), np.floor((place + CELL) / shown)], axis=1)
    # Their order is all that is asked of them from here on, and logits have the same.
    scores, shifts = logits[rows, columns], shifts[:, rows, columns].T
    kept = geometry.best_of_overlapping(boxes, scores, SAME_SCALE)
    return boxes[kept], scores[kept], shifts[kept]


def _refined(areas: SummedAreas, networks: Networks, boxes: np.ndarray) -> np.ndarray:
    """Those of the proposed squares that are still faces at a second look, moved to where these are."""
    boxes, crops = _cut(areas, boxes, REFINED_SIDE)
    if not len(boxes):
        return boxes
    scores, shifts = networks.refine(crops)
    sure = scores > REFINED
    boxes, scores, shifts = boxes[sure], scores[sure], shifts[sure]
    kept = geometry.best_of_overlapping(boxes, scores, SAME_FACE)
    return geometry.square(geometry.moved(boxes[kept], shifts[kept], 1))


def _found(areas: SummedAreas, networks: Networks, boxes: np.ndarray) -> Detections:
    """Faces with landmarks, from the closest look."""
    boxes, crops = _cut(areas, boxes, FOUND_SIDE)
    if not len(boxes):
        return NOTHING
    scores, shifts, points = networks.locate(crops)
    sure = scores > FOUND
    boxes, scores, shifts, points = boxes[sure], scores[sure], shifts[sure], points[sure]
    size = boxes[:, 2:] - boxes[:, :2] + 1
    landmarks = points.reshape(-1, 2, 5).transpose(0, 2, 1) * size[:, None] + boxes[:, None, :2] - 1
    boxes = geometry.moved(boxes, shifts, 1)
    kept = geometry.best_of_contained(boxes, scores, SAME_FACE)
    return Detections(boxes[kept], scores[kept], landmarks[kept])


def _cut(areas: SummedAreas, boxes: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The boxes that have pixels in the image, and those, `side` x `side` each."""
    pixels = geometry.within(boxes, areas.width, areas.height)
    there = (pixels[:, 2:] > pixels[:, :2]).all(axis=1)
    return boxes[there], areas.crops(pixels[there], side)
