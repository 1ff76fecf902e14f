"""The split of a logit into one number for each (word, region). It is exact, and that is checked."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from shared.errors import ExplanationInexact
from shared.memorability import ADDS_UP_WITHIN


@dataclass(frozen=True)
class Explanation:
    """`contributions` and `attention` are float32 (W, P); `contributions` and `constant` add up to the logit."""

    contributions: np.ndarray
    attention: np.ndarray
    constant: float


def contributions_of(attention: Tensor, answers: Tensor, weights: Tensor) -> Tensor:
    """What each token adds by each patch, (T, P): one face's attention (H, T, P), answers (H, P) and weights (T,)."""
    return (attention * answers[:, None, :]).sum(0) * weights[:, None]


def merge(rows: Tensor, word_of_token: Tensor, words: int) -> Tensor:
    """(T, P) to (W, P): the pieces of each word added up."""
    return rows.new_zeros(words, rows.shape[1]).index_add_(0, word_of_token, rows)


def checked(contributions: Tensor, attention: Tensor, constant: float, logit: float) -> Explanation:
    """The explanation, once it was seen to add up to `logit`. Raises ExplanationInexact if it does not."""
    gap = abs(float(contributions.double().sum()) + constant - logit)
    if not gap <= ADDS_UP_WITHIN:  # so, and not `>`, because nan must be refused too
        raise ExplanationInexact(f"the parts of a score miss it by {gap}")
    return Explanation(contributions.float().numpy(), attention.float().numpy(), constant)
