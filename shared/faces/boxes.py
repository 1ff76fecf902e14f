"""What MTCNN does with boxes. A box is left, top, right, bottom in pixels; arrays of them are float32 (N, 4).

The arithmetic is facenet-pytorch's, down to the pixel that its sizes count extra, so that the same faces come out.
"""

from collections.abc import Callable

import numpy as np

Measure = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

BLOCK = 128  # boxes compared at once, each with each


def best_of_overlapping(boxes: np.ndarray, scores: np.ndarray, most: float) -> np.ndarray:
    """Which boxes stay, best score first, if one goes that shares more than `most` with a better one: of the area that
    both cover together (intersection over union).
    """
    return _best(boxes.astype(np.float64), np.argsort(-scores, kind="stable"), 0, most, of_both)


def best_of_contained(boxes: np.ndarray, scores: np.ndarray, most: float) -> np.ndarray:
    """The same, but measured by the smaller one of the two: so a face within a face goes."""
    return _best(boxes, np.argsort(scores)[::-1], 1, most, of_smaller)


def of_both(shared: np.ndarray, area: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """The area that two boxes cover together, by what they share and what each covers."""
    together: np.ndarray = area + areas - shared
    return together


def of_smaller(shared: np.ndarray, area: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """The area of the smaller one of two boxes."""
    return np.minimum(area, areas)


def _best(boxes: np.ndarray, order: np.ndarray, extra: int, most: float, measure: Measure) -> np.ndarray:
    """Take boxes in an order, each with all that overlap it too much. `extra` pixels are added to each side.

    Some hundred boxes come here for each scale of each image. So they are compared block by block, all pairs at once:
    one call of numpy instead of one for each box.
    """
    kept = [np.zeros(0, np.int64)]
    while order.size:
        block, order = order[:BLOCK], order[BLOCK:]
        alive = np.ones(len(block), dtype=bool)
        for place, alike in enumerate(_alike(boxes[block], boxes[block], extra, most, measure)):
            if alive[place]:
                alive[place + 1 :] &= ~alike[place + 1 :]
        kept.append(block[alive])
        order = order[~_alike(boxes[block[alive]], boxes[order], extra, most, measure).any(axis=0)]
    return np.concatenate(kept)


def _alike(some: np.ndarray, others: np.ndarray, extra: int, most: float, measure: Measure) -> np.ndarray:
    """Which of some (N, 4) overlap which of others (M, 4) too much: (N, M)."""
    left, top, right, bottom = some.T[:, :, None]
    lefts, tops, rights, bottoms = others.T[:, None, :]
    shared = np.minimum(right, rights) - np.maximum(left, lefts) + extra
    height = np.minimum(bottom, bottoms) - np.maximum(top, tops) + extra
    # Boxes that do not meet share nothing, also where both differences are negative.
    shared = np.maximum(shared, 0) * np.maximum(height, 0)
    area = (right - left + extra) * (bottom - top + extra)
    areas = (rights - lefts + extra) * (bottoms - tops + extra)
    # Multiplied out, so that boxes without area need no division by zero.
    alike: np.ndarray = shared > most * measure(shared, area, areas)
    return alike


def moved(boxes: np.ndarray, by: np.ndarray, extra: int) -> np.ndarray:
    """Boxes whose edges are moved by shares (N, 4) of their size, `extra` pixels counted in."""
    width, height = boxes[:, 2] - boxes[:, 0] + extra, boxes[:, 3] - boxes[:, 1] + extra
    changed: np.ndarray = boxes + by * np.stack([width, height, width, height], axis=1)
    return changed


def square(boxes: np.ndarray) -> np.ndarray:
    """Squares around the middles of boxes, with their longer sides."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.max(axis=1, keepdims=True)
    corner = boxes[:, :2] + size * np.float32(0.5) - side * np.float32(0.5)
    return np.concatenate([corner, corner + side], axis=1)


def within(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """The whole pixels of boxes that are within an image: int (N, 4). What has none ends where it begins, or before."""
    whole = np.trunc(boxes).astype(np.int64)
    begin = np.maximum(whole[:, :2], 1) - 1
    return np.concatenate([begin, np.minimum(whole[:, 2:], [width, height])], axis=1)
