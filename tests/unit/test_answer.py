"""What becomes of a model's answer: refusals, loops, markup and text that is not meant for people."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.captions.answer import MAX_CHARACTERS, before_loop, caption_from, plain
from shared.errors import CaptionRefused

FACE = "The face is oval with short dark hair, brown eyes and a broad smile."


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m not able to help with identifying people in images.",
        "I cannot provide information about the person in this picture.",
        "I can't identify people based on their facial features. Is there anything else?",
        "I do not feel comfortable describing this person.",
        "As an AI, I must be careful.",
        "Sorry, I'm unable to assist.",
        "It's not appropriate to describe people's features.",
    ],
)
def test_refusals(answer: str) -> None:
    with pytest.raises(CaptionRefused) as raised:
        caption_from(answer)
    assert raised.value.detail == CaptionRefused.title()


def test_a_refusal_beside_a_description_is_left_out() -> None:
    assert caption_from(f"I can't say who this is. {FACE} I cannot identify the person.") == FACE


@pytest.mark.parametrize(
    "answer", ["", "   \n", "...", "A face.", "ok", "**", "Memorable memorable " * 4, "a b c d " * 2]
)
def test_nothing_said(answer: str) -> None:
    with pytest.raises(CaptionRefused, match="nothing"):
        caption_from(answer)


@pytest.mark.parametrize("loop", ["very ", "the hair and ", "She has brown hair, brown eyes and a smile on the face. "])
def test_loops(loop: str) -> None:
    caption = caption_from(f"{FACE} {loop * 50}")
    assert caption.startswith(FACE)
    assert len(caption) <= len(FACE) + len(loop) + 1


def test_nothing_but_a_loop() -> None:
    with pytest.raises(CaptionRefused, match="repeating"):
        caption_from("face " * 200)


def test_no_loop_is_seen_in_common_words() -> None:
    text = "The eyes are brown. The brows are dark. The lips are red. The hair is dark and the eyes are brown."
    assert before_loop(text) == text


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("**Bold** and _thin_ and `code`", "Bold and thin and code"),
        ("# Title\n\n1. One\n2. Two\n- three\n> four", "Title One Two three four"),
        ("See [this](https://evil.example/?q=1) or https://evil.example/x now", "See this or now"),
        ("a<script>alert(1)</script>b", "aalert(1)b"),
        ("tabs\tand\r\nlines\u2028and\x00bells\x07", "tabs and lines andbells"),
        ("left\u202eright\u200b\ufeff", "leftright"),
        ("\uff26\uff55\uff4c\uff4c width", "Full width"),
        ("it\u2019s", "it's"),
    ],
)
def test_plain(answer: str, expected: str) -> None:
    assert plain(answer) == expected


def test_ends_with_a_sentence() -> None:
    assert caption_from(f"{FACE} The light comes from the le") == FACE
    assert caption_from("A face with short dark hair and brown eyes under the light") == (
        "A face with short dark hair and brown eyes under the light"
    )


def test_length() -> None:
    long = " ".join(f"Thing {number} is in the picture." for number in range(1000))
    assert len(caption_from(long)) <= MAX_CHARACTERS
    assert len(caption_from(" ".join(f"word{number}" for number in range(5000)))) <= MAX_CHARACTERS


@settings(deadline=None)
@given(st.text(max_size=400))
def test_anything(answer: str) -> None:
    try:
        caption = caption_from(answer)
    except CaptionRefused:
        return
    assert len(caption) <= MAX_CHARACTERS
    assert caption == " ".join(caption.split())
    assert not set(caption) & set("*`<>[]{}\x00\u202e")
