"""A BERT of two narrow layers in the Hugging Face layout, with a vocabulary of a few hundred words and letters."""

from pathlib import Path
from string import ascii_lowercase, digits

import torch

from shared.faces.torchvision_ops import allow_cpu_torch
from tests.ollama_server import HAIR, LIGHTS, MOUTHS

WORDS = "the face has and seen in mark is on wall behind it a an of with very skin nose chin brows old young man woman"
WIDTH = 48


def write(folder: Path) -> Path:
    """config.json, model.safetensors, vocab.txt, tokenizer.json and tokenizer_config.json; always the same."""
    allow_cpu_torch()
    from transformers import BertConfig, BertModel, BertTokenizerFast

    known = sorted({word for text in (WORDS, *HAIR, *MOUTHS, *LIGHTS) for word in text.split()})
    letters = [*ascii_lowercase, *digits, *".,;:!?'-"]
    pieces = [f"##{letter}" for letter in ascii_lowercase + digits]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *known, *letters, *pieces]
    vocabulary = list(dict.fromkeys(vocabulary))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    BertTokenizerFast(vocab={word: place for place, word in enumerate(vocabulary)}, do_lower_case=True).save_pretrained(
        folder
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=512,
    )
    BertModel(config).save_pretrained(folder, safe_serialization=True)
    return folder
