"""Measures of pose, mouth, eyes and skin, on the aligned view and, where they say so, against the skin's colour."""

from dataclasses import dataclass

import numpy as np

from shared.captions.view import View, steps

SHADE = 8.0  # CIELAB lightness below the skin's from which a pixel counts as dark


@dataclass(frozen=True)
class Pose:
    """`yaw`: how far the nose lies right of the face's middle, in units. `roll`: degrees, positive when the head tips
    to the right. `pitch`: how far down the nose lies between eyes (0) and mouth (1); more when the head is lowered."""

    yaw: float
    roll: float
    pitch: float


@dataclass(frozen=True)
class Mouth:
    """`smile`: 0 for the average face, in standard deviations. `teeth`: how light and pale the inside of the mouth is
    against the skin. `lips`: how much redder than the skin, summed over the height of the lips. `drawn`: steps of
    lightness on the mouth."""

    smile: float
    teeth: float
    lips: float
    drawn: float


@dataclass(frozen=True)
class Eyes:
    """`drawn`: steps of lightness on the eyes, high for open, contrasting eyes and sharp lashes.
    `dark`: lightness of the skin minus that of the darkest part of the eyes. `brows`: the same for the brows.
    `rims`: strength of the horizontal lines below the eyes and across the nose, high for glasses.
    `covered`: lightness of the skin minus that of the lightest part around the eyes, high for dark glasses."""

    drawn: float
    dark: float
    brows: float
    rims: float
    covered: float


@dataclass(frozen=True)
class Skin:
    """`colour`: CIELAB (3,). `tone`: high for light skin, on a scale of its own. `red`: CIELAB a.
    `texture`: steps of lightness on the cheeks. `beard`: how much darker, greyer and rougher the skin is around the
    mouth and on the chin than on the cheeks."""

    colour: np.ndarray
    tone: float
    red: float
    texture: float
    beard: float


def measure_pose(view: View) -> Pose:
    """From the landmarks alone."""
    _, _, nose, mouth_left, mouth_right = view.landmarks
    mouth = (mouth_left + mouth_right) / 2
    across = view.frame.across
    return Pose(
        yaw=float(nose[0] - mouth[0] / 2),
        roll=float(np.degrees(np.arctan2(across[1], across[0]))),
        pitch=float(nose[1] / max(mouth[1], 0.1)),
    )


def measure_mouth(view: View, skin: np.ndarray) -> Mouth:
    """`skin` is the colour of the skin, CIELAB (3,)."""
    left_eye, right_eye, _, mouth_left, mouth_right = view.landmarks
    between_eyes = max(float(np.hypot(*(right_eye - left_eye))), 0.1)
    width = float(np.hypot(*(mouth_right - mouth_left))) / between_eyes
    height = float((mouth_left + mouth_right - left_eye - right_eye)[1]) / 2 / between_eyes
    inside = view.patch(-0.35, 0.35, 0.9, 1.2)
    light = float(np.percentile(inside[..., 0], 90) - skin[0])
    pale = float(skin[1] - np.percentile(inside[..., 1], 10))
    folds = steps(view.patch(-0.75, -0.4, 0.7, 1.2)) + steps(view.patch(0.4, 0.75, 0.7, 1.2))
    redder = view.patch(-0.15, 0.15, 0.75, 1.45)[..., 1].mean(axis=1) - skin[1]
    # A smile widens the mouth, lifts it, shows teeth and folds the cheeks. Weights: least squares on the rated
    # happiness of 854 portraits, in standard deviations of each part.
    smile = (
        0.55 * (width - 0.94) / 0.095
        - 0.2 * (height - 1.04) / 0.1
        + 0.15 * (pale - 2.5) / 5.5
        + 0.1 * (light - 4.0) / 11.5
        + 0.15 * (folds - 10.0) / 4.0
    )
    return Mouth(
        smile=smile,
        teeth=light + 2 * pale,
        lips=float(np.clip(redder - 3, 0, None).sum()),
        drawn=steps(view.patch(-0.5, 0.5, 0.85, 1.3)),
    )


