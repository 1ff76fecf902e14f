"""What MTCNN does with boxes. A box is left, top, right, bottom in pixels; arrays of them are float32 (N, 4).

The arithmetic is facenet-pytorch's, down to the pixel that its sizes count extra, so that the same faces come out.
"""

from collections.abc import Callable

import numpy as np

Measure = Callable[[np.ndarray, np.floating, np.ndarray], np.ndarray]


def best_of_overlapping(boxes: np.ndarray, scores: np.ndarray, most: float) -> np.ndarray:
    """Which boxes stay, best score first, if one goes that shares more than `most` with a better one: of the area that
    both cover together (intersection over union).
    """
    return _best(boxes.astype(np.float64), np.argsort(-scores, kind="stable"), 0, most, of_both)


def best_of_contained(boxes: np.ndarray, scores: np.ndarray, most: float) -> np.ndarray:
    """The same, but measured by the smaller one of the two: so a face within a face goes."""
    return _best(boxes, np.argsort(scores)[::-1], 1, most, of_smaller)


def of_both(shared: np.ndarray, area: np.floating, areas: np.ndarray) -> np.ndarray:
    """The area that two boxes cover together, by what they share and what each covers."""
    together: np.ndarray = area + areas - shared
    return together


def of_smaller(shared: np.ndarray, area: np.floating, areas: np.ndarray) -> np.ndarray:
    """The area of the smaller one of two boxes."""
    return np.minimum(area, areas)


def _best(boxes: np.ndarray, order: np.ndarray, extra: int, most: float, measure: Measure) -> np.ndarray:
    """Take boxes in an order, each with all that overlap it too much. `extra` pixels are added to each side."""
    left, top, right, bottom = boxes[order].T
    # One row for each edge: what is left is cut out of all of them at once. Hundreds of boxes come here for each scale
    # of each image, so the calls of numpy themselves are what it costs.
    waiting = np.stack([left, top, right + extra, bottom + extra, (right - left + extra) * (bottom - top + extra)])
    kept = []
    while order.size:
        kept.append(order[0])
        best, waiting, order = waiting[:, 0], waiting[:, 1:], order[1:]
        shared = np.minimum(waiting[2], best[2])
        shared -= np.maximum(waiting[0], best[0])
        height = np.minimum(waiting[3], best[3])
        height -= np.maximum(waiting[1], best[1])
        # Boxes that do not meet share nothing, also where both differences are negative.
        shared = np.maximum(shared, 0) * np.maximum(height, 0)
        # Multiplied out, so that boxes without area need no division by zero.
        apart = shared <= most * measure(shared, best[4], waiting[4])
        waiting, order = waiting[:, apart], order[apart]
    return np.array(kept, dtype=np.int64)


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
