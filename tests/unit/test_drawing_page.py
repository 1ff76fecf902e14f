"""The page that explains a face, looked at where its parts are."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from services.api.schemas import Word
from shared.drawing.explained import ExplainedFace, strongest
from shared.drawing.ink import RAISING
from shared.drawing.page import GAP, INSIDE, MAP, MARGIN, PADDING, SIDE, WIDTH, caption_picture, page, word_maps

GREY = (120, 120, 120)
LEFT = MARGIN + PADDING


def explained(**changes: object) -> ExplainedFace:
    """Two words: "smile" raises in the upper left corner, "chin" lowers half as much in the lower right one."""
    buffer = BytesIO()
    Image.new("RGB", (224, 224), GREY).save(buffer, "PNG")
    contributions = np.zeros((2, 2, 2), np.float32)
    contributions[0, 0, 0], contributions[1, 1, 1] = 0.4, -0.2
    words = [
        Word(text="smile", start=2, end=7, contribution=0.4),
        Word(text="chin", start=9, end=13, contribution=-0.2),
    ]
    face = ExplainedFace(
        crop=buffer.getvalue(),
        caption="A smile, chin",
        words=words,
        contributions=contributions,
        constant=-0.5,
        logit=-0.3,
        score=0.4256,
        uncertainty=0.11,
        percentile=40.0,
        flags=[],
    )
    return replace(face, **changes)


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB")).astype(int)


def redness(colour: np.ndarray) -> int:
    """Red minus blue: positive where something raises."""
    return int(colour[0] - colour[2])


def test_the_heat_map_stands_beside_the_crop_and_has_both_colours() -> None:
    shown = pixels(page(explained(), "a title", "about"))
    assert shown.shape[1] == WIDTH + 2 * MARGIN
    rows = np.flatnonzero((shown[:, LEFT + SIDE // 2] == GREY).all(axis=1))
    top = rows[0]
    assert rows.size == SIDE
    left = LEFT + SIDE + GAP
    assert redness(shown[top + SIDE // 8, left + SIDE // 8]) > 60
    assert redness(shown[top + SIDE * 7 // 8, left + SIDE * 7 // 8]) < -30
    assert abs(redness(shown[top + SIDE // 8, left + SIDE * 7 // 8])) < 20


def test_each_word_has_its_own_regions_on_one_scale() -> None:
    maps = word_maps(explained(), 6, MAP, 16)
    assert maps is not None
    shown = pixels(maps)
    corner, far = MAP // 8, MAP * 7 // 8
    assert redness(shown[corner, corner]) > 60
    assert abs(redness(shown[far, far])) < 20, "the smile does not reach the chin"
    second = MAP + 16
    assert redness(shown[far, second + far]) < -30
    assert abs(redness(shown[corner, second + corner])) < 20
    alone = pixels(explained(contributions=explained().contributions[1:], words=[]).word_map(0, MAP))
    assert redness(alone[far, far]) < redness(shown[far, second + far]), "alone, its colour would be full"


def test_the_scale_of_single_words_is_that_of_the_strongest() -> None:
    assert strongest(explained().contributions) == pytest.approx(0.4)
    assert strongest(np.zeros((0, 7, 7))) == 0.0


def test_parts_are_added_where_they_are_shown() -> None:
    assert "constant -0.5000 and words +0.2000 give the logit -0.3000 (they add up" in explained().sum()
    assert "DO NOT" in explained(contributions=explained().contributions * 2).sum()


def test_flags_are_told_in_red_and_only_then() -> None:
    column = slice(LEFT + 2 * (SIDE + GAP), LEFT + INSIDE)

    def warned(face: ExplainedFace) -> bool:
        return bool((pixels(page(face, "", ""))[:500, column] == RAISING).all(axis=2).any())

    assert warned(explained(flags=["dark", "turned"]))
    assert not warned(explained())


@pytest.mark.parametrize("caption", ["smile", "a " * 5000, "x" * 5000, "وجه", "一位女性", "😀", ""])
def test_any_caption_makes_a_page_of_some_height(caption: str) -> None:
    face = explained(caption=caption, words=[], contributions=np.zeros((0, 2, 2), np.float32), logit=-0.5)
    assert 600 < page(face, caption, caption).height < 2000
    assert 100 < caption_picture(face).height < 2300
