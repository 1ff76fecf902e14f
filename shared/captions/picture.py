"""Measures of what is not the face itself: the light on it, the background, clothing and the colours of the picture."""

from dataclasses import dataclass

import numpy as np

from shared.captions.view import View, steps, to_lab


@dataclass(frozen=True)
class Light:
    """`level`: median lightness of the face. `side`: lightness of the right cheek minus the left.
    `contrast`: spread of lightness over the face, 5th to 95th percentile."""

    level: float
    side: float
    contrast: float


@dataclass(frozen=True)
class Scene:
    """`background` and `clothing`: CIELAB (3,). `green`, `blue`: shares of the background. `busy`: its steps and spread
    of colour. `outdoors`: 0 for the average, in standard deviations. `colourful`, `warmth`: mean chroma and b of the
    whole crop. `sharp`: steps of lightness on the face."""

    background: np.ndarray
    green: float
    blue: float
    busy: float
    outdoors: float
    clothing: np.ndarray
    colourful: float
    warmth: float
    sharp: float


def measure_light(view: View) -> Light:
    """From the lightness of face and cheeks."""
    low, middle, high = np.percentile(view.patch(-0.8, 0.8, -0.6, 1.5)[..., 0], (5, 50, 95))
    left = np.median(view.patch(-0.7, -0.25, 0.2, 0.8)[..., 0])
    right = np.median(view.patch(0.25, 0.7, 0.2, 0.8)[..., 0])
    return Light(level=float(middle), side=float(right - left), contrast=float(high - low))


def measure_scene(crop: np.ndarray, view: View) -> Scene:
    """From the margins of the aligned view, and `crop`, uint8 (height, width, 3) RGB."""
    left, right = view.patch(-2.1, -1.5, -1.7, 0.8), view.patch(1.5, 2.1, -1.7, 0.8)
    around = np.concatenate([left, right]).reshape(-1, 3)
    shoulders = np.concatenate([view.patch(-1.6, -0.8, 2.35, 2.65), view.patch(0.8, 1.6, 2.35, 2.65)]).reshape(-1, 3)
    whole = to_lab(crop[::4, ::4])
    green, blue = float((around[:, 1] < -4).mean()), float((around[:, 2] < -6).mean())
    busy = steps(left) + steps(right) + 0.1 * float(around.std(axis=0).sum())
    return Scene(
        background=np.median(around, axis=0),
        green=green,
        blue=blue,
        busy=busy,
        # Leaves are green and busy. Weights: least squares on how 854 portraits were rated, per standard deviation.
        outdoors=0.6 * (np.sqrt(green) - 0.23) / 0.33
        + 0.08 * (np.sqrt(blue) - 0.12) / 0.24
        + 0.3 * (np.log1p(busy) - 2.12) / 0.6,
        clothing=np.median(shoulders, axis=0),
        colourful=float(np.hypot(whole[..., 1], whole[..., 2]).mean()),
        warmth=float(whole[..., 2].mean()),
        sharp=steps(view.patch(-0.8, 0.8, -0.4, 1.3)),
    )
