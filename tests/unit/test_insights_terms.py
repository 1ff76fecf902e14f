"""What a caption says, as words and attributes."""

import time

import pytest

from services.insights.terms import Weight, terms_of
from shared.captions.answer import MAX_CHARACTERS


def attributes(caption: str) -> set[str]:
    return {term for term in terms_of(caption) if " " in term}


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A broad smile with full red lips.", {"broad smile", "full lips", "red lips"}),
        ("Full, very long golden hair and a high forehead.",
         {"full hair", "very long hair", "golden hair", "high forehead"}),
        ("Plain dark blue background as if indoors, black below the chin.",
         {"plain background", "dark background", "blue background"}),
        ("Smooth, very light skin. Even light from the left.", {"smooth skin", "very light skin", "even light"}),
        ("The man's hair is short, wavy and very dark. His eyes are blue.",
         {"short hair", "wavy hair", "very dark hair", "blue eyes"}),
        ("He wears no glasses, long hair, and hardly a smile.", {"no glasses", "long hair", "hardly a smile"}),
        ("Dark glasses hide the eyes", {"dark glasses"}),
        ("It is dark. Hair is there.", set()),
    ],
)  # fmt: skip
def test_attributes_are_a_part_with_what_is_said_of_it(caption: str, expected: set[str]) -> None:
    assert attributes(caption) == expected


def test_words_are_whole_lower_case_and_say_something() -> None:
    assert set(terms_of("The WOMAN's chin-length Hair; her eyes, his hat.")) - {"chin-length hair"} == {
        "woman", "chin-length", "hair", "eyes", "hat",
    }  # fmt: skip


def test_what_is_denied_is_not_there() -> None:
    found = terms_of("No smile and not a beard, without any facial hair, dark brows.")
    assert set(found) == {"no smile", "not a beard", "without any facial hair", "dark", "brows", "dark brows"}


def test_a_term_adds_what_its_words_add() -> None:
    caption = "Long hair, (long) smile/hat"
    weights = [Weight(0, 4, 0.25), Weight(5, 9, 0.5), Weight(12, 16, 1.0), Weight(18, 27, 4.0)]
    found = terms_of(caption, weights)
    assert found["long"] == 0.25 + 1.0
    assert found["hair"] == 0.5
    assert found["long hair"] == 0.75
    assert found["smile"] == found["hat"] == 2.0
    assert found["long smile"] == 3.0
    assert set(terms_of(caption).values()) == {None}
    assert terms_of(caption, weights[:1])["hair"] is None


@pytest.mark.parametrize(
    "caption",
    [
        "",
        " \t\n",
        "…!?",
        "\x00\x1b[2J smile \u202egnirts\u202c \ud800",
        "very " * 50_000,
        "no a " * 50_000 + "smile",
        "x" * 1_000_000,
        "smile " * 200_000,
        "a-" * 500_000,
        "漢字かな 笑顔 שלום 🙂 é e\u0301 İ",
    ],
)
def test_any_text_is_read_in_little_time(caption: str) -> None:
    started = time.monotonic()
    found = terms_of(caption, [Weight(0, 3, 0.1)])
    assert time.monotonic() - started < 1
    for term in found:
        assert term.isprintable()
        assert 0 < len(term) < 200
    assert len(found) < MAX_CHARACTERS


def test_text_of_strangers_becomes_terms_without_its_signs() -> None:
    found = set(terms_of("\x1b[31m red\x00 <b>smile</b> \u202eevil\u202c 'quoted' _x_ 12 a1b2"))
    assert {"red", "smile", "evil", "quoted"} <= found
    assert all(sign.isalpha() or sign in "'’- " for term in found for sign in term)
