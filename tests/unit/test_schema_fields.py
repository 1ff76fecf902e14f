"""What the API takes as words: what an encoder can make tokens of, and nothing that would leave it without one."""

import sys
import unicodedata

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from services.api.schemas.fields import Readable
from shared.memorability.catalogue import find
from shared.memorability.encoders import text_of

READABLE = TypeAdapter(Readable)
STORABLE = [chr(code) for code in range(1, sys.maxunicode + 1) if unicodedata.category(chr(code)) != "Cs"]


def is_readable(text: str) -> bool:
    try:
        READABLE.validate_python(text)
    except ValidationError:
        return False
    return True


def test_every_sign_that_is_taken_is_a_token_of_the_shipped_bundle() -> None:
    signs = [sign for sign in STORABLE if is_readable(sign)]
    assert len(signs) > 100_000
    encodings = text_of(find("compact"), torch.device("cpu"))._tokenizer.encode_batch_fast(
        signs, add_special_tokens=False
    )
    assert [sign for sign, encoding in zip(signs, encodings, strict=True) if not encoding.ids] == []


@pytest.mark.parametrize("text", ["...", "🙂", "١٢٣", "é", "e\u0301", "\u200ba", "日本"])
def test_what_can_be_read_is_taken(text: str) -> None:
    assert is_readable(text)


@pytest.mark.parametrize("text", ["", " ", "\u200b\u200d", "\u0301", "\ufffd", "\u202e", "\ue000", "a\0"])
def test_what_cannot_be_read_is_not(text: str) -> None:
    assert not is_readable(text)
