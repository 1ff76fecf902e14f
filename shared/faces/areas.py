"""Means over rectangles of an image, all taken from one summed-area table (Crow 1984).

MTCNN looks at an image on ten scales and at some hundred crops of it, each resampled by areas. With the table a mean
over however many pixels is four look-ups. Sums are whole numbers, so they are exact where floats would round.
"""

import numpy as np
import torch


class SummedAreas:
    """The table of one image, uint8 (height, width, 3). Both resamplings are what torch calls `area`: each pixel of the
    result is the mean over all pixels that its square touches (torch.nn.functional.interpolate).
    """

    def __init__(self, pixels: np.ndarray) -> None:
        self.height, self.width, channels = pixels.shape
        # Sums may pass 2**32 and begin again at 0; differences of two are right all the same (modulo 2**32).
        table = np.empty((self.height + 1, self.width + 1, channels), np.uint32)
        table[0], table[:, 0] = 0, 0
        # torch's cumsum is faster than numpy's; and down, adding whole rows is faster than either.
        along = torch.cumsum(torch.from_numpy(np.require(pixels, requirements="W")), dim=1, dtype=torch.int32)
        table[1:, 1:] = along.numpy().view(np.uint32)
        rows = table.reshape(self.height + 1, -1)
        above = rows[0]
        for row in rows[1:]:
            row += above
            above = row
        self._table = table

    def scaled(self, height: int, width: int) -> np.ndarray:
        """The whole image at another size: float32 (height, width, 3), values 0..255."""
        top, bottom = _edges(0, self.height, height)
        left, right = _edges(0, self.width, width)
        rows = self._table.take(bottom, 0, mode="clip")
        rows -= self._table.take(top, 0, mode="clip")
        sums = rows.take(right, 1, mode="clip")
        sums -= rows.take(left, 1, mode="clip")
        return _means(sums, (bottom - top)[:, None] * (right - left)[None, :])

    def crops(self, boxes: np.ndarray, side: int) -> np.ndarray:
        """Squares of `side` pixels from boxes, int (N, 4) as left, top, right, bottom within the image, none of them
        empty: float32 (N, side, side, 3), values 0..255.
        """
        left, right = _edges(boxes[:, 0, None], boxes[:, 2, None] - boxes[:, 0, None], side)
        top, bottom = _edges(boxes[:, 1, None], boxes[:, 3, None] - boxes[:, 1, None], side)
        flat, stride = self._table.reshape(-1, self._table.shape[2]), self.width + 1
        above, below = (top * stride)[:, :, None], (bottom * stride)[:, :, None]
        before, behind = left[:, None, :], right[:, None, :]
        sums = flat.take(below + behind, 0, mode="clip")
        sums -= flat.take(above + behind, 0, mode="clip")
        sums -= flat.take(below + before, 0, mode="clip")
        sums += flat.take(above + before, 0, mode="clip")
        return _means(sums, (bottom - top)[:, :, None] * (right - left)[:, None, :])


def _edges(first: int | np.ndarray, pixels: int | np.ndarray, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each of `parts` begins and ends, if so many pixels are cut into them and each gets all that it touches."""
    part = np.arange(parts)
    return first + part * pixels // parts, first - (-(part + 1) * pixels // parts)


def _means(sums: np.ndarray, areas: np.ndarray) -> np.ndarray:
    means = sums.astype(np.float32)
    means /= areas[..., None].astype(np.float32)
    return means
