"""From states to scores, with what made them."""

from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from shared.errors import StatesBroken
from shared.memorability.catalogue import BundleFacts
from shared.memorability.cross_attention import Attended, CrossAttention, HeadShape
from shared.memorability.explanation import (
    Explanation,
    checked,
    contributions_of,
    merge,
)
from shared.memorability.pieces import pieces
from shared.memorability.states import FaceStates, Word
from shared.memorability.weights import load_into

CPU = torch.device("cpu")
MOST_LOGIT = 60.0
MEMBER_PREFIX = "members."  # of the heads' tensors in a bundle's weights


@dataclass(frozen=True)
class FaceScore:
    """What the bundle predicts for a face, and why. Of what that is a measure, the bundle's card says.

    `score` is 0..1, the sigmoid of `logit`; the target lies within `uncertainty` of it as often as the card says.
    `percentile` is the share of the training population, 0..100, that scores lower. `contributions` (W, P) and
    `constant` add up to `logit`; `attention` (W, P) is where each word looked, adding up to 1 over the regions.
    Regions lie row by row on `grid` (rows, columns).
    """

    score: float
    uncertainty: float
    percentile: float
    logit: float
    constant: float
    words: list[Word]
    contributions: np.ndarray
    attention: np.ndarray
    grid: tuple[int, int]


class Scorer:
    """The ensemble of heads of one bundle, on the CPU. Scores do not depend on which faces share a batch."""

    def __init__(self, bundle: BundleFacts) -> None:
        """Load the heads. Raises BundleInvalid if the weights do not fit the config."""
        self._config = bundle.config
        self._shape = HeadShape(**bundle.config["head"])
        self._members = [
            CrossAttention(self._shape).eval().requires_grad_(False) for _ in range(bundle.config["members"])
        ]
        load_into(nn.ModuleList(self._members), bundle, MEMBER_PREFIX)

    @torch.inference_mode()
    def score(self, states: list[FaceStates]) -> list[FaceScore]:
        """Score faces. Raises StatesBroken for states of another model, ExplanationInexact if a split is not exact."""
        if not states:
            return []
        self._check(states)
        # A face has heads x tokens x patches of attention: in pieces, a crowd takes no more memory than a few faces.
        return [score for piece in pieces(len(states), CPU) for score in self._scored(states[piece])]

    def _scored(self, states: list[FaceStates]) -> list[FaceScore]:
        patches, tokens, weights = padded(states)
        runs = [member(patches, tokens, weights) for member in self._members]
        return [self._face_score(index, face, runs) for index, face in enumerate(states)]

    def _check(self, states: list[FaceStates]) -> None:
        patches, width = (
            (self._shape.patches, self._shape.patch_width),
            self._shape.token_width,
        )
        for face in states:
            if face.patches.shape != patches or face.tokens.shape[1] != width:
                raise StatesBroken(f"states of shape {tuple(face.patches.shape)}, {tuple(face.tokens.shape)}")

    def _face_score(self, index: int, face: FaceStates, runs: list[Attended]) -> FaceScore:
        logits = [float(run.logits[index]) for run in runs]
        logit = sum(logits) / len(logits)
        explanation = self._explain(index, face, runs, logit)
        score, spread = (
            sigmoid(logit),
            float(np.std([sigmoid(value) for value in logits])),
        )
        return FaceScore(
            score=score,
            uncertainty=half_width(spread, self._config["interval"]),
            percentile=percentile(score, self._config["percentiles"]),
            logit=logit,
            constant=explanation.constant,
            words=face.words,
            contributions=explanation.contributions,
            attention=explanation.attention,
            grid=(self._config["grid"][0], self._config["grid"][1]),
        )

    def _explain(self, index: int, face: FaceStates, runs: list[Attended], logit: float) -> Explanation:
        length, words = len(face.tokens), len(face.words)
        looks = [run.attention[index, :, :length] for run in runs]  # each (H, T, P)
        weights = weights_of(face)
        parts = [contributions_of(look, run.answers[index], weights) for look, run in zip(looks, runs, strict=True)]
        attention = torch.stack([look.mean(0) for look in looks]).mean(0)
        pieces = torch.bincount(face.word_of_token, minlength=words)[:, None]
        constants = [float(member.constant) for member in self._members]
        return checked(
            merge(torch.stack(parts).mean(0), face.word_of_token, words),
            merge(attention, face.word_of_token, words) / pieces,
            sum(constants) / len(constants),
            logit,
        )


def padded(states: list[FaceStates]) -> tuple[Tensor, Tensor, Tensor]:
    """Faces side by side, float32: patches (N, P, Dv), tokens (N, T, Dt), weights (N, T), zero for padding."""
    patches = torch.stack([face.patches for face in states]).float()
    tokens = pad_sequence([face.tokens.float() for face in states], batch_first=True)
    return patches, tokens, pad_sequence([weights_of(face) for face in states], batch_first=True)


def weights_of(face: FaceStates) -> Tensor:
    """Each token's say, float32 (T,); together they have 1.

    Every sentence has the same, every word of a sentence, and every piece of a word: what a caption says at length is
    not looked at longer.
    """
    _, sentence = torch.unique(torch.tensor([word.sentence for word in face.words]), return_inverse=True)
    words = torch.bincount(sentence)  # of each sentence that has any
    pieces = torch.bincount(face.word_of_token)
    return 1 / (len(words) * words[sentence] * pieces)[face.word_of_token]


def sigmoid(logit: float) -> float:
    """0..1; the target was the logit of a rating's share of its scale, so this is that share again."""
    # What a bundle of strangers may say beyond that is as good as 0 or 1, and too small for a `real` of the database.
    return 1 / (1 + exp(-min(max(logit, -MOST_LOGIT), MOST_LOGIT)))


def half_width(spread: float, interval: dict[str, Any]) -> float:
    """Half the interval around a score, from the members' standard deviation and the bundle's calibration."""
    return interval["factor"] * (interval["floor"] + spread)


def percentile(score: float, quantiles: list[float]) -> float:
    """Where a score lies, 0..100, among the evenly spaced quantiles (0 % to 100 %) of the training population."""
    return float(np.interp(score, quantiles, np.linspace(0, 100, len(quantiles))))
