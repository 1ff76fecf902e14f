"""A face seen upright and at one size, in colours a measure can use.

The five landmarks fix a frame: its origin lies between the eyes, x runs along the eyes to the right of the picture,
y down the face, and its unit is about the distance between the eyes. A region of the face then has the same coordinates
for everybody, however the head is tilted or how near the camera was.
"""

from dataclasses import dataclass, replace

import numpy as np

SIDE = 160  # pixels of the square view
UNIT = 36  # pixels of the view to one unit: it shows 2.2 units to each side, 1.8 above the eyes and 2.6 below
EYES_X, EYES_Y = 80, 64  # pixels: where the origin lies in the view
LIT = 78.0  # CIELAB lightness of the lit parts of an average face
FACTORS = (0.7, 2.5)  # more would only amplify noise
EYES_TO_MOUTH = 1.06  # units between the middle of the eyes and of the mouth, in a face seen from the front


@dataclass(frozen=True)
class Frame:
    """The frame of one face in crop pixels: `origin` (2,), `across` (2,) unit vector, `unit` in pixels."""

    origin: np.ndarray
    across: np.ndarray
    unit: float

    def of(self, points: np.ndarray) -> np.ndarray:
        """Crop pixels (..., 2) to frame coordinates (..., 2)."""
        away = np.asarray(points, dtype=np.float64) - self.origin
        x, y = self.across
        return np.stack([away @ (x, y), away @ (-y, x)], axis=-1) / self.unit


@dataclass(frozen=True)
class View:
    """The aligned picture of one face: `lab` is float32 (SIDE, SIDE, 3) CIELAB, `landmarks` (5, 2) are in the frame."""

    lab: np.ndarray
    landmarks: np.ndarray
    frame: Frame

    def lit(self) -> float:
        """Lightness of the lit parts of the face, which shadows and beards leave alone."""
        return float(np.percentile(self.patch(-0.8, 0.8, -0.6, 1.5)[..., 0], 90))

    def evenly_lit(self) -> "View":
        """The same view with the exposure changed so that the lit parts of the face have one lightness.

        A change of exposure multiplies L + 16, a and b by one factor (except next to black).
        """
        factor = float(np.clip((LIT + 16) / (self.lit() + 16), *FACTORS))
        black = np.array([-16, 0, 0], dtype=np.float32)
        return replace(self, lab=black + (self.lab - black) * np.float32(factor))

    def patch(self, left: float, right: float, top: float, bottom: float) -> np.ndarray:
        """CIELAB pixels (h, w, 3) between these frame coordinates."""
        rows = slice(max(0, round(EYES_Y + top * UNIT)), round(EYES_Y + bottom * UNIT))
        columns = slice(max(0, round(EYES_X + left * UNIT)), round(EYES_X + right * UNIT))
        return self.lab[rows, columns]


def view_of(crop: np.ndarray, landmarks: np.ndarray) -> View:
    """Align `crop`, uint8 (height, width, 3) RGB, by its `landmarks` (5, 2) in crop pixels; edges go on outside."""
    frame = _frame(np.asarray(landmarks, dtype=np.float64))
    rows, columns = (
        np.mgrid[0:SIDE, 0:SIDE] + 0.5
    )  # the middle of each pixel, so that a mirrored crop gives a mirrored view
    x, y = (columns - EYES_X) * frame.unit / UNIT, (rows - EYES_Y) * frame.unit / UNIT
    (across_x, across_y), (origin_x, origin_y) = frame.across, frame.origin
    pixels = _sampled(crop, origin_x + x * across_x - y * across_y, origin_y + x * across_y + y * across_x)
    return View(to_lab(pixels), frame.of(landmarks), frame)


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB 0..255 (..., 3) to CIELAB under D65, float32: L 0..100, a green to red, b blue to yellow (IEC 61966-2-1)."""
    linear = np.asarray(rgb, dtype=np.float32) / 255
    linear = np.where(linear > 0.04045, ((linear + 0.055) / 1.055) ** 2.4, linear / 12.92)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )
    xyz = linear @ to_xyz.T / (0.95047, 1.0, 1.08883)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    lab = [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])]
    return np.stack(lab, axis=-1).astype(np.float32)


def steps(lab: np.ndarray) -> float:
    """Mean change of lightness from a pixel to the next, down plus across: the texture of a patch (h, w, 3)."""
    light = lab[..., 0]
    return float(np.abs(np.diff(light, axis=0)).mean() + np.abs(np.diff(light, axis=1)).mean())


def _frame(landmarks: np.ndarray) -> Frame:
    """The direction is the mean of what eyes and mouth say; a turned head narrows the eyes but not the height."""
    left_eye, right_eye, _, mouth_left, mouth_right = landmarks
    eyes, mouth = (left_eye + right_eye) / 2, (mouth_left + mouth_right) / 2
    along, down = right_eye - left_eye, mouth - eyes
    unit = max(float(np.hypot(*along)), float(np.hypot(*down)) / EYES_TO_MOUTH, 1.0)
    direction = _normal(along) + _normal(np.array([down[1], -down[0]]))
    if not direction.any():
        direction = np.array([1.0, 0.0])
    return Frame(eyes, _normal(direction), unit)


def _normal(vector: np.ndarray) -> np.ndarray:
    length = float(np.hypot(*vector))
    return vector / length if length else vector


def _sampled(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear samples of `image`, float32; x and y count from its corner, half a pixel before the first one."""
    height, width = image.shape[:2]
    x, y = np.clip(x - 0.5, 0, width - 1), np.clip(y - 0.5, 0, height - 1)
    left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    right_share, bottom_share = (x - left)[..., None], (y - top)[..., None]
    pixels = image.astype(np.float32)
    upper = pixels[top, left] * (1 - right_share) + pixels[top, left + 1] * right_share
    lower = pixels[top + 1, left] * (1 - right_share) + pixels[top + 1, left + 1] * right_share
    return (upper * (1 - bottom_share) + lower * bottom_share).astype(np.float32)
