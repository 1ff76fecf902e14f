"""Whether a face looks away, judged by its five landmarks alone.

MTCNN keeps its landmarks close to those of a face seen from the front, so no angle is measured, but an order: the
thresholds lie beyond nearly all of what the model learned from. All rates are for the 854 OMI faces, of which 2.3 % are
flagged in all, and those visibly look past the camera or are tipped; and for 72 of them whose pixels were turned over a
rough model of a head and in which MTCNN looked again.

Missed: four of ten faces turned by 60 degrees, three of four turned by 45, most that are raised or lowered. Full
profiles were not at hand; where MTCNN finds none, the image ends as `no_face`.
"""

from dataclasses import dataclass

import numpy as np

# Of `sideways`. 1.5 % of the faces lie beyond it, and each of them visibly looks past the camera.
SIDEWAYS_ABOVE = 0.80
# Of `narrow`. 0.5 % of the faces lie below it; half of those turned by 60 degrees, three of four turned by 70.
NARROW_BELOW = 0.65
# Of `nose_height`. 0.4 % and 0.2 % of the faces; a fifth of those thrown back by 35 degrees, a quarter of those bowed.
NOSE_HIGH, NOSE_LOW = 0.33, 0.82
# Degrees. Of the faces none leans by more than 7; people tilt their heads by 15 when they pose. Rotated by 30: 97 %.
LEANING_ABOVE = 25.0


@dataclass(frozen=True)
class Pose:
    """How a face is turned, with lengths in its own frame, x across the face and y from the eyes to the mouth.

    `sideways`: how far the nose lies off the middle, in half widths of eyes and mouth; 0 from the front, 1 when it
    covers the far eye. `narrow`: the mean width of eyes and mouth over the height from eyes to mouth; 0.95 from the
    front. `nose_height`: where the nose lies between eyes (0) and mouth (1); 0.58 from the front. `leaning`: degrees
    between the face's height and the picture's.
    """

    sideways: float
    narrow: float
    nose_height: float
    leaning: float


def is_turned(landmarks: np.ndarray) -> bool:
    """Whether the face looks to the side, up or down, or leans, so that the model sees what it was not shown before.

    `landmarks` are (5, 2): left eye, right eye, nose, left and right corner of the mouth. Points that make no face,
    such as eyes below the mouth, count as turned.
    """
    pose = pose_of(landmarks)
    return not (
        abs(pose.sideways) <= SIDEWAYS_ABOVE
        and pose.narrow >= NARROW_BELOW
        and NOSE_HIGH <= pose.nose_height <= NOSE_LOW
        and abs(pose.leaning) <= LEANING_ABOVE
    )


def pose_of(landmarks: np.ndarray) -> Pose:
    """The pose that five landmarks (5, 2) show. Eyes and mouth at one place give nan, which no threshold lets pass."""
    points = np.asarray(landmarks, dtype=np.float64)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    height = float(np.hypot(*(mouth - eyes)))
    if not height > 0:
        return Pose(np.nan, np.nan, np.nan, np.nan)
    down = (mouth - eyes) / height
    across = np.array([down[1], -down[0]])
    x = (points - eyes) @ across / height
    half_width = float(x[1] - x[0] + x[4] - x[3]) / 4
    return Pose(
        sideways=float(x[2] - x[[0, 1, 3, 4]].mean()) / half_width if half_width > 0 else np.nan,
        narrow=2 * half_width,
        nose_height=float((points[2] - eyes) @ down) / height,
        leaning=float(np.degrees(np.arctan2(-down[0], down[1]))),
    )
