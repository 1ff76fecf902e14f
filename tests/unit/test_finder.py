"""Finding faces in real photographs, and torchvision beside a CPU build of torch."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from shared.compute import PLAIN
from shared.faces import torchvision_ops
from shared.faces.finder import FaceFinder, FoundFace
from shared.images.crop import Box
from tests.photographs import ASTRONAUT, COFFEE, HOPPER

ASTRONAUT_FACE, HOPPER_FACE = (180, 61, 268, 172), (164, 106, 348, 344)


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder(PLAIN, min_face=40, threshold=0.95)


def pixels(path: object) -> np.ndarray:
    return np.asarray(Image.open(str(path)).convert("RGB"))


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (area - shared)


def assert_is_a_face(face: FoundFace) -> None:
    left, top, right, bottom = face.box
    assert face.landmarks.shape == (5, 2)
    assert face.landmarks.dtype == np.float32
    left_eye, right_eye, nose, mouth_left, mouth_right = face.landmarks
    assert left < left_eye[0] < right_eye[0] < right
    assert left < mouth_left[0] < mouth_right[0] < right
    assert top < min(left_eye[1], right_eye[1]) < nose[1] < min(mouth_left[1], mouth_right[1]) < bottom
    assert 0.95 <= face.confidence <= 1


@pytest.mark.parametrize(("path", "where"), [(ASTRONAUT, ASTRONAUT_FACE), (HOPPER, HOPPER_FACE)])
def test_one_face(finder: FaceFinder, path: object, where: Box) -> None:
    ((face,),) = finder.find([pixels(path)])
    assert overlap(face.box, where) > 0.8
    assert_is_a_face(face)


def test_no_face(finder: FaceFinder) -> None:
    images = [pixels(COFFEE), np.zeros((300, 200, 3), np.uint8), np.full((200, 300, 3), 255, np.uint8)]
    assert finder.find(images) == [[], [], []]


def test_nothing(finder: FaceFinder) -> None:
    assert finder.find([]) == []


def group() -> np.ndarray:
    """The astronaut, the admiral and the admiral smaller, side by side."""
    picture = np.full((600, 1250, 3), 128, np.uint8)
    picture[:512, :512] = pixels(ASTRONAUT)
    picture[:, 512:1024] = pixels(HOPPER)
    picture[:250, 1030:] = np.asarray(Image.open(HOPPER).convert("RGB").resize((220, 250)))
    return picture


def test_a_group_is_sorted_by_size(finder: FaceFinder) -> None:
    (faces,) = finder.find([group()])
    assert len(faces) == 3
    assert all(bigger.area >= smaller.area for bigger, smaller in pairwise(faces))
    assert overlap(faces[0].box, tuple(np.add(HOPPER_FACE, (512, 0, 512, 0)))) > 0.7
    assert overlap(faces[1].box, ASTRONAUT_FACE) > 0.7
    for face in faces:
        assert_is_a_face(face)


def test_mixed_sizes_keep_their_order(finder: FaceFinder) -> None:
    images = [pixels(HOPPER), pixels(COFFEE), pixels(ASTRONAUT), group(), pixels(ASTRONAUT)[:, ::-1].copy()]
    found = finder.find(images)
    assert [len(faces) for faces in found] == [1, 0, 1, 3, 1]
    for image, faces in zip(images, found, strict=True):
        (alone,) = finder.find([image])
        assert [face.box for face in alone] == [face.box for face in faces]


PICTURES = {
    "astronaut": lambda: pixels(ASTRONAUT),
    "hopper": lambda: pixels(HOPPER),
    "group": group,
    "upscaled": lambda: np.asarray(Image.open(ASTRONAUT).convert("RGB").resize((1024, 1024))),
    "wide": lambda: np.asarray(Image.open(HOPPER).convert("RGB").resize((700, 300))),
    "cut": lambda: pixels(HOPPER)[130:420, 200:],
    "none": lambda: pixels(COFFEE),
}


@pytest.mark.parametrize("min_face", [20, 40])
@pytest.mark.parametrize("picture", sorted(PICTURES))
def test_the_same_is_found_as_by_facenet_pytorch(picture: str, min_face: int) -> None:
    """Box by box, landmark by landmark: far below what a pixel more or less does to a crop."""
    from facenet_pytorch import MTCNN

    image = PICTURES[picture]()
    published = MTCNN(min_face_size=min_face, keep_all=True).eval()
    boxes, confidences, landmarks = published.detect(image, landmarks=True)
    (faces,) = FaceFinder(PLAIN, min_face, 0.0).find([image])
    if boxes is None:
        assert faces == []
        return
    assert len(faces) == len(boxes)
    for face, box, sure, points in zip(faces, boxes, confidences, landmarks, strict=True):
        assert face.box == pytest.approx(box.astype(float), abs=0.01)
        assert face.confidence == pytest.approx(sure, abs=1e-4)
        assert face.landmarks == pytest.approx(points.astype(float), abs=0.01)


def test_threads_may_share_a_finder(finder: FaceFinder) -> None:
    images = [pixels(HOPPER), group(), pixels(ASTRONAUT)] * 4
    expected = [[face.box for face in faces] for faces in finder.find(images)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda image: finder.find([image])[0], images))
    assert [[face.box for face in faces] for faces in found] == expected


@pytest.mark.parametrize("shape", [(1, 1), (12, 12), (39, 500), (40, 40), (41, 41), (500, 1), (49, 49), (55, 700)])
@pytest.mark.parametrize("min_face", [20, 40, 49])
def test_small_and_narrow_images(shape: tuple[int, int], min_face: int) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    assert FaceFinder(PLAIN, min_face, 0.95).find([noise]) == [[]]


def test_threshold() -> None:
    strict, lax = FaceFinder(PLAIN, 40, 0.99999), FaceFinder(PLAIN, 40, 0.5)
    (few,), (many,) = strict.find([group()]), lax.find([group()])
    assert len(few) < len(many)
    assert all(face.confidence >= 0.99999 for face in few)


def test_min_face() -> None:
    small = np.asarray(Image.open(ASTRONAUT).convert("RGB").resize((160, 160)))  # its face is 30 pixels wide
    assert FaceFinder(PLAIN, 80, 0.95).find([small]) == [[]]
    assert len(FaceFinder(PLAIN, 20, 0.95).find([small])[0]) == 1


# --- torchvision -------------------------------------------------------------------------------------------------


def kept_by_definition(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """Non-maximum suppression as it is defined, box by box."""
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(overlap(tuple(boxes[index]), tuple(boxes[other])) <= threshold for other in kept):
            kept.append(index)
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7, 1.0])
def test_nms_against_its_definition(threshold: float) -> None:
    torchvision_ops.allow_cpu_torch()
    from torchvision.ops import batched_nms, nms

    random = np.random.default_rng(7)
    corners = random.uniform(0, 100, (300, 2))
    boxes = np.concatenate([corners, corners + random.uniform(1, 40, (300, 2))], axis=1)
    scores = random.permutation(300) / 300
    expected = kept_by_definition(boxes, scores, threshold)
    assert nms(torch.tensor(boxes), torch.tensor(scores), threshold).tolist() == expected
    kinds = torch.arange(300) % 3
    batched = set(batched_nms(torch.tensor(boxes), torch.tensor(scores), kinds, threshold).tolist())
    for kind in range(3):
        of_kind = [i for i in range(300) if i % 3 == kind]
        kept = kept_by_definition(boxes[of_kind], scores[of_kind], threshold)
        assert {i for i in batched if i % 3 == kind} == {of_kind[i] for i in kept}


def test_nms_of_nothing_and_of_points() -> None:
    nothing = torchvision_ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert (nothing.shape, nothing.dtype) == ((0,), torch.int64)
    assert torchvision_ops.nms(torch.zeros(3, 4), torch.tensor([0.1, 0.9, 0.5]), 0.5).shape[0] >= 1


def test_torchvision_can_be_imported_in_a_new_process() -> None:
    code = (
        "from shared.faces.torchvision_ops import allow_cpu_torch; allow_cpu_torch(); allow_cpu_torch();"
        "import torchvision, torch;"
        "print(torchvision.ops.nms(torch.tensor([[0., 0, 9, 9], [0, 0, 9, 8]]), torch.tensor([1., 2]), 0.5).tolist())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[1]"


def test_nothing_is_built_at_import() -> None:
    code = "import sys, shared.faces.finder; print('torchvision' in sys.modules, 'facenet_pytorch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False False"
