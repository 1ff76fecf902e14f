"""Results in words for people."""

from services.api.schemas import Word
from services.client.wording import heaviest


def words(*texts: str) -> list[Word]:
    return [Word(text=text, start=0, end=len(text), contribution=1 / (place + 1)) for place, text in enumerate(texts)]


def test_the_heaviest_words_say_something_and_say_it_once() -> None:
    told = heaviest(words("if", "chin.", "The", "chin", "No", "smile", "hair"), 3)
    assert [word.text for word in told] == ["chin.", "No", "smile"]
    assert heaviest(None, 3) == []
