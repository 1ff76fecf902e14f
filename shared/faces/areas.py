"""Means over rectangles of an image, all taken from one summed-area table (Crow 1984).

MTCNN looks at an image on ten scales and at some hundred crops of it, each resampled by areas. With the table a mean
over however many pixels is four look-ups. Sums are whole numbers, so they are exact where floats would round.
"""

import numpy as np
import torch

COLOURS = 3
# The sums of all three colours share a word, which one look-up then finds: 21 bits each, which sums over so few pixels
# do not fill. The word is a sum itself: what one colour carries over to the next goes out again with the difference.
SHARE_BITS = 21
SHARE_PIXELS = (2**SHARE_BITS - 1) // 255
# So many rows, or crops, are made at once; what is needed for them stays in a core's cache.
BLOCK_ROWS, BLOCK_CROPS = 32, 32


class SummedAreas:
    """The table of one image, uint8 (height, width, 3). Both resamplings are what torch calls `area`: each pixel of the
    result is the mean over all pixels that its square touches (torch.nn.functional.interpolate).
    """

    def __init__(self, pixels: np.ndarray, most: int) -> None:
        """`most`: of how many pixels at most a mean will be asked for."""
        self.height, self.width = pixels.shape[:2]
        self._shared = most <= SHARE_PIXELS
        words = 1 if self._shared else COLOURS
        # Sums may pass 2**64 and begin again at 0; differences of two are right all the same (modulo 2**64).
        table = np.empty((self.height + 1, self.width + 1, words), np.uint64)
        table[0], table[:, 0] = 0, 0
        sums, rows = torch.from_numpy(table.view(np.int64))[1:, 1:], table.reshape(self.height + 1, -1)
        above = rows[0]
        for first in range(0, self.height, BLOCK_ROWS):
            block = pixels[first : first + BLOCK_ROWS]
            block = _in_one_word(block) if self._shared else block.astype(np.uint64)
            # torch's cumsum is faster than numpy's; and down, adding whole rows is faster than either.
            torch.cumsum(torch.from_numpy(block.view(np.int64)), dim=1, out=sums[first : first + BLOCK_ROWS])
            for row in rows[first + 1 : first + 1 + BLOCK_ROWS]:
                row += above
                above = row
        self._table = table

    def scaled(self, height: int, width: int, filled_up: int = 1) -> np.ndarray:
        """The whole image at another size: float32 (3, height, width), values 0..255.

        The last row and column are repeated until height and width are multiples of `filled_up`.
        """
        top, bottom = _edges(0, self.height, height, filled_up)
        left, right = _edges(0, self.width, width, filled_up)
        means = np.empty((COLOURS, len(top), len(left)), np.float32)
        for first in range(0, len(top), BLOCK_ROWS):
            above, below = top[first : first + BLOCK_ROWS], bottom[first : first + BLOCK_ROWS]
            rows = self._table.take(below, 0, mode="clip")
            rows -= self._table.take(above, 0, mode="clip")
            sums = rows.take(right, 1, mode="clip")
            sums -= rows.take(left, 1, mode="clip")
            self._divide(sums, (below - above)[:, None] * (right - left), means[:, first : first + BLOCK_ROWS])
        return means

    def crops(self, boxes: np.ndarray, side: int) -> np.ndarray:
        """Squares of `side` pixels from boxes, int (N, 4) as left, top, right, bottom within the image, none of them
        empty: float32 (N, 3, side, side), values 0..255.
        """
        means = np.empty((len(boxes), COLOURS, side, side), np.float32)
        for first in range(0, len(boxes), BLOCK_CROPS):
            self._cut(boxes[first : first + BLOCK_CROPS], means[first : first + BLOCK_CROPS])
        return means

    def _cut(self, boxes: np.ndarray, into: np.ndarray) -> None:
        side = into.shape[-1]
        left, right = _edges(boxes[:, 0, None], boxes[:, 2, None] - boxes[:, 0, None], side)
        top, bottom = _edges(boxes[:, 1, None], boxes[:, 3, None] - boxes[:, 1, None], side)
        flat, stride = self._table.reshape(-1, self._table.shape[2]), self.width + 1
        above, below = (top * stride)[:, :, None], (bottom * stride)[:, :, None]
        before, behind = left[:, None, :], right[:, None, :]
        sums = flat.take(below + behind, 0, mode="clip")
        sums -= flat.take(above + behind, 0, mode="clip")
        sums -= flat.take(below + before, 0, mode="clip")
        sums += flat.take(above + before, 0, mode="clip")
        self._divide(sums, (bottom - top)[:, :, None] * (right - left)[:, None, :], into.swapaxes(0, 1))

    def _divide(self, sums: np.ndarray, areas: np.ndarray, means: np.ndarray) -> None:
        """Sums (..., height, width, words) by areas (..., height, width) into means (3, ..., height, width)."""
        over = areas.astype(np.float32)
        for colour, mean in enumerate(means):
            # By way of 32 bits: processors turn several of those into floats at once, and 64 one by one.
            if self._shared:
                of_colour = (sums[..., 0] >> np.uint64(colour * SHARE_BITS)).astype(np.int32)
                of_colour &= 2**SHARE_BITS - 1
            else:
                of_colour = sums[..., colour].astype(np.int32)
            np.divide(of_colour.astype(np.float32), over, out=mean)


def _in_one_word(colours: np.ndarray) -> np.ndarray:
    """uint8 (height, width, 3) as uint64 (height, width, 1), the first colour lowest."""
    words = colours[..., 2:].astype(np.uint64)
    for colour in (1, 0):
        words <<= np.uint64(SHARE_BITS)
        words += colours[..., colour : colour + 1]
    return words


def _edges(
    first: int | np.ndarray, pixels: int | np.ndarray, parts: int, filled_up: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Where each of `parts` begins and ends, if so many pixels are cut into them and each gets all that it touches.

    The last one is repeated until their number is a multiple of `filled_up`.
    """
    part = np.minimum(np.arange(parts + -parts % filled_up), parts - 1)
    return first + part * pixels // parts, first - (-(part + 1) * pixels // parts)
