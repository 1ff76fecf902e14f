"""Comparisons of two sets: the numbers are SciPy's, and the intervals hold the truth as often as they say."""

import numpy as np
import pytest
from scipy import stats

from services.insights.comparison import FEWEST, Estimate, Sample, difference, higher


def sample(values: np.ndarray) -> Sample:
    return Sample(len(values), float(values.mean()), float(values.var(ddof=1)))


@pytest.mark.parametrize(("m", "n", "spread"), [(10, 10, 0.1), (14, 400, 0.02), (5000, 300, 0.3)])
def test_the_difference_is_welchs(m: int, n: int, spread: float) -> None:
    rng = np.random.default_rng(m)
    a, b = rng.normal(0.6, 0.1, m), rng.normal(0.55, spread, n)
    truth = stats.ttest_ind(a, b, equal_var=False)
    interval = truth.confidence_interval(0.95)
    found = difference(sample(a), sample(b))
    assert found.value == pytest.approx(a.mean() - b.mean())
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=2e-5)


@pytest.mark.parametrize("decimals", [6, 1])
def test_the_probability_and_its_error_are_brunners_and_munzels(decimals: int) -> None:
    """Also with ties: SciPy's statistic is (p - 1/2) / error."""
    rng = np.random.default_rng(decimals)
    a, b = rng.beta(6, 4, 60).round(decimals), rng.beta(5, 4, 45).round(decimals)
    found = higher(a.tolist(), b.tolist())
    assert found.value == pytest.approx(float((np.sign(a[:, None] - b[None, :]) + 1).mean() / 2))
    error = (found.value - 0.5) / stats.brunnermunzel(b, a).statistic
    half = np.log(found.high / (1 - found.high)) - np.log(found.value / (1 - found.value))
    assert half * found.value * (1 - found.value) / error == pytest.approx(stats.t.ppf(0.975, 100), abs=0.02)


def test_sets_without_overlap_or_spread() -> None:
    """Nothing divides by zero, and certainty is not claimed."""
    apart = higher([0.9] * 10, [0.1] * 12)
    assert apart.value == 1.0
    assert apart.low == pytest.approx(0.025 ** (1 / 10))
    assert apart.high == 1.0
    assert higher([0.1] * 12, [0.9] * 10) == Estimate(0.0, 0.0, pytest.approx(1 - apart.low))
    assert higher([0.5] * 10, [0.5] * 10) == Estimate(0.5, 0.0, 1.0)
    same = difference(Sample(10, 0.5, 0.0), Sample(10, 0.5, 0.0))
    assert (same.low, same.value, same.high) == (0.0, 0.0, 0.0)


SHAPES = {
    "alike": ((6, 4), (6, 4)),
    "apart": ((8, 4), (5, 5)),
    "skewed": ((9, 1.5), (6, 2)),
    "of different spread": ((60, 40), (2, 1.5)),
}


@pytest.mark.parametrize(("m", "n"), [(FEWEST, FEWEST), (FEWEST, 60), (80, 50)])
@pytest.mark.parametrize("shape", SHAPES)
def test_intervals_hold_the_truth_about_as_often_as_they_say(shape: str, m: int, n: int) -> None:
    """Scores like those of the shipped model: beta distributions, also skewed and of unequal spread."""
    ours, theirs = SHAPES[shape]
    a, b = stats.beta(*ours), stats.beta(*theirs)
    grid = np.linspace(0.00005, 0.99995, 10_000)
    odds = float(np.mean(b.cdf(a.ppf(grid))))
    rng, rounds, means, pairs = np.random.default_rng(7), 1500, 0, 0
    for _ in range(rounds):
        x, y = rng.beta(*ours, m), rng.beta(*theirs, n)
        gap, chance = difference(sample(x), sample(y)), higher(x, y)
        means += gap.low <= a.mean() - b.mean() <= gap.high
        pairs += chance.low <= odds <= chance.high
    assert 0.92 < means / rounds < 0.98
    assert 0.92 < pairs / rounds < 0.995, "rather too wide than too narrow where there is little to go by"
