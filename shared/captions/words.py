"""Words for measures. Every scale goes from the least of a measure to the most of it.

The bounds are quantiles of the measure over 854 portraits (the One Million Impressions faces), mostly the 4, 14, 29,
71, 86 and 96 per cent points: the middle word is common and says little, the outer ones are rare and say much. Bounds
that are not quantiles say why. An empty phrase is left out of the text.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scale:
    """Words of rising degree; `bounds[i]` separates `words[i]` from `words[i + 1]`."""

    bounds: tuple[float, ...]
    words: tuple[str, ...]

    def word(self, value: float) -> str:
        """The word for `value`."""
        return self.words[bisect_right(self.bounds, value)]


SMILE = Scale(
    (-1.35, -0.94, -0.5, 0.0, 0.66, 1.12, 1.65),
    (
        "a stern, narrow mouth",
        "a serious mouth",
        "no smile",
        "hardly a smile",
        "a faint smile",
        "a friendly smile",
        "a broad smile",
        "a beaming smile",
    ),
)
TEETH = Scale(
    (-12.0, -4.0, 3.0, 14.0, 23.0, 36.0, 50.0),
    (
        "very dark inside",
        "dark inside",
        "shaded inside",
        "",
        "pale inside",
        "showing some teeth",
        "showing bright teeth",
        "showing gleaming teeth",
    ),
)
LIPS = Scale(
    (8.5, 26.0, 45.0, 67.0, 116.0, 164.0, 242.0),
    (
        "colourless lips",
        "very thin pale lips",
        "thin lips",
        "pale lips",
        "natural lips",
        "full rosy lips",
        "full red lips",
        "deep red lips",
    ),
)
MOUTH_DRAWN = Scale((6.2, 11.3), ("blurred ", "", "sharply outlined "))
EYES_DRAWN = Scale(
    (16.8, 19.3, 21.2, 25.4, 27.4, 29.8),
    (
        "hidden eyes",
        "faint eyes",
        "gentle eyes",
        "clear eyes",
        "expressive eyes",
        "vivid eyes",
        "striking, piercing eyes",
    ),
)
EYES_DARK = Scale((40.0, 46.0, 64.5, 69.0), ("very pale ", "pale ", "", "dark ", "black "))
EYES_BELOW = Scale(
    (1.97, 2.36, 2.79, 3.8, 4.7),
    ("perfectly smooth below", "very smooth below", "smooth below", "", "lined below", "strong lines below"),
)
BROWS = Scale(
    (14.6, 22.6, 28.7, 42.0, 48.0, 57.0), ("barely visible", "faint", "light", "plain", "strong", "heavy", "bold black")
)
# Of the 100 portraits above this, looked at one by one, two or three wear no glasses. Below it bare eyes soon prevail.
GLASSES_FROM = 5.2
DARK_GLASSES_FROM = 29.0  # `covered`; clear glasses in a deep shadow reach 28
# Quantiles do not serve where most faces are alike: below the first bound the median face is rated 80 of 100 (very
# dark), then 59, 39, 31, 22, 17, 15 and, above the last, 11.
SKIN_TONE = Scale(
    (-0.4, 8.3, 15.4, 22.2, 29.3, 35.0, 41.0),
    ("very dark", "dark", "brown", "tan", "medium", "light", "very light", "pale"),
)
SKIN_RED = Scale((8.1, 11.6, 14.3, 20.7, 24.0, 28.6), ("ashen", "pallid", "cool", "", "rosy", "reddish", "ruddy"))
SKIN_TEXTURE = Scale(
    (3.7, 5.4, 7.1, 12.0, 14.3, 17.7),
    ("perfectly even", "very smooth", "smooth", "", "textured", "rough", "deeply lined"),
)
BEARD = Scale(
    (4.2, 8.2, 11.8, 24.0, 33.0, 47.0),
    (
        "a glowing bare chin",
        "a bright bare chin",
        "a bare chin",
        "",
        "a shaded chin",
        "stubble or shadow",
        "a beard or shadow",
    ),
)
HAIR_LIGHT = Scale(
    (7.0, 15.0, 23.5, 33.5, 49.0, 68.0), ("jet black", "black", "dark", "brown", "fair", "blond", "white")
)
HAIR_LENGTH = Scale(
    (-1.1, -0.93, -0.5, 0.2, 0.5, 0.7),
    ("cropped", "short", "medium", "chin-length", "long", "very long", "flowing long"),
)
HAIR_VOLUME = Scale(
    (0.14, 0.21, 0.26, 0.38, 0.45, 0.525), ("scant", "sparse", "thin", "", "full", "thick", "voluminous")
)
FRINGE = Scale((0.1, 0.5), ("", "a slight fringe", "a full fringe"))
BARE = Scale((0.2, 0.34), ("", "a high forehead", "a very high forehead"))
TURN = Scale((0.05, 0.11, 0.17), ("facing the camera", "turned slightly {}", "turned {}", "turned far {}"))
NOD = Scale(
    (0.42, 0.49, 0.54, 0.627, 0.67, 0.72),
    ("thrown back", "raised", "slightly raised", "level", "slightly lowered", "lowered", "bowed"),
)
# Degrees. Three is what people begin to notice; those portraits were set upright, so that their quantiles say nothing.
TILT = Scale((3.0, 7.0, 15.0), ("", "tilted slightly {}", "tilted {}", "tilted strongly {}"))
LIGHT_LEVEL = Scale(
    (40.0, 48.6, 54.3, 66.0, 70.2, 75.5), ("very dark", "gloomy", "dim", "even", "bright", "brilliant", "glaring")
)
LIGHT_SIDE = Scale((4.5, 10.0, 20.0), ("from the front", "mostly from the {}", "from the {}", "hard from the {}"))
CONTRAST = Scale(
    (36.7, 43.7, 55.8, 64.8), ("flat contrast", "soft contrast", "", "strong contrast", "dramatic contrast")
)
BUSY = Scale((2.8, 5.9, 10.9, 14.2), ("blank", "plain", "blurred", "busy", "crowded"))
OUTDOORS = Scale((-0.8, -0.4, 0.3, 1.1), (" indoors", " as if indoors", "", " as if outdoors", " outdoors"))
COLOURFUL = Scale(
    (9.4, 11.2, 13.2, 18.8, 22.8, 27.8), ("faded", "pale", "muted", "natural", "rich", "vivid", "intense")
)
WARMTH = Scale(
    (0.9, 4.6, 7.5, 13.3, 17.1, 21.6), ("icy", "cold", "cool", "neutral", "warm", "golden", "glowing orange")
)
SHARP = Scale(
    (4.9, 5.5, 6.1, 7.4, 8.1, 9.3),
    ("a hazy focus", "a very soft focus", "a soft focus", "", "fine detail", "crisp detail", "very sharp detail"),
)

GREY_CHROMA = 7.0  # CIELAB; below it a colour has no name of its own
HUES = Scale(
    (38.0, 70.0, 105.0, 165.0, 215.0, 311.0, 340.0),
    ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink"),
)
GREYS = Scale((15.0, 38.0, 65.0, 85.0), ("black", "dark grey", "grey", "light grey", "white"))
SHADES = Scale((28.0, 68.0), ("dark ", "", "light "))
HAIR_HUES = (30.0, 105.0)  # degrees: from auburn to yellow; other colours are dye, a hat or a scarf
HAIR_CHROMA = 12.0  # CIELAB; hair of a strange hue is only light if it has no more colour than this


def colour(lab: np.ndarray) -> str:
    """A plain name for a CIELAB colour (3,), such as "dark blue" or "white"."""
    light, a, b = (float(part) for part in lab)
    if math.hypot(a, b) < GREY_CHROMA:
        return GREYS.word(light)
    hue = HUES.word(math.degrees(math.atan2(b, a)) % 360)
    if hue in ("orange", "yellow"):
        hue = "brown" if light < 55 else "beige" if math.hypot(a, b) < 30 else hue
    return SHADES.word(light) + hue


def hair_colour(light: float, lab: np.ndarray) -> str:
    """What to call hair of lightness `light` and CIELAB colour `lab` (3,), covered heads included."""
    a, b = float(lab[1]), float(lab[2])
    chroma, hue = math.hypot(a, b), math.degrees(math.atan2(b, a)) % 360
    if chroma > HAIR_CHROMA and not HAIR_HUES[0] < hue < HAIR_HUES[1]:
        return colour(lab) + " hair or headwear"
    tint = "greyish " if light > 25 and chroma < 6 else "reddish " if a > 8 else "golden " if b > 14 else ""
    return tint + HAIR_LIGHT.word(light) + " hair"
