"""Student's t distribution, as far as Welch's test needs it. SciPy has it too, but the API does without SciPy."""

from math import exp, lgamma, log, log1p
from statistics import NormalDist

# Of the continued fraction. What is left out is below 1e-6 for up to 10,000 degrees of freedom; a test measures it.
DEPTH = 400
# Beyond, t is the normal distribution to all digits that anybody reads, and the fraction would need to be deeper.
NORMAL_FROM = 10_000.0


def two_sided(t: float, degrees: float) -> float:
    """The probability of a value at least as far from 0 as `t`, with so many degrees of freedom (> 0)."""
    if degrees >= NORMAL_FROM:
        return 2 * NormalDist().cdf(-abs(t))
    return _incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5)


def quantile(share: float, degrees: float) -> float:
    """The value that a `share` (0..1) of the distribution lies below; good to 0.001 from 5 degrees of freedom on.

    The expansion of Cornish and Fisher around the normal quantile, to the fourth order.
    """
    z, v = NormalDist().inv_cdf(share), degrees
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4)
    )


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, 0..1. The fraction converges fast on one side of its mean only."""
    if x >= 1.0:
        return 1.0
    if x <= 0.0:
        return 0.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _incomplete_beta(1.0 - x, b, a)
    front = exp(a * log(x) + b * log1p(-x) + lgamma(a + b) - lgamma(a) - lgamma(b)) / a
    return front / _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction 1 + d1 / (1 + d2 / (1 + ...)), from its deep end up."""
    value = 1.0
    for m in range(DEPTH, 0, -1):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m - 1) * (a + b + m - 1) * x / ((a + 2 * m - 2) * (a + 2 * m - 1))
        value = 1.0 + odd / (1.0 + even / value)
    return value
