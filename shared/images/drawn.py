"""Whether a picture was drawn, painted flat or printed in few tones, and not taken by a camera.

A lens and a sensor leave some texture everywhere, and few edges are much stronger than it. Who draws leaves areas flat
and edges strong, uses few tones, or leaves most of the paper white. Any one of the three is enough.

Rates on the OMI faces: 0.1 % of all 854 as they are. Of every sixth: none in JPEG of quality 30, with noise, in grey,
overexposed by a stop, enlarged from 75 pixels; 0.7 % (one face) in JPEG of quality 15, passed through a median filter,
and darkened by two stops. Of drawings made from the same: all that were binarised, drawn in pencil, reduced to 12
colours or to 5 levels of each, or cartoonised (median filter, few tones, dark lines); 99 % of cartoons with all tones,
73 % with 8 levels of each colour, 65 % of cartoons in JPEG of quality 60.

Missed: most paintings with a brush's texture (39 % of faces passed through a mode filter of 9 pixels are caught),
renderings that imitate cameras, pictures of photographs, and whatever is blurred. Wrongly caught: grey photographs of
which more than a third is burnt out. Real drawings were not at hand: those measured are made from portraits by filters.
"""

import numpy as np
from PIL import Image

from shared.images.exposure import strongest, weakest
from shared.images.tones import VALUES, counted, quantile

# Of `evenness`: a photograph's median is 0.21, a cartoon's 0.03. 1 % of photographs lie below 0.13; smoothed by a
# median filter of 3 pixels, below 0.12.
EVEN_BELOW = 0.10
# Of `few_tones`: a photograph's median is 0.15, its 99 % quantile 0.27, JPEG of quality 15 0.33; 5 levels give 0.58.
FEW_TONES_ABOVE = 0.36
# The share of white pixels in a picture without colour (levels of 255 between the strongest and the weakest channel).
PAPER_ABOVE = 0.35
COLOURLESS_BELOW = 6.0
WHITE = 245  # grey from which paper counts as white
BURNT_OUT = 250  # grey from which a sensor records nothing more: says nothing about texture
TONES = 64  # to which the range of grey is divided
MOST_USED = 4  # of them
SOME = 200  # pixels; from fewer nothing is concluded


def is_drawn(crop: np.ndarray) -> bool:
    """Whether the middle of `crop`, uint8 (height, width, 3) RGB, looks drawn. Blurred pictures have to be left out."""
    middle = _middle(crop)
    grey = np.asarray(Image.fromarray(middle).convert("L"))
    colour = float((strongest(middle) - weakest(middle)).mean())
    on_paper = colour < COLOURLESS_BELOW and float((grey > WHITE).mean()) > PAPER_ABOVE
    return on_paper or evenness(grey) < EVEN_BELOW or few_tones(grey) > FEW_TONES_ABOVE


def evenness(grey: np.ndarray) -> float:
    """Differences within 3 x 3 pixels: their median over their 95 % quantile. Low for flat areas with strong edges.

    `grey` is uint8 (height, width). Burnt-out pixels and their neighbours do not count.
    """
    lightest, darkest = _within_3x3(np.maximum, grey), _within_3x3(np.minimum, grey)
    differences = (lightest - darkest)[lightest < BURNT_OUT]
    if differences.size < SOME:
        return 1.0
    counts = counted(differences)
    return quantile(counts, 0.5) / max(quantile(counts, 0.95), 1.0)


def few_tones(grey: np.ndarray) -> float:
    """The share of pixels in the four most used of 64 tones between the darkest and the lightest; white left out.

    `grey` is uint8 (height, width).
    """
    counts = counted(grey)
    dark, light = quantile(counts, 0.01), quantile(counts, 0.99)
    tones = ((np.arange(VALUES) - dark) / max(light - dark, 8.0)).clip(0, 0.9999) * TONES  # of each value
    used = np.bincount(tones.astype(int), counts, minlength=TONES)[:-1] / grey.size
    return float(np.sort(used)[-MOST_USED:].sum())


def _within_3x3(extreme: np.ufunc, grey: np.ndarray) -> np.ndarray:
    """The extreme of each 3 x 3 pixels: (height - 2, width - 2). Three by three at once, along rows, then columns."""
    grey = extreme(extreme(grey[:-2], grey[1:-1]), grey[2:])
    found: np.ndarray = extreme(extreme(grey[:, :-2], grey[:, 1:-1]), grey[:, 2:])
    return found


def _middle(crop: np.ndarray) -> np.ndarray:
    """Without the outer sixth on each side, where a crop has background, or repeats the picture's edge."""
    rows, columns = crop.shape[0] // 6, crop.shape[1] // 6
    return np.ascontiguousarray(crop[rows : crop.shape[0] - rows, columns : crop.shape[1] - columns])
