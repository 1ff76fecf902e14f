"""Measures of hair: its colour from above the forehead, its length by following that colour down both sides."""

from dataclasses import dataclass

import numpy as np

from shared.captions.view import EYES_X, EYES_Y, SIDE, UNIT, View

COARSE = 2  # pixels of the view to one here; enough to follow hair
SHADED_SKIN = 0.7  # of the skin's lightness: the neck and the side of the face in shadow


@dataclass(frozen=True)
class Hair:
    """`colour`: CIELAB (3,). `light`: lightness of the darker quarter of what is above the forehead.
    `length`: 0 for the average, in standard deviations. `volume`: share of the surroundings of the upper head that it
    covers. `fringe`: share of the forehead that is hair. `bare`: share of the top of the head that is
    smooth and of the skin's colour."""

    colour: np.ndarray
    light: float
    length: float
    volume: float
    fringe: float
    bare: float


def measure_hair(view: View, skin: np.ndarray) -> Hair:
    """`skin` is the colour of the skin, CIELAB (3,)."""
    lab = view.lab.reshape(SIDE // COARSE, COARSE, SIDE // COARSE, COARSE, 3).mean(axis=(1, 3))
    rows, columns = (np.mgrid[0 : SIDE // COARSE, 0 : SIDE // COARSE] + 0.5) * COARSE
    x, y = (columns - EYES_X) / UNIT, (rows - EYES_Y) / UNIT
    above = lab[(np.abs(x) < 0.75) & (y < -0.95)]
    unlike = np.linalg.norm(above - skin, axis=1)
    colour = np.median(above[unlike >= np.percentile(unlike, 40)], axis=0)
    to_skin = np.minimum(_distance(lab, skin), _distance(lab, skin * (SHADED_SKIN, 1, 1)))
    like = _distance(lab, colour) < np.minimum(to_skin, _to_background(lab, x, y))
    grown = _grown(like & (y < -0.5) & (np.abs(x) < 1.4), like)
    beside = (np.abs(x) > 0.7) & (np.abs(x) < 1.8) & (y > 0.3) & (y < 2.4)
    strands = (np.abs(x) > 0.7) & (np.abs(x) < 2.0) & (y > 0.6) & (y < 1.8)
    down, across = (np.abs(change)[strands].mean() for change in np.gradient(lab[..., 0]))
    forehead = (np.abs(x) < 0.45) & (y > -0.8) & (y < -0.45)
    return Hair(
        colour=colour,
        light=float(np.percentile(above[:, 0], 25)),
        # Hair hangs: it changes across its strands more than along them, which tells it from a dark background.
        length=float(0.5 * (grown[beside].mean() - 0.32) / 0.28 + 0.5 * (across - down - 2.3) / 2.4),
        volume=float(grown[(np.abs(x) < 1.7) & (y < 0)].mean()),
        fringe=float((_distance(lab, colour) < to_skin)[forehead].mean()),
        bare=_bare(view, skin),
    )


def _distance(lab: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return np.linalg.norm(lab - colour, axis=-1)


def _to_background(lab: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the colour of the background on its own side of the head."""
    left, right = (np.median(lab[(y < -0.3) & (side > 1.7)], axis=0) for side in (-x, x))
    return np.where(x < 0, _distance(lab, left), _distance(lab, right))


def _bare(view: View, skin: np.ndarray) -> float:
    """Hair may have the colour of the skin, but is never as smooth."""
    top = view.patch(-0.5, 0.5, -1.5, -1.0)
    down, across = np.abs(np.diff(top[..., 0], axis=0))[:, :-1], np.abs(np.diff(top[..., 0], axis=1))[:-1]
    to_skin = np.minimum(_distance(top, skin), _distance(top, skin * (0.85, 1, 1)))[:-1, :-1]
    return float(((to_skin < 12) & (down + across < 2)).mean())


def _grown(seeds: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """The pixels of `allowed` that connect to `seeds` through `allowed`, up, down, left or right."""
    grown, before = seeds, -1
    while (count := int(grown.sum())) != before:
        before = count
        wider = grown.copy()
        wider[1:] |= grown[:-1]
        wider[:-1] |= grown[1:]
        wider[:, 1:] |= grown[:, :-1]
        wider[:, :-1] |= grown[:, 1:]
        grown = wider & allowed
    return grown
