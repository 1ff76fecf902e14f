"""Boxes: what overlaps and goes, and what is cut at the edges of an image."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.faces import boxes
from shared.faces.torchvision_ops import nms

BOXES = st.lists(
    st.tuples(*[st.integers(0, 60)] * 2, *[st.integers(1, 40)] * 2, st.integers(0, 1000)), min_size=0, max_size=20
)


def as_arrays(found: list[tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray]:
    rows = np.array([(x, y, x + w, y + h) for x, y, w, h, _ in found], np.float32).reshape(-1, 4)
    return rows, np.array([score for *_, score in found], np.float32)


@given(BOXES, st.sampled_from([0.3, 0.5, 0.7]))
def test_what_overlaps_goes_as_torchvision_has_it(found: list[tuple[int, ...]], most: float) -> None:
    corners, scores = as_arrays(found)
    expected = nms(torch.from_numpy(corners), torch.from_numpy(scores), most).numpy()
    assert boxes.best_of_overlapping(corners, scores, most).tolist() == expected.tolist()


def test_a_face_within_a_face_goes() -> None:
    corners = np.array([[0, 0, 100, 100], [30, 30, 60, 60], [90, 90, 150, 150]], np.float32)
    assert boxes.best_of_contained(corners, np.array([0.9, 0.8, 0.7], np.float32), 0.7).tolist() == [0, 2]
    assert boxes.best_of_overlapping(corners, np.array([0.9, 0.8, 0.7], np.float32), 0.7).tolist() == [0, 1, 2]
    assert boxes.best_of_contained(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.7).tolist() == []


def test_squares_keep_their_middle() -> None:
    [found] = boxes.square(np.array([[10, 20, 30, 80]], np.float32))
    assert found.tolist() == [-10, 20, 50, 80]


def test_moving_counts_the_extra_pixel() -> None:
    box = np.array([[10, 20, 30, 60]], np.float32)
    by = np.array([[0.1, -0.1, 0.5, 0.0]], np.float32)
    assert boxes.moved(box, by, 0)[0] == pytest.approx([12, 16, 40, 60])
    assert boxes.moved(box, by, 1)[0] == pytest.approx([12.1, 15.9, 40.5, 60])


def test_what_is_outside_of_an_image_is_cut_off() -> None:
    found = boxes.within(np.array([[-5.7, 3.9, 12.2, 99], [50, 50, 60, 60], [2, 2, 9, 9]], np.float32), 40, 30)
    assert found.tolist() == [[0, 2, 12, 30], [49, 49, 40, 30], [1, 1, 9, 9]]