def measure_eyes(view: View, skin: np.ndarray) -> Eyes:
    """`skin` is the colour of the skin, CIELAB (3,)."""
    both = (view.patch(-0.75, -0.25, -0.15, 0.35), view.patch(0.25, 0.75, -0.15, 0.35))
    eyes = np.concatenate([view.patch(-0.7, -0.3, -0.12, 0.12), view.patch(0.3, 0.7, -0.12, 0.12)])[..., 0]
    brows = np.concatenate([view.patch(-0.75, -0.25, -0.42, -0.15), view.patch(0.25, 0.75, -0.42, -0.15)])[..., 0]
    rims = min(_line(view.patch(-0.65, -0.3, 0.2, 0.55)), _line(view.patch(0.3, 0.65, 0.2, 0.55)))
    bridge = _line(view.patch(-0.15, 0.15, -0.3, 0.25))
    return Eyes(
        drawn=steps(view.patch(-0.75, -0.25, -0.22, 0.2)) + steps(view.patch(0.25, 0.75, -0.22, 0.2)),
        dark=float(skin[0] - np.percentile(eyes, 10)),
        brows=float(skin[0] - np.percentile(brows, 15)),
        rims=float(np.log1p(rims) + np.log1p(bridge)),
        covered=float(skin[0] - np.percentile(np.concatenate(both)[..., 0], 70)),
    )


def measure_skin(view: View, as_shot: View) -> Skin:
    """`view` is evenly lit, `as_shot` is the same view before that."""
    colour = _skin_colour(view)
    return Skin(
        colour=colour,
        tone=_tone(as_shot),
        red=float(colour[1]),
        texture=steps(view.patch(-0.65, -0.3, 0.5, 0.8)) + steps(view.patch(0.3, 0.65, 0.5, 0.8)),
        beard=_beard(view, colour),
    )


def _skin_colour(view: View) -> np.ndarray:
    """The median over cheeks, nose and forehead: glasses, hair and shadow seldom hide all of them."""
    cheeks = (_median(view.patch(-0.62, -0.3, 0.35, 0.7)) + _median(view.patch(0.3, 0.62, 0.35, 0.7))) / 2
    nose, forehead = _median(view.patch(-0.1, 0.1, 0.3, 0.6)), _median(view.patch(-0.3, 0.3, -0.6, -0.35))
    return np.median([cheeks, nose, forehead], axis=0)


def _tone(view: View) -> float:
    """How light the skin is by itself: its lightness against that of eyes and teeth, its colour against the picture's.

    Weights: least squares on the rated skin colour of 854 portraits.
    """
    face, eyes = view.patch(-0.8, 0.8, -0.6, 1.5), view.patch(-0.72, 0.72, -0.12, 0.12)
    mouth = view.patch(-0.35, 0.35, 0.9, 1.2)
    _, red, yellow = _skin_colour(view)
    return float(
        0.55 * view.lit()
        + 0.75 * np.median(face[..., 0])
        - 0.2 * np.percentile(eyes[..., 0], 95)
        - 0.5 * np.percentile(mouth[..., 0], 95)
        + 0.6 * red
        - 1.35 * yellow
        + 0.35 * np.median(view.lab[..., 2])
    )


def _beard(view: View, skin: np.ndarray) -> float:
    """The mean over upper lip, chin and both sides of the jaw, each of which a shadow alone may darken."""
    lip = _median(view.patch(-0.3, -0.1, 0.72, 0.85), view.patch(0.1, 0.3, 0.72, 0.85))
    chin = _median(view.patch(-0.3, 0.3, 1.45, 1.65))
    jaw_left, jaw_right = _median(view.patch(-0.75, -0.5, 1.05, 1.35)), _median(view.patch(0.5, 0.75, 1.05, 1.35))
    darker = [skin[0] - part[0] for part in (lip, chin, np.maximum(jaw_left, jaw_right))]
    return float(np.mean(darker) + skin[1] - chin[1] + 2 * steps(view.patch(-0.5, 0.5, 1.3, 1.65)))


def _median(*patches: np.ndarray) -> np.ndarray:
    return np.median(np.concatenate([patch.reshape(-1, 3) for patch in patches]), axis=0)


def _line(patch: np.ndarray) -> float:
    """Strength of the strongest horizontal line: the mean step of lightness from one row to the next."""
    return float(np.abs(np.diff(patch[..., 0], axis=0)).mean(axis=1).max())
