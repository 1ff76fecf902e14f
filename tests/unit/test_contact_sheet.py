"""The contact sheet is drawn whatever the results are, and shows what they say."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from services.contact_sheet import SheetContent, SheetFace, SheetImage, draw
from services.contact_sheet.cards import CARD_WIDTH, FACES, face_words, image_card, tile
from shared.drawing.caption import ground
from shared.drawing.ink import INK, LOWERING, RAISING, bar, chip, text
from tests.unit.results import face, image, why

GREY = (120, 120, 120)


def encoded(size: tuple[int, int], form: str = "JPEG") -> bytes:
    buffer = BytesIO()
    Image.new("RGB", size, GREY).save(buffer, form)
    return buffer.getvalue()


def sheet_image(name: str = "a.jpg", faces: int = 1, size: tuple[int, int] = (100, 50)) -> SheetImage:
    found = [face(number) for number in range(faces)]
    pictures = [SheetFace(each, encoded((224, 224)), why(each)) for each in found]
    return SheetImage(image(name, *found), encoded(size), pictures)


def has(picture: Image.Image, colour: tuple[int, int, int]) -> bool:
    return bool((np.asarray(picture.convert("RGB")) == colour).all(axis=2).any())


def test_a_sheet_of_everything_is_drawn() -> None:
    failed = SheetImage(image("b.jpg", state="failed", reason="broken_image", detail="It is damaged."), None, [])
    images = [
        sheet_image(),
        sheet_image("group.jpg", 3),
        sheet_image("crowd.jpg", FACES + 5),
        failed,
        sheet_image("c.jpg", 0),
    ]
    sheet = draw(SheetContent("A title", "a summary", "about it", images, left_out=7))
    assert sheet.mode == "RGB"
    assert sheet.width == 1640
    assert has(sheet, RAISING)
    assert has(sheet, LOWERING)


SCORES_ONLY = SheetImage(image("a.jpg", *[face(n, caption=None, words=None) for n in range(4)]), None, [], left_out=4)


@pytest.mark.parametrize("images", [[], [sheet_image(faces=0)], [sheet_image()], [SCORES_ONLY]])
def test_a_sheet_of_little_is_drawn(images: list[SheetImage]) -> None:
    assert draw(SheetContent("", "", "", images)).width == 1640


def test_a_box_lies_on_its_face_however_large_the_original_was() -> None:
    # The original is 200 x 100, the photo of it 100 x 50; the card shows it 290 wide.
    card = np.asarray(image_card(sheet_image()).convert("RGB")).astype(int)
    white = (card > 250).all(axis=2)
    photo = (card[:, 60:300] == GREY).all(axis=2).any(axis=1)
    top = int(np.argmax(photo))
    scale = 290 / 200
    row = top + round(65 * scale)
    left, right = 22 + round(20 * scale), 22 + round(60 * scale)
    assert white[row, left - 4 : left + 4].any()
    assert white[row, right - 4 : right + 4].any()
    assert not white[row, left + 8 : right - 8].any()


@pytest.mark.parametrize("size", [(3000, 20), (20, 3000), (1, 1)])
def test_photos_of_any_shape_fit(size: tuple[int, int]) -> None:
    assert image_card(sheet_image(size=size)).width == CARD_WIDTH
    assert image_card(sheet_image(faces=2, size=size)).width == CARD_WIDTH
    assert tile(sheet_image(faces=0, size=size)).height < 150


def test_words_are_coloured_by_their_sign() -> None:
    assert has(chip("smile +0.300", 18, RAISING), RAISING)
    assert has(image_card(sheet_image()), LOWERING)


@pytest.mark.parametrize("content", ["", "x" * 500, "Zoë Müller 中文 \u202e\0", "a b " * 300])
def test_any_text_keeps_to_its_room(content: str) -> None:
    picture = text(content, 18, width=200, lines=2)
    assert picture.width <= 202
    assert picture.height == 2 * round(18 * 1.36) if " b " in content else picture.height <= 50


def test_a_bar_is_as_long_as_its_share() -> None:
    row = np.asarray(bar((100, 8), INK, 0.3).convert("L"))[4]
    assert abs((row < 128).sum() - 30) <= 1


def test_a_crowd_is_cut_off() -> None:
    whole, crowd = image_card(sheet_image(faces=FACES)), image_card(sheet_image(faces=FACES + 20))
    assert crowd.height - whole.height < 50, "one line says how many there are"
    assert crowd.height > whole.height


def test_the_caption_is_coloured_and_the_sum_is_told() -> None:
    shown = SheetFace(face(), encoded((224, 224)), why(face()))
    words = face_words(shown, 700, 4)
    assert has(words, ground(1.0)), "the heaviest word raises"
    assert has(words, ground(-0.2 / 0.3)), "another lowers"
    assert "they add up, gap 0" in shown.explained().sum()
    wrong = replace(shown, why=shown.why.model_copy(update={"logit": 1.0}))
    assert "THEY DO NOT ADD UP" in wrong.explained().sum()


def test_a_flag_is_told_in_words() -> None:
    plain = SheetFace(face(), encoded((224, 224)), why(face()))
    warned = SheetFace(face(flags=["dark"]), encoded((224, 224)), why(face()))
    assert face_words(warned, 700, 4).height > face_words(plain, 700, 4).height
