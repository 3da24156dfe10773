# SPDX-License-Identifier: Apache-2.0
"""Uncertainty of accuracies: Wilson's interval, McNemar's tests, Holm's correction for several comparisons.

Edwin B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 22 (1927), 209-212.
Quinn McNemar, Note on the sampling error of the difference between correlated proportions or percentages,
Psychometrika 12 (1947), 153-157. The mid-p variant: Fagerland, Lydersen and Laake, The McNemar test for binary
matched-pairs data, BMC Medical Research Methodology 13:91 (2013). Sture Holm, A simple sequentially rejective
multiple test procedure, Scandinavian Journal of Statistics 6 (1979), 65-70.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from pytorchvideo._checks import expected


def wilson_interval(right: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Returns the interval in which the true share lies, by Wilson's score without continuity correction.

    Args:
        right: how often it happened.
        total: of how many.
        confidence: share of such intervals that hold the true share.

    Raises:
        ValueError: ``total`` < 1, ``right`` not in 0..total, or ``confidence`` not between 0 and 1.

    >>> [round(bound, 4) for bound in wilson_interval(81, 263)]
    [0.2553, 0.3662]
    """
    if total < 1:
        raise ValueError(expected("total", ">= 1", total))
    if not 0 <= right <= total:
        raise ValueError(expected("right", f"in 0..{total}", right))
    if not 0 < confidence < 1:
        raise ValueError(expected("confidence", "between 0 and 1", confidence))
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    centre = (right + z2 / 2) / (total + z2)
    half = math.sqrt(z2 * (right * (total - right) / total + z2 / 4)) / (total + z2)
    # rounding must not leave 0 or 1 where the bound is exactly that
    low = 0.0 if right == 0 else max(centre - half, 0.0)
    high = 1.0 if right == total else min(centre + half, 1.0)
    return low, high


@dataclass(frozen=True)
class McNemar:
    """McNemar's tests on two classifiers that answered for the same videos.

    Args:
        only_first: videos that the first has right and the second has not.
        only_second: the other way round.
        exact_p: two-sided p of the conditional binomial test, which is never too small.
        mid_p: the same with half of the weight of what was seen: less cautious, and close to what it promises.
        chi2: the statistic without continuity correction; 0 where they never differ.
        chi2_p: p of it, for many differences.
    """

    only_first: int
    only_second: int
    exact_p: float
    mid_p: float
    chi2: float
    chi2_p: float


def mcnemar(only_first: int, only_second: int) -> McNemar:
    """Tests whether two classifiers are right equally often, from the videos on which they differ.

    Args:
        only_first: how many the first alone has right.
        only_second: how many the second alone has right.

    Raises:
        ValueError: a count below 0.

    >>> round(mcnemar(1, 7).exact_p, 3), round(mcnemar(1, 7).mid_p, 3), mcnemar(1, 7).chi2
    (0.07, 0.039, 4.5)
    """
    for name, count in (("only_first", only_first), ("only_second", only_second)):
        if count < 0:
            raise ValueError(expected(name, ">= 0", count))
    n, fewer = only_first + only_second, min(only_first, only_second)
    if n == 0:
        return McNemar(0, 0, 1.0, 1.0, 0.0, 1.0)
    weights = [_half_binomial(n, k) for k in range(fewer + 1)]
    exact = 2 * math.fsum(weights)
    mid = exact - weights[-1]
    chi2 = (only_first - only_second) ** 2 / n
    return McNemar(
        only_first,
        only_second,
        exact_p=min(exact, 1.0),
        # with equal counts both tails hold what was seen: 1 - P/2 + P/2
        mid_p=min(mid, 1.0) if only_first != only_second else 1.0 - weights[-1] / 2,
        chi2=chi2,
        chi2_p=math.erfc(math.sqrt(chi2 / 2)),  # chi-squared with one degree of freedom
    )


def _half_binomial(n: int, k: int) -> float:
    """The probability of ``k`` heads among ``n`` throws of a fair coin."""
    if n <= 1000:
        return math.comb(n, k) / 2**n
    logs = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(logs - n * math.log(2))


def holm(values: Sequence[float]) -> list[float]:
    """Returns p-values of several comparisons, each as large as it has to be for all of them together.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    adjusted, highest = [0.0] * len(values), 0.0
    for place, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min((len(values) - place) * values[index], 1.0))
        adjusted[index] = highest
    return adjusted
