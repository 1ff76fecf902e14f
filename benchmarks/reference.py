"""The networks of `reference` with random weights, as a bundle: the real may not be passed on; these take as long."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.photographs import portrait
from services.training.bundle import write
from shared.compute import PLAIN
from shared.faces.torchvision_ops import allow_cpu_torch
from shared.images.crop import CROP_SIZE
from shared.memorability.catalogue import CARD, TOKENIZER, BundleFacts, find
from shared.memorability.cross_attention import CrossAttention, HeadShape
from shared.memorability.encoders import TEXT_PREFIX, VISUAL_PREFIX, encode
from shared.memorability.scorer import MEMBER_PREFIX, padded
from shared.memorability.se_resnet import GRID, Bottleneck, FrozenBatchNorm, SEResNet50
from shared.memorability.states import FaceStates
from shared.memorability.text_encoder import BertEncoder, _package_folder

LONGEST = 512  # tokens that BERT takes
SHAPE = HeadShape(patches=49, patch_width=2048, token_width=768, heads=8, key_width=64, regions_read_alike=True)
BLOCK_SAY = 0.25  # of a residual block: it changes what it gets, and does not replace it
SPREAD = 0.25  # of logits
FITTED = 16  # portraits whose states a bundle's networks expect


def networks() -> tuple[SEResNet50, BertEncoder, CrossAttention]:
    """Those of `reference`, with random weights of a size that keeps signals alive through all layers."""
    allow_cpu_torch()
    from transformers import BertConfig, BertModel  # imports torchvision, which needs the line above

    torch.manual_seed(0)
    visual = SEResNet50()
    for layer in visual.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
        if isinstance(layer, Bottleneck):
            nn.init.constant_(layer.bn3.weight, BLOCK_SAY)
    config = BertConfig()
    bert = BertModel(config, add_pooling_layer=False)
    text = BertEncoder(
        config.to_dict(), bert.state_dict(), (_package_folder() / TOKENIZER).read_bytes(), LONGEST, torch.device("cpu")
    )
    head = CrossAttention(SHAPE)
    nn.init.normal_(head.value, std=0.02)
    return visual.eval().requires_grad_(False), text, head.eval().requires_grad_(False)


@torch.inference_mode()
def settle(visual: SEResNet50, crops: np.ndarray) -> None:
    """Give its normalisations the means and variances of some crops, as training does. Without, what a random network
    says of two faces is nearly the same, and rounding is a larger part of what tells them apart than it would ever be.
    """

    def settled(norm: FrozenBatchNorm, inputs: tuple[Tensor, ...]) -> None:
        norm.running_mean.copy_(inputs[0].mean((0, 2, 3)))
        norm.running_var.copy_(inputs[0].var((0, 2, 3)))

    norms = [layer for layer in visual.modules() if isinstance(layer, FrozenBatchNorm)]
    hooks = [norm.register_forward_pre_hook(settled) for norm in norms]
    visual(torch.from_numpy(crops))
    for hook in hooks:
        hook.remove()


@torch.inference_mode()
def fit(head: CrossAttention, states: list[FaceStates]) -> None:
    """Give a head the means and spreads of some faces, and let scores spread as those of `compact` do."""
    patches, tokens = (
        torch.stack([face.patches for face in states]).float(),
        torch.cat([face.tokens for face in states]),
    )
    head.patch_centre.copy_(patches.mean(0))
    head.patch_scale.fill_(patches.std())
    head.token_centre.copy_(tokens.float().mean(0))
    head.token_scale.fill_(tokens.float().std())
    head.value.mul_(SPREAD / head(*padded(states)).logits.std())


def written(folder: Path) -> BundleFacts:
    """A bundle of such networks in a folder, fitted to portraits, without which their logits would be in the hundreds.
    Its scores say nothing of faces.
    """
    visual, text, head = networks()
    crops = np.stack(
        [np.asarray(portrait(number, CROP_SIZE).resize((CROP_SIZE, CROP_SIZE))) for number in range(FITTED)]
    )
    settle(visual, crops)
    fit(head, encode(visual, text, crops, [f"Portrait {number}." for number in range(FITTED)], PLAIN.dtype))
    described, tensors, tokenizer = text.bundle_parts()
    compact = find("compact")
    config = {
        "name": "benchmark",
        "visual": {"network": "se-resnet-50"},
        "text": described,
        "grid": list(GRID),
        "head": asdict(SHAPE),
        "members": 1,
        "interval": compact.config["interval"],
        "percentiles": compact.config["percentiles"],
    }
    weights = {
        **{f"{VISUAL_PREFIX}{name}": tensor for name, tensor in visual.state_dict().items()},
        **{f"{TEXT_PREFIX}{name}": tensor for name, tensor in tensors.items()},
        **{f"{MEMBER_PREFIX}0.{name}": tensor for name, tensor in head.state_dict().items()},
    }
    card = {**json.loads((compact.path / CARD).read_text()), "name": "benchmark"}
    return write(folder, config, weights, card, {}, {}, {TOKENIZER: tokenizer})
