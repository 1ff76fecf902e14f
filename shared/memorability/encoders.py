"""Both encoders of a bundle: from crops and captions to states."""

import numpy as np
import torch
from safetensors.torch import load_file

from shared.errors import BundleInvalid
from shared.memorability.catalogue import BundleFacts
from shared.memorability.preprocessing import to_input
from shared.memorability.states import FaceStates
from shared.memorability.text_encoder import TextEncoder
from shared.memorability.visual_encoder import VisualEncoder

VISUAL_PREFIX = "visual."  # of the visual encoder's tensors in a bundle's weights


class Encoders:
    """The visual and the text encoder of one bundle, on one device."""

    def __init__(self, bundle: BundleFacts, device: str) -> None:
        """Load the networks. `device` is "cpu", "cuda" or "auto". Raises BundleInvalid if something does not fit."""
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._device = torch.device(device)
        visual, text = bundle.config["visual"], bundle.config["text"]
        rows, columns = bundle.config["grid"]
        self._visual = VisualEncoder(visual["sides"], (rows, columns))
        weights = {
            name.removeprefix(VISUAL_PREFIX): tensor
            for name, tensor in load_file(bundle.weights).items()
            if name.startswith(VISUAL_PREFIX)
        }
        try:
            self._visual.load_state_dict(weights)
        except RuntimeError as error:
            raise BundleInvalid(f"the weights of bundle '{bundle.name}' do not fit its networks: {error}") from error
        self._visual.to(self._device).eval()
        self._text = TextEncoder(text["weights_sha256"], text["max_tokens"], self._device)

    def encode(self, crops: np.ndarray, captions: list[str]) -> list[FaceStates]:
        """The states of N faces: `crops` uint8 (N, 224, 224, 3) RGB, one caption each.

        Raises ValueError for a caption without a word.
        """
        return encode(self._visual, self._text, crops, captions)


@torch.inference_mode()
def encode(visual: VisualEncoder, text: TextEncoder, crops: np.ndarray, captions: list[str]) -> list[FaceStates]:
    """As `Encoders.encode`, with networks that need not come from a bundle: training makes one from them."""
    if len(crops) != len(captions):
        raise ValueError(f"{len(crops)} crops and {len(captions)} captions")
    if not captions:
        return []
    patches = visual(to_input(crops, text.device)).half().cpu()
    return [
        FaceStates(face.clone(), tokens.half(), word_of_token, words)
        for face, (tokens, word_of_token, words) in zip(patches, text.encode(captions), strict=True)
    ]
