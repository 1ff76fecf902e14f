"""What the pictures of an explanation are drawn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from shared.images.heatmap import overlaid
from shared.wording import Weighed, adding_up


@dataclass(frozen=True)
class ExplainedFace:
    """A face with its score and what made it.

    `crop` is an encoded picture; `contributions` float (words, rows, columns), what each word adds to the logit at each
    region; `words` are in the order of the caption. `constant` and all contributions add up to `logit`.
    """

    crop: bytes
    caption: str
    words: Sequence[Weighed]
    contributions: np.ndarray
    constant: float
    logit: float
    score: float
    uncertainty: float
    percentile: float
    flags: Sequence[str]

    def picture(self, side: int) -> Image.Image:
        """The crop as an RGB picture, `side` pixels wide and high."""
        return Image.open(BytesIO(self.crop)).convert("RGB").resize((side, side), Image.Resampling.LANCZOS)

    def heat_map(self, side: int) -> Image.Image:
        """The crop under what all words add, on its own scale."""
        return overlaid(self.picture(side), self.contributions.sum(axis=0))

    def word_map(self, word: int, side: int) -> Image.Image:
        """The crop under what one word adds, on the scale of all words of this face."""
        return overlaid(self.picture(side), self.contributions[word], strongest(self.contributions))

    def sum(self) -> str:
        """The line that says whether the parts add up, added here and now from the contributions themselves."""
        return adding_up(self.constant, float(self.contributions.sum(dtype=np.float64)), self.logit)


def strongest(contributions: np.ndarray) -> float:
    """The largest amount that a single word adds at a single region, of `contributions` (words, rows, columns).

    It is the scale of single words' maps: two words of a face can be compared, and the heaviest can be seen. On the
    scale of the whole map, which is the sum over some thirty words, one word alone would hardly colour anything.
    """
    return float(np.abs(contributions).max(initial=0.0))
