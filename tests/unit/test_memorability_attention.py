"""The head against plain loops, and what must not change a score."""

import math

import numpy as np
import pytest
import torch

from shared.errors import ExplanationInexact
from shared.memorability.cross_attention import CrossAttention, HeadShape
from shared.memorability.explanation import checked, contributions_of, merge

SHAPE = HeadShape(patches=6, patch_width=5, token_width=7, heads=3, key_width=2)


@pytest.fixture
def head() -> CrossAttention:
    generator = torch.Generator().manual_seed(1)
    head = CrossAttention(SHAPE)
    for tensor in head.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape, generator=generator))
    head.patch_scale.abs_().add_(0.5)
    head.token_scale.abs_().add_(0.5)
    return head.eval()


def random(*shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def logit_by_loops(head: CrossAttention, patches: np.ndarray, tokens: np.ndarray, weights: np.ndarray) -> float:
    """Multi-head cross-attention written down number by number."""
    state = {name: tensor.double().numpy() for name, tensor in head.state_dict().items()}
    x = (patches - state["patch_centre"]) / state["patch_scale"]
    t = (tokens - state["token_centre"]) / state["token_scale"]
    total = 0.0
    for token, weight in zip(t, weights, strict=True):
        for h in range(SHAPE.heads):
            rows = range(h * SHAPE.key_width, (h + 1) * SHAPE.key_width)
            closeness = []
            for p in range(SHAPE.patches):
                dot = 0.0
                for row in rows:
                    query = float(state["query.weight"][row] @ token + state["query.bias"][row])
                    key = float(state["key.weight"][row] @ x[p] + state["key_position"][p, row])
                    dot += query * key
                closeness.append(math.exp(dot / math.sqrt(SHAPE.key_width)))
            for p in range(SHAPE.patches):
                answer = float(state["value"][h, p] @ x[p] + state["value_bias"][h, p])
                total += weight * closeness[p] / sum(closeness) * answer
    return total + float(state["constant"])


def test_the_head_equals_plain_loops(head: CrossAttention) -> None:
    patches, tokens, weights = (
        random(2, 6, 5),
        random(2, 4, 7, seed=3),
        torch.tensor([[0.25] * 4, [0.4, 0.3, 0.2, 0.1]]),
    )
    with torch.no_grad():
        logits = head(patches, tokens, weights).logits
    for face in range(2):
        expected = logit_by_loops(
            head, patches[face].double().numpy(), tokens[face].double().numpy(), weights[face].numpy()
        )
        assert float(logits[face]) == pytest.approx(expected, abs=1e-4, rel=1e-5)


def test_padding_changes_nothing(head: CrossAttention) -> None:
    patches, tokens = random(1, 6, 5), random(1, 9, 7, seed=3)
    weights = (torch.arange(9)[None] < 4) / 4
    with torch.no_grad():
        short = head(patches, tokens[:, :4], weights[:, :4])
        long = head(patches, tokens, weights)
    assert torch.allclose(short.logits, long.logits, atol=1e-5)
    assert torch.allclose(long.attention[:, :, :4], short.attention, atol=1e-5)
    assert torch.allclose(long.attention.sum(3), torch.ones(1, 3, 9), atol=1e-5)


def test_the_parts_add_up_to_the_logit(head: CrossAttention) -> None:
    patches, tokens, word_of_token = random(1, 6, 5), random(1, 4, 7, seed=3), torch.tensor([0, 1, 1, 2])
    weights = torch.tensor([[1 / 3, 1 / 6, 1 / 6, 1 / 3]])
    with torch.no_grad():
        run = head(patches, tokens, weights)
        parts = merge(contributions_of(run.attention[0], run.answers[0], weights[0]), word_of_token, 3)
        constant = float(head.constant)
    explanation = checked(parts, parts, constant, float(run.logits[0]))
    assert explanation.contributions.shape == (3, 6)
    assert explanation.contributions.sum() + explanation.constant == pytest.approx(float(run.logits[0]), abs=1e-4)


def test_pieces_of_a_word_are_added_up() -> None:
    rows = torch.tensor([[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]])
    assert merge(rows, torch.tensor([0, 1, 1]), 2).tolist() == [[1.0, 2.0], [110.0, 220.0]]


@pytest.mark.parametrize("logit", [0.5 + 2e-4, math.nan])
def test_a_split_that_does_not_add_up_is_refused(logit: float) -> None:
    with pytest.raises(ExplanationInexact):
        checked(torch.full((1, 2), 0.25), torch.zeros(1, 2), 0.0, logit)
