"""What the encoders hand to the scorer: the states of one face, and their form on the way through storage."""

import json
from dataclasses import asdict, dataclass

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from shared.errors import StatesBroken

HEADER_LENGTH = 8  # bytes: a safetensors file begins with the length of its JSON header, little endian


@dataclass(frozen=True)
class Word:
    """A word of a caption: its text without the punctuation around it, and where that text lies in the caption.

    `sentence` is the one it stands in, from 0.
    """

    text: str
    start: int
    end: int
    sentence: int


@dataclass(frozen=True)
class FaceStates:
    """One face and its caption, encoded.

    `patches` is (P, Dv), row by row from the top left; `tokens` is (T, Dt), word pieces only, no [CLS] or [SEP]; both
    are float16, which halves storage and makes a score the same whether or not the states went through it.
    `word_of_token` is int64 (T,), an index into `words`.
    """

    patches: Tensor
    tokens: Tensor
    word_of_token: Tensor
    words: list[Word]

    def __post_init__(self) -> None:
        if not len(self.tokens) == len(self.word_of_token) > 0:
            raise ValueError(f"{len(self.tokens)} tokens and {len(self.word_of_token)} indices of words")
        if self.word_of_token.unique().tolist() != list(range(len(self.words))):
            raise ValueError("a token belongs to a word that is not there, or a word has no token")


def pack(states: dict[int, FaceStates]) -> bytes:
    """The states of several faces, by face id, as one safetensors file. The words go into its header.

    Raises ValueError if there are none: safetensors cannot write that so that it reads it back.
    """
    if not states:
        raise ValueError("no states to pack")
    tensors, words = {}, {}
    for face_id, face in states.items():
        tensors[f"{face_id}.patches"] = face.patches.cpu().contiguous()
        tensors[f"{face_id}.tokens"] = face.tokens.cpu().contiguous()
        tensors[f"{face_id}.word_of_token"] = face.word_of_token.cpu().contiguous()
        words[str(face_id)] = json.dumps([asdict(word) for word in face.words])
    return save(tensors, metadata=words)


def unpack(content: bytes) -> dict[int, FaceStates]:
    """The inverse of `pack`. Raises StatesBroken if the bytes are not its work."""
    try:
        tensors = load(content)
        header = json.loads(content[HEADER_LENGTH : HEADER_LENGTH + int.from_bytes(content[:HEADER_LENGTH], "little")])
        return {
            int(face_id): FaceStates(
                tensors[f"{face_id}.patches"],
                tensors[f"{face_id}.tokens"],
                tensors[f"{face_id}.word_of_token"],
                [Word(**word) for word in json.loads(words)],
            )
            for face_id, words in header.get("__metadata__", {}).items()
        }
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StatesBroken from error
