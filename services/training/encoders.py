"""The frozen networks that turn crops and captions into what a head is trained on."""

import json
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from services.training.vggface2 import load_vggface2
from shared.compute import PLAIN
from shared.errors import BundleInvalid
from shared.memorability.catalogue import TOKENIZER, BundleFacts
from shared.memorability.encoders import TEXT_PREFIX, VISUAL_PREFIX, VisualEncoder, encode, text_of, visual_of
from shared.memorability.se_resnet import GRID
from shared.memorability.states import pack
from shared.memorability.text_encoder import PACKAGE, BertEncoder, MiniLMEncoder, TextEncoder
from shared.memorability.visual_encoder import OnetEncoder
from shared.memorability.weights import tensors_of

ONET_SHA256 = "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_FILES = {  # SHA-256 of what lies beside its weights
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
SIDES, ONET_GRID = (80, 112, 144), (7, 7)  # pixels of the crop that O-Net runs over: 7, 11 and 15 places across
MAX_TOKENS = 256  # what MiniLM was trained for; captions have at most 2,000 characters, and few have more tokens
BERT = "google-bert/bert-base-uncased"  # as transformers resolves it: from its cache, or downloaded once
PROBE_CAPTION = "A faint smile; grey-green, half-closed eyes! Long hair (dark). It's unforgettable: 3.5 cm of beard?"
OFFLINE = (
    "On a machine without a way to the hub, copy the model's folder (config.json, model.safetensors, tokenizer.json) "
    "from another one and name it with --bert FOLDER"
)


@dataclass(frozen=True)
class FrozenEncoders:
    """Both networks, and what a bundle must hold to have them again.

    `config` goes into config.json: `grid`, `visual` and `text`; `weights` are named as in a bundle; `files` are the
    further files of a bundle, by name.
    """

    visual: VisualEncoder
    text: TextEncoder
    config: dict[str, Any]
    weights: dict[str, Tensor]
    files: dict[str, bytes] = field(default_factory=dict)

    def digest(self) -> str:
        """The same for the same networks and the same code around them: 64 hexadecimal digits.

        Code shows in what becomes of one face: its numbers, its tokens, its words and its sentences. That is computed
        here, where these encoders are; what changes on CUDA alone does not show on the CPU.
        """
        digest = sha256(json.dumps(self.config, sort_keys=True).encode())
        for name, tensor in sorted(self.weights.items()):
            digest.update(name.encode() + tensor.contiguous().cpu().numpy().tobytes())
        for name, content in sorted(self.files.items()):
            digest.update(name.encode() + content)
        digest.update(pack(dict(enumerate(encode(self.visual, self.text, _probe(), [PROBE_CAPTION], PLAIN.dtype)))))
        return digest.hexdigest()


@dataclass(frozen=True)
class Networks:
    """Where the networks lie that do not come with facemem.

    `vggface2` is a file that `facemem models import-vggface2` wrote; `bert` a folder, or a name on the hub.
    """

    vggface2: Path | None = None
    bert: str = BERT


def compact_encoders(_networks: Networks, device: torch.device) -> FrozenEncoders:
    """MTCNN's O-Net and MiniLM, which packages carry. Raises BundleInvalid if they are not there."""
    visual = onet_encoder()
    config = {
        "grid": list(ONET_GRID),
        "visual": {"network": "mtcnn-onet", "sides": list(SIDES), "mirrored": True},
        "text": {
            "network": "minilm-l6-v2",
            "package": PACKAGE,
            "weights_sha256": MINILM_SHA256,
            "files": MINILM_FILES,
            "max_tokens": MAX_TOKENS,
        },
    }
    text = MiniLMEncoder(MINILM_SHA256, MINILM_FILES, MAX_TOKENS, device)
    return FrozenEncoders(visual.to(device), text, config, _named(VISUAL_PREFIX, visual.state_dict()))


def reference_encoders(networks: Networks, device: torch.device) -> FrozenEncoders:
    """SE-ResNet-50 with VGGFace2's weights, and BERT. Raises BundleInvalid or WeightsInvalid, saying what to do."""
    if networks.vggface2 is None:
        raise BundleInvalid(
            "the recipe reference needs the weights of SE-ResNet-50 trained on VGGFace2: name them with --vggface2 "
            "FILE.safetensors. `facemem models import-vggface2 senet50_scratch_weight.pkl` makes that file"
        )
    visual = load_vggface2(networks.vggface2)
    try:
        text = BertEncoder.from_folder(networks.bert, MAX_TOKENS, device)
    except BundleInvalid as error:
        raise BundleInvalid(f"{error.detail.rstrip('.')}. {OFFLINE}") from error
    text_config, text_tensors, tokenizer = text.bundle_parts()
    config = {"grid": list(GRID), "visual": {"network": "se-resnet-50"}, "text": text_config}
    weights = _named(VISUAL_PREFIX, visual.state_dict()) | _named(TEXT_PREFIX, text_tensors)
    return FrozenEncoders(visual.to(device), text, config, weights, {TOKENIZER: tokenizer})


def encoders_of(bundle: BundleFacts, device: torch.device) -> FrozenEncoders:
    """The encoders that a bundle was trained with. Raises BundleInvalid."""
    config = {name: bundle.config[name] for name in ("grid", "visual", "text")}
    weights = {
        f"{prefix}{name}": tensor
        for prefix in (VISUAL_PREFIX, TEXT_PREFIX)
        for name, tensor in tensors_of(bundle, prefix).items()
    }
    visual, text = visual_of(bundle).to(device), text_of(bundle, device)
    files = {TOKENIZER: (bundle.path / TOKENIZER).read_bytes()} if isinstance(text, BertEncoder) else {}
    return FrozenEncoders(visual, text, config, weights, files)


def onet_encoder() -> OnetEncoder:
    """The visual encoder with O-Net's weights from facenet-pytorch. Raises BundleInvalid if they are not there."""
    spec = find_spec("facenet_pytorch")
    if spec is None or spec.origin is None:
        raise BundleInvalid("the package facenet-pytorch, which holds O-Net, is not installed")
    path = Path(spec.origin).parent / "data" / "onet.pt"
    content = path.read_bytes()
    if sha256(content).hexdigest() != ONET_SHA256:  # a pickle: nothing but the known file is opened
        raise BundleInvalid("O-Net's weights in facenet-pytorch are not the known ones")
    weights = torch.load(path, weights_only=True)
    encoder = OnetEncoder(list(SIDES), ONET_GRID)
    encoder.onet.load_state_dict({name: weights[name] for name in encoder.onet.state_dict()})
    return encoder.eval()


def _named(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor.clone() for name, tensor in tensors.items()}


def _probe() -> np.ndarray:
    """A made-up crop, (1, 224, 224, 3), that differs in all directions and in its colours."""
    down, across, colour = np.indices((224, 224, 3))
    return ((down * 3 + across * across // 40 + colour * 70) % 256).astype(np.uint8)[None]
