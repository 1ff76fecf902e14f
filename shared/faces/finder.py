"""Finds faces and their five landmarks with MTCNN (Zhang et al. 2016), as facenet-pytorch has it."""

from dataclasses import dataclass

import numpy as np

from shared.compute import Compute
from shared.faces import networks
from shared.faces.cascade import detect
from shared.images.crop import Box


@dataclass(frozen=True)
class FoundFace:
    """A face in the pixels of the image given.

    `box` is (left, top, right, bottom) and may reach beyond the image; `landmarks` is float32 (5, 2): left eye, right
    eye, nose, left and right corner of the mouth, left as seen in the picture; `confidence` is 0..1.
    """

    box: Box
    landmarks: np.ndarray
    confidence: float

    @property
    def area(self) -> float:
        """Of the box, in square pixels."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


class FaceFinder:
    """MTCNN. It keeps nothing between calls, so threads of one process may share it."""

    def __init__(self, compute: Compute, min_face: int, threshold: float) -> None:
        """Load the networks.

        `min_face` is the smallest face looked for, in pixels; faces with a confidence below `threshold` are dropped.
        """
        self._min_face = min_face
        self._threshold = threshold
        self._networks = networks.load(compute)

    def find(self, images: list[np.ndarray]) -> list[list[FoundFace]]:
        """The faces of each image, uint8 (height, width, 3) RGB: the largest first, an empty list if there is none.

        One by one: batches of MTCNN were measured to be slower on a CPU, and their memory grows with the images.
        """
        return [self._faces(image) for image in images]

    def _faces(self, image: np.ndarray) -> list[FoundFace]:
        found = detect(image, self._networks, self._min_face)
        faces = [
            FoundFace((float(left), float(top), float(right), float(bottom)), points, float(sure))
            for (left, top, right, bottom), points, sure in zip(found.boxes, found.landmarks, found.scores, strict=True)
            if sure >= self._threshold and right > left and bottom > top
        ]
        return sorted(faces, key=lambda face: face.area, reverse=True)
