"""Captions whose words are coloured by what they add."""

import re
from collections.abc import Iterator
from time import perf_counter

import numpy as np
import pytest
from PIL import Image

from services.api.schemas import Word
from shared.drawing import letters
from shared.drawing.caption import MOST_SIGNS, coloured_caption, ground
from shared.drawing.letters import letters_for, plain
from shared.images.heatmap import overlaid

RED, BLUE = ground(1.0), ground(-1.0)


def words_of(caption: str, *contributions: float) -> list[Word]:
    found = list(re.finditer(r"\S+", caption))
    return [
        Word(text=match[0], start=match.start(), end=match.end(), contribution=contribution)
        for match, contribution in zip(found, contributions, strict=False)
    ]


def drawn(caption: str, *contributions: float, width: int = 600, **options: int) -> np.ndarray:
    picture = coloured_caption(caption, words_of(caption, *contributions), width, **options)
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    return np.asarray(white.convert("RGB"))


def columns(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """The columns in which a colour occurs."""
    return np.flatnonzero((picture == colour).all(axis=2).any(axis=0))


def test_words_stand_on_the_colour_of_what_they_add_from_left_to_right() -> None:
    picture = drawn("smile hat hair", 0.4, -0.2, 0.0)
    red, blue = columns(picture, RED), columns(picture, ground(-0.5))
    assert 0 < red.size < blue[0] + red.size
    assert red[-1] < blue[0]
    assert columns(picture, BLUE).size == 0, "the heaviest word is red"
    assert (picture[:, blue[-1] + 12 :] == 255).mean() > 0.8, "the last word adds nothing: dark letters on white"
    assert (picture[:, blue[-1] + 12 :].min(axis=2) < 60).any()


def test_a_word_has_the_colour_of_a_region_of_the_same_weight() -> None:
    white = Image.new("RGB", (8, 8), "white")
    for weight in (1.0, 0.3, -0.6):
        assert overlaid(white, np.array([[weight]]), 1.0).getpixel((4, 4)) == ground(weight)


def test_what_the_model_did_not_read_is_grey() -> None:
    read, unread = drawn("smile smile", 0.3, 0.3), drawn("smile smile", 0.3)
    assert columns(read, RED)[-1] > 1.5 * columns(unread, RED)[-1]
    assert unread[:, columns(unread, RED)[-1] + 12 :].min() >= 90


def test_a_long_caption_ends_in_what_is_not_shown() -> None:
    caption = "smile " * 400
    whole, cut = drawn(caption, *[0.1] * 400, lines=100), drawn(caption, *[0.1] * 400, lines=3)
    assert cut.shape[0] < whole.shape[0] / 5
    bottom = cut[cut.shape[0] * 3 // 4 :]
    assert (bottom.min(axis=2) < 140).any(), "a line says how many more there are"
    assert not (bottom == RED).all(axis=2).any()


def test_arabic_runs_from_the_right() -> None:
    picture = drawn("وجه ساطع", 0.4, -0.4)
    assert columns(picture, RED)[0] > columns(picture, BLUE)[-1]


HOSTILE = [
    "",
    " \n\t ",
    "x" * 5000,
    "一位面带微笑的女性" * 300,
    "a\u202eb\0c\x1b[31m",
    "e" + "\u0301" * 3000,
    "👩‍🚀 smile",
    "a " * 100_000,
]


@pytest.mark.parametrize("caption", HOSTILE, ids=range(len(HOSTILE)))
def test_any_caption_keeps_to_its_room_and_takes_no_time(caption: str) -> None:
    begin = perf_counter()
    picture = coloured_caption(caption, words_of(caption, *[0.1] * 300), 500, lines=20)
    assert picture.width == 500
    assert picture.height <= 21 * 40
    assert perf_counter() - begin < 5


def test_a_word_without_spaces_goes_on_in_the_next_row() -> None:
    picture = drawn("x" * 200, 0.5, width=300)
    rows = (picture == RED).all(axis=2).any(axis=1)
    assert np.flatnonzero(np.diff(rows.astype(int)) == 1).size >= 4


def test_no_sign_controls_anything_and_none_moves() -> None:
    hostile = "a\u202e\0\x1b\ud800b"
    assert plain(hostile) == "a����b"
    assert len(plain("é 👩‍🚀\n")) == len("é 👩‍🚀\n")
    assert MOST_SIGNS < 10_000


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without any typeface but Pillow's own, as a slim container is."""
    monkeypatch.setattr(letters, "SYSTEM_FONTS", ())
    monkeypatch.setattr(letters, "find_spec", lambda _: None)
    caches = (letters._typefaces, letters._letters, letters._lacks)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.usefixtures("no_fonts")
def test_without_typefaces_strange_letters_are_boxes_and_nothing_breaks() -> None:
    assert letters_for("smile", 20).getname() == letters_for("وجه", 20).getname()
    assert columns(drawn("وجه smile", 0.4, -0.4), BLUE).size > 10


def test_accents_and_arabic_have_letters_where_there_is_a_typeface() -> None:
    own = letters_for("smile", 20).getname()
    assert letters_for("Zoë", 20).getname() != own
    assert letters_for("وجه", 20).getname()[0] == "DejaVu Sans"
