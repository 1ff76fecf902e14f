"""Finds faces and their five landmarks with MTCNN (Zhang et al. 2016), as facenet-pytorch has it."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch

from shared.faces.torchvision_ops import allow_cpu_torch
from shared.images.crop import Box

NET_SIDE = 12  # pixels: what MTCNN's first network sees; an image that is smaller at every scale has no place for it
BATCH_ON_GPU = 16  # images of one size; bounds memory
BATCH_ON_CPU = 1  # facenet-pytorch was measured to be slower with batches there


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
    """MTCNN on one device. It keeps nothing between calls, so threads of one process may share it."""

    def __init__(self, device: str, min_face: int, threshold: float) -> None:
        """Load the networks.

        `device` is "cpu", "cuda" or "auto"; `min_face` is the smallest face looked for, in pixels; faces with a
        confidence below `threshold` are dropped.
        """
        allow_cpu_torch()
        from facenet_pytorch import MTCNN  # imports torchvision, which needs the line above

        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._batch = BATCH_ON_CPU if device == "cpu" else BATCH_ON_GPU
        self._min_face = min_face
        self._threshold = threshold
        self._networks = MTCNN(min_face_size=min_face, keep_all=True, device=torch.device(device)).eval()

    def find(self, images: list[np.ndarray]) -> list[list[FoundFace]]:
        """The faces of each image, uint8 (height, width, 3) RGB: the largest first, an empty list if there is none."""
        found: list[list[FoundFace]] = [[] for _ in images]
        by_size = defaultdict(list)
        for index, image in enumerate(images):
            if self._has_room(image):
                by_size[image.shape].append(index)
        for indices in by_size.values():
            for start in range(0, len(indices), self._batch):
                batch = indices[start : start + self._batch]
                for index, faces in zip(batch, self._find_batch([images[i] for i in batch]), strict=True):
                    found[index] = faces
        return found

    def _has_room(self, image: np.ndarray) -> bool:
        """Whether MTCNN gets at least one scale to look at; without one it fails. Its arithmetic, rounding included."""
        return min(image.shape[:2]) * (NET_SIDE / self._min_face) >= NET_SIDE

    def _find_batch(self, images: list[np.ndarray]) -> list[list[FoundFace]]:
        boxes, confidences, landmarks = self._networks.detect(np.stack(images), landmarks=True)
        return [self._faces(*found) for found in zip(boxes, confidences, landmarks, strict=True)]

    def _faces(
        self, boxes: np.ndarray | None, confidences: np.ndarray, landmarks: np.ndarray | None
    ) -> list[FoundFace]:
        if boxes is None or landmarks is None:
            return []
        faces = [
            FoundFace((float(left), float(top), float(right), float(bottom)), points.astype(np.float32), float(sure))
            for (left, top, right, bottom), points, sure in zip(boxes, landmarks, confidences, strict=True)
            if sure >= self._threshold and right > left and bottom > top
        ]
        return sorted(faces, key=lambda face: face.area, reverse=True)
