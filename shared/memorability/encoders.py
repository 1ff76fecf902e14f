"""Both encoders of a bundle: from crops and captions to states."""

from hashlib import sha256

import numpy as np
import torch

from shared.compute import Compute
from shared.errors import BundleInvalid
from shared.images.crop import CROP_SIZE
from shared.memorability.catalogue import TOKENIZER, BundleFacts, pinned_files
from shared.memorability.pieces import CPU_SIZES, TOKENS, pieces
from shared.memorability.se_resnet import SEResNet50
from shared.memorability.states import FaceStates
from shared.memorability.text_encoder import BertEncoder, MiniLMEncoder, TextEncoder
from shared.memorability.visual_encoder import OnetEncoder
from shared.memorability.weights import cast_layers, load_into, tensors_of

VISUAL_PREFIX, TEXT_PREFIX = "visual.", "text."  # of the encoders' tensors in a bundle's weights

USUAL_TOKENS = 112  # of a caption at most: the describer's 30 to 70 words are no more

VisualEncoder = OnetEncoder | SEResNet50  # both take uint8 crops (N, 224, 224, 3) and give float patches (N, P, Dv)


class Encoders:
    """The visual and the text encoder of one bundle."""

    def __init__(self, bundle: BundleFacts, compute: Compute) -> None:
        """Load the networks, where `compute` says. Raises BundleInvalid if something does not fit."""
        self._dtype = compute.dtype
        self._visual, self._text = visual_of(bundle), text_of(bundle, compute.device)
        prepare(self._visual, self._text, compute)

    def encode(self, crops: np.ndarray, captions: list[str]) -> list[FaceStates]:
        """The states of N faces: `crops` uint8 (N, 224, 224, 3) RGB, one caption each.

        Raises ValueError for a caption without a word.
        """
        return encode(self._visual, self._text, crops, captions, self._dtype)

    def warm_up(self) -> None:
        """Compute once in every shape that usual faces and captions have: what torch's libraries keep of each is there
        then, so that the first faces cost what all cost, and that later ones add little to memory.
        """
        if self._text.device.type != "cpu":
            return
        for size in CPU_SIZES:
            self.encode(np.zeros((size, CROP_SIZE, CROP_SIZE, 3), np.uint8), ["face"] * size)
            with _autocast(self._dtype, self._text):
                for tokens in range(TOKENS, USUAL_TOKENS + 1, TOKENS):
                    self._text.encode(["face " * (tokens - 2)] * size)  # two are the encoder's own


def prepare(visual: VisualEncoder, text: TextEncoder, compute: Compute) -> None:
    """Make networks that were loaded as fast as `compute` allows; what they say changes by rounding only."""
    if isinstance(visual, SEResNet50):
        visual.fold_norms()
    # Colours last is how convolutions like their pictures. (torch declares no such overload.)
    visual.to(compute.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for network in (visual, text.network):
        cast_layers(network, compute.dtype)


def visual_of(bundle: BundleFacts) -> VisualEncoder:
    """The bundle's visual encoder, on the CPU. Raises BundleInvalid."""
    visual, grid = bundle.config["visual"], bundle.config["grid"]
    encoder: VisualEncoder
    match visual.get("network"):
        case "mtcnn-onet":
            encoder = OnetEncoder(visual["sides"], (grid[0], grid[1]), mirrored=visual["mirrored"])
        case "se-resnet-50":
            encoder = SEResNet50()
        case unknown:
            raise BundleInvalid(f"bundle '{bundle.name}' needs the visual network '{unknown}'; facemem has none such")
    load_into(encoder, bundle, VISUAL_PREFIX)
    return encoder.eval().requires_grad_(False)


def text_of(bundle: BundleFacts, device: torch.device) -> TextEncoder:
    """The bundle's text encoder. Raises BundleInvalid."""
    text = bundle.config["text"]
    match text.get("network"):
        case "minilm-l6-v2":
            return MiniLMEncoder(text["weights_sha256"], text.get("files", {}), text["max_tokens"], device)
        case "bert":
            tensors, tokenizer = tensors_of(bundle, TEXT_PREFIX), _pinned_tokenizer(bundle)
            return BertEncoder(text["config"], tensors, tokenizer, text["max_tokens"], device)
        case unknown:
            raise BundleInvalid(f"bundle '{bundle.name}' needs the text network '{unknown}'; facemem has none such")


@torch.inference_mode()
def encode(
    visual: VisualEncoder, text: TextEncoder, crops: np.ndarray, captions: list[str], dtype: torch.dtype
) -> list[FaceStates]:
    """As `Encoders.encode`, with networks that need not come from a bundle: training makes one from them.

    Both networks must be on the text encoder's device. `dtype` is what they compute in, float32 or bfloat16.
    """
    if len(crops) != len(captions):
        raise ValueError(f"{len(crops)} crops and {len(captions)} captions")
    if not captions:
        return []
    pixels = torch.from_numpy(np.ascontiguousarray(crops))
    with _autocast(dtype, text):
        cut = pieces(len(pixels), text.device, visual.cpu_sizes)
        seen = (visual(pixels[piece].to(text.device)).half().cpu() for piece in cut)
        patches = [face.clone() for together in seen for face in together]  # (P, Dv) each
        encoded = text.encode(captions)
    return [
        FaceStates(face, tokens.half(), word_of_token, words)
        for face, (tokens, word_of_token, words) in zip(patches, encoded, strict=True)
    ]


def _autocast(dtype: torch.dtype, text: TextEncoder) -> torch.autocast:
    return torch.autocast(text.device.type, dtype, enabled=dtype != torch.float32)


def _pinned_tokenizer(bundle: BundleFacts) -> bytes:
    try:
        content = (bundle.path / TOKENIZER).read_bytes()
    except OSError as error:
        raise BundleInvalid(f"bundle '{bundle.name}' lacks its {TOKENIZER}: {error}") from error
    if sha256(content).hexdigest() != pinned_files(bundle.config).get(TOKENIZER):
        raise BundleInvalid(f"the {TOKENIZER} of bundle '{bundle.name}' is damaged or was replaced")
    return content
