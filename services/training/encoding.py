"""From crops and captions to the states of faces, computed once, on every device there is, and then kept."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import torch
from torch.nn.utils.rnn import pad_sequence

from services.training.devices import devices, spread
from services.training.encoders import FrozenEncoders
from services.training.faces import Crops, Progress
from services.training.fitting import Faces
from services.training.places import place_maps, place_of_words
from services.training.whole_files import put
from shared.errors import StatesBroken
from shared.memorability.encoders import encode
from shared.memorability.scorer import padded
from shared.memorability.states import FaceStates, pack, unpack

AT_ONCE = 16  # faces encoded together, and kept in one file; bounds memory


def states_of(
    make: Callable[[torch.device], FrozenEncoders], crops: Crops, captions: list[str], work: Path, progress: Progress
) -> tuple[FrozenEncoders, list[FaceStates]]:
    """The states of each face, and the encoders that made them, on the CPU.

    States are float16 and are kept in `work` by what they were made from, some faces to a file, so that a second run
    computes only what is missing.
    """
    encoders = make(torch.device("cpu"))
    folder = work / f"states-{_fingerprint(encoders, crops, captions)}"
    folder.mkdir(parents=True, exist_ok=True)

    def prepare(device: torch.device) -> Callable[[int], list[FaceStates]]:
        numbers = torch.bfloat16 if device.type == "cuda" else torch.float32
        here: list[FrozenEncoders] = [encoders] if device.type == "cpu" else []

        def encoded(start: int) -> list[FaceStates]:
            path = folder / f"{start:06}.safetensors"
            kept = _kept(path)
            if kept is not None:
                return kept
            if not here:
                here.append(make(device))
            batch = slice(start, start + AT_ONCE)
            states = encode(here[0].visual, here[0].text, crops.pixels[batch], captions[batch], numbers)
            content = pack(dict(enumerate(states)))
            put(path, lambda unfinished: unfinished.write_bytes(content))
            return states

        return encoded

    starts = range(0, len(captions), AT_ONCE)
    batches = spread(
        starts, devices(), prepare, lambda done: progress("encoding faces and captions", done / len(starts))
    )
    return encoders, [face for batch in batches for face in batch]


def side_by_side(states: list[FaceStates], crops: Crops, grid: tuple[int, int]) -> Faces:
    """The faces' states in one, with the places where each token is to look."""
    places = []
    for face, landmarks in zip(states, crops.landmarks, strict=True):
        of_words = torch.tensor(place_of_words(face.words))
        places.append(place_maps(landmarks, grid)[of_words[face.word_of_token]])
    return Faces(*padded(states), pad_sequence(places, batch_first=True))


def _kept(path: Path) -> list[FaceStates] | None:
    try:
        return [face for _, face in sorted(unpack(path.read_bytes()).items())]
    except (FileNotFoundError, StatesBroken):
        return None


def _fingerprint(encoders: FrozenEncoders, crops: Crops, captions: list[str]) -> str:
    digest = sha256(f"{encoders.digest()} {torch.__version__} {devices()[0].type}".encode())
    for pixels, caption in zip(crops.pixels, captions, strict=True):
        digest.update(sha256(pixels).digest() + sha256(caption.encode()).digest())
    return digest.hexdigest()[:16]
