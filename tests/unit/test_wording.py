"""Results in words for people."""

from services.api.schemas import Word
from shared.wording import FLAGS, adding_up, flagged, heaviest


def words(*texts: str) -> list[Word]:
    return [Word(text=text, start=0, end=len(text), contribution=1 / (place + 1)) for place, text in enumerate(texts)]


def test_the_heaviest_words_say_something_and_say_it_once() -> None:
    told = heaviest(words("if", "chin.", "The", "chin", "No", "smile", "hair"), 3)
    assert [word.text for word in told] == ["chin.", "No", "smile"]
    assert heaviest(None, 3) == []


def test_the_heaviest_come_first_whatever_the_order() -> None:
    light = Word(text="hat", start=0, end=3, contribution=0.1)
    heavy = Word(text="hair", start=4, end=8, contribution=-0.2)
    assert heaviest([light, heavy], 2) == [heavy, light]


def test_a_sum_is_checked() -> None:
    assert "they add up" in adding_up(-0.5, 0.2, -0.3)
    assert "THEY DO NOT ADD UP" in adding_up(-0.5, 0.2, -0.2998)
    assert "THEY DO NOT ADD UP" in adding_up(-0.5, float("nan"), -0.3)


def test_every_flag_has_words() -> None:
    assert set(FLAGS) == {"small", "blurred", "turned", "dark", "not_a_photograph"}
    told = "Trust this score less: the face is small in the photograph; the face lies in the dark."
    assert flagged(["small", "dark"]) == told
    assert flagged([]) == ""
    assert flagged(["of_a_later_version"]) == "Trust this score less: of a later version."
