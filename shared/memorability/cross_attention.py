"""The head: every token of the caption asks, every patch of the face answers, and the answers add up to the logit."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class HeadShape:
    """The numbers that fix the head's tensors.

    With `regions_read_alike` a head reads every region with the same vector, as the published head does; without, each
    region has its own, so that the same texture can count differently on hair and on skin.
    """

    patches: int  # P
    patch_width: int  # Dv
    token_width: int  # Dt
    heads: int
    key_width: int
    regions_read_alike: bool = False


class Attended(NamedTuple):
    """`logits` (N,); `attention` (N, H, T, P); `answers` (N, H, P): what a patch says."""

    logits: Tensor
    attention: Tensor
    answers: Tensor


class CrossAttention(nn.Module):
    """Multi-head cross-attention (Vaswani et al. 2017) with a linear read-out.

    After the softmax everything is linear, so value projection, output projection and read-out are one linear map. It
    is kept merged: per head and region (or per head, see HeadShape) a vector `value` and a number `value_bias`, which
    turn a patch into the single number it answers with. Merging loses nothing, and gradients may train it as it is.
    """

    patch_centre: Tensor
    patch_scale: Tensor
    token_centre: Tensor
    token_scale: Tensor

    def __init__(self, shape: HeadShape) -> None:
        super().__init__()
        self.shape = shape
        heads, width = shape.heads, shape.heads * shape.key_width
        readings = 1 if shape.regions_read_alike else shape.patches  # R, value vectors per head
        self.register_buffer("patch_centre", torch.zeros(shape.patches, shape.patch_width))
        self.register_buffer("patch_scale", torch.ones(shape.patches, shape.patch_width))
        self.register_buffer("token_centre", torch.zeros(shape.token_width))
        self.register_buffer("token_scale", torch.ones(shape.token_width))
        self.query = nn.Linear(shape.token_width, width)
        self.key = nn.Linear(shape.patch_width, width, bias=False)
        self.key_position = nn.Parameter(torch.zeros(shape.patches, width))
        self.value = nn.Parameter(torch.zeros(heads, readings, shape.patch_width))
        self.value_bias = nn.Parameter(torch.zeros(heads, readings))
        self.constant = nn.Parameter(torch.zeros(()))

    def attend(self, patches: Tensor, tokens: Tensor) -> Tensor:
        """Where each token looks: (N, H, T, P), adding up to 1 over P. Patches and tokens as in `forward`."""
        count, length, _ = tokens.shape
        heads, key_width = self.shape.heads, self.shape.key_width
        queries = self.query((tokens - self.token_centre) / self.token_scale)
        keys = self.key(self.standardised(patches)) + self.key_position
        queries = queries.view(count, length, heads, key_width).transpose(1, 2)  # (N, H, T, K)
        keys = keys.view(count, -1, heads, key_width).transpose(1, 2)  # (N, H, P, K)
        return torch.softmax(queries @ keys.transpose(2, 3) / key_width**0.5, dim=3)

    def standardised(self, patches: Tensor) -> Tensor:
        """Patches (N, P, Dv), each number less its mean and over its spread in the training set."""
        return (patches - self.patch_centre) / self.patch_scale

    def answer(self, patches: Tensor) -> Tensor:
        """The number that each patch (N, P, Dv) answers with, by head: (N, H, P)."""
        patches = self.standardised(patches)
        if self.shape.regions_read_alike:
            answers = (patches @ self.value[:, 0].T).transpose(1, 2)  # no copy of the vector for each region
        else:
            answers = torch.einsum("npd,hpd->nhp", patches, self.value)
        return answers + self.value_bias  # (H, R), the same for all regions or one each

    def forward(self, patches: Tensor, tokens: Tensor, weights: Tensor) -> Attended:
        """`patches` (N, P, Dv), `tokens` (N, T, Dt), `weights` (N, T).

        A token's weight is its say in the logit. Those of a face add up to 1; padding has none.
        """
        attention = self.attend(patches, tokens)
        answers = self.answer(patches)
        per_token = torch.einsum("nhtp,nhp->nt", attention, answers)
        logits = (per_token * weights).sum(1) + self.constant
        return Attended(logits, attention, answers)
