"""Where in a face the words of its caption are to be looked for: what the attention is taught.

A word belongs to the place whose name stands nearest in its sentence: every word of "a broad smile with full lips" is
about the mouth. Where that place lies in a crop follows from the five landmarks. Words of sentences that name no
place belong to the whole crop.
"""

import numpy as np
import torch
from torch import Tensor

from shared.captions.places import PLACE_NAMES
from shared.images.crop import CROP_SIZE
from shared.memorability.states import Word

# Points of each place as (right, down) of the middle between the eyes, in lengths from there to the mouth.
MOUTH = ((-0.45, 1.0), (0.0, 1.0), (0.45, 1.0))
EYES = ((-0.5, 0.0), (0.5, 0.0))
BROWS = ((-0.55, -0.35), (0.55, -0.35))
NOSE = ((0.0, 0.55),)
CHEEKS = ((-0.7, 0.6), (0.7, 0.6))
CHIN = ((0.0, 1.7),)
FOREHEAD = ((0.0, -0.75),)
HAIR = ((0.0, -1.5), (-0.9, -1.2), (0.9, -1.2), (-1.3, -0.4), (1.3, -0.4))
AROUND = ((-2.0, -1.6), (2.0, -1.6), (-2.1, -0.3), (2.1, -0.3))
PLACES = {
    MOUTH: PLACE_NAMES["mouth"],
    EYES: PLACE_NAMES["eyes"],
    BROWS: PLACE_NAMES["brows"],
    NOSE: PLACE_NAMES["nose"],
    CHEEKS: PLACE_NAMES["cheeks"],
    CHIN: PLACE_NAMES["chin"],
    FOREHEAD: PLACE_NAMES["forehead"],
    HAIR: PLACE_NAMES["hair"],
    AROUND: PLACE_NAMES["around"],
}
PLACE_OF_NAME = {name: index for index, names in enumerate(PLACES.values()) for name in names}
EVERYWHERE = len(PLACES)  # index of the place of words without one
RADIUS = 0.45  # of a place around its points, in the same lengths: about the width of a patch
SURE = 0.9  # share of a look that goes to its place; the rest goes everywhere


def place_of_words(words: list[Word]) -> list[int]:
    """The place of each word: an index into PLACES, or EVERYWHERE."""
    places = [EVERYWHERE] * len(words)
    for sentence in {word.sentence for word in words}:
        inside = [index for index, word in enumerate(words) if word.sentence == sentence]
        names = [index for index in inside if words[index].text.lower() in PLACE_OF_NAME]
        for index in inside if names else []:
            nearest = min(names, key=lambda name: (abs(name - index), name < index))
            places[index] = PLACE_OF_NAME[words[nearest].text.lower()]
    return places


def place_maps(landmarks: np.ndarray, grid: tuple[int, int]) -> Tensor:
    """How much each patch belongs to each place of one face: float32 (len(PLACES) + 1, P), rows adding up to 1.

    `landmarks` (5, 2) in crop pixels: eyes, nose, corners of the mouth.
    """
    rows, columns = grid
    down_steps, right_steps = np.mgrid[0:rows, 0:columns].reshape(2, -1)
    centres = np.stack([(right_steps + 0.5) / columns, (down_steps + 0.5) / rows], axis=1) * CROP_SIZE  # (P, 2)
    eyes = landmarks[:2].mean(0)
    down = landmarks[3:].mean(0) - eyes
    right = np.array([down[1], -down[0]])
    length = max(float(np.hypot(*down)), 1.0)
    even = np.full(len(centres), 1 / len(centres))
    maps = []
    for points in PLACES:
        places = eyes + np.array(points) @ np.stack([right, down])  # (K, 2)
        distances = np.linalg.norm(centres[:, None] - places[None], axis=2) / length
        weights = np.exp(-0.5 * (distances / RADIUS) ** 2).sum(1) + 1e-9
        maps.append(SURE * weights / weights.sum() + (1 - SURE) * even)
    return torch.from_numpy(np.stack([*maps, even])).float()
