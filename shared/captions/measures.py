"""What can be measured of a face from its crop and five landmarks. Numbers only; `words` makes words of them.

Colours are CIELAB; lengths are units of the face's frame (see `view`), about one distance between the eyes.
"left" and "right" are those of the picture.
"""

from dataclasses import dataclass

import numpy as np

from shared.captions.features import Eyes, Mouth, Pose, Skin, measure_eyes, measure_mouth, measure_pose, measure_skin
from shared.captions.hair import Hair, measure_hair
from shared.captions.picture import Light, Scene, measure_light, measure_scene
from shared.captions.view import view_of


@dataclass(frozen=True)
class Measures:
    """Every measure of one face, by what it is a measure of."""

    pose: Pose
    mouth: Mouth
    eyes: Eyes
    skin: Skin
    hair: Hair
    light: Light
    scene: Scene


def measure(crop: np.ndarray, landmarks: np.ndarray) -> Measures:
    """Measure `crop`, uint8 (height, width, 3) RGB, with `landmarks` (5, 2) in crop pixels."""
    view = view_of(crop, landmarks)
    even = view.evenly_lit()  # so that a dim photograph does not make pale eyes and brows
    skin = measure_skin(even, view)
    return Measures(
        pose=measure_pose(view),
        mouth=measure_mouth(even, skin.colour),
        eyes=measure_eyes(even, skin.colour),
        skin=skin,
        hair=measure_hair(even, skin.colour),
        light=measure_light(view),
        scene=measure_scene(crop, view),
    )
