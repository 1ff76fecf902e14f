"""States on their way through storage, and tokens that become words."""

import pytest
import torch

from shared.errors import StatesBroken
from shared.memorability.states import FaceStates, Word, pack, unpack
from shared.memorability.text_encoder import words_of


def face(tokens: int) -> FaceStates:
    words = [Word("Smile", 0, 5, 0), Word("héllo", 6, 11, 0)]
    return FaceStates(
        torch.randn(4, 3).half(),
        torch.randn(tokens, 2).half(),
        torch.arange(tokens).clamp(max=1),
        words[: min(tokens, 2)],
    )


def test_states_survive_storage() -> None:
    before = {7: face(3), 123456789012: face(1)}
    after = unpack(pack(before))
    assert after.keys() == before.keys()
    for face_id, states in before.items():
        assert torch.equal(after[face_id].patches, states.patches)
        assert torch.equal(after[face_id].tokens, states.tokens)
        assert torch.equal(after[face_id].word_of_token, states.word_of_token)
        assert after[face_id].words == states.words


def test_no_faces_are_no_batch() -> None:
    with pytest.raises(ValueError, match="no states"):
        pack({})


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x02\0\0\0\0\0\0\0{]", pack({1: face(2)})[:-3]])
def test_damaged_states_are_refused(content: bytes) -> None:
    with pytest.raises(StatesBroken):
        unpack(content)


def test_a_token_without_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="word"):
        FaceStates(torch.zeros(1, 1), torch.zeros(2, 1), torch.tensor([0, 1]), [Word("a", 0, 1, 0)])
    with pytest.raises(ValueError, match="tokens"):
        FaceStates(torch.zeros(1, 1), torch.zeros(0, 1), torch.zeros(0, dtype=torch.int64), [])


def test_pieces_and_punctuation_belong_to_their_word() -> None:
    caption = "Chin-length hair, (greyish)."
    offsets = [(0, 4), (4, 5), (5, 11), (12, 16), (16, 17), (18, 19), (19, 23), (23, 26), (26, 27), (27, 28)]
    word_of_token, words = words_of(caption, offsets)
    assert word_of_token.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2, 2]
    assert [word.text for word in words] == ["Chin-length", "hair", "greyish"]
    assert all(caption[word.start : word.end] == word.text for word in words)


def test_words_beyond_the_last_token_are_left_out() -> None:
    word_of_token, words = words_of("one two three", [(0, 3), (4, 7)])
    assert word_of_token.tolist() == [0, 1]
    assert [word.text for word in words] == ["one", "two"]


def test_a_caption_without_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="caption"):
        words_of("  ", [])
