# SPDX-License-Identifier: Apache-2.0
"""Wilson's interval, McNemar's tests and Holm's correction, against published examples and closed forms."""

import math
from fractions import Fraction

import pytest

from pytorchvideo.evaluation.significance import holm, mcnemar, wilson_interval

# R. G. Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998), Table I,
# method 3 (Wilson's score, no continuity correction)
NEWCOMBE = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
]


@pytest.mark.parametrize(("right", "total", "low", "high"), NEWCOMBE)
def test_wilson_interval_of_newcombe(right: int, total: int, low: float, high: float) -> None:
    assert wilson_interval(right, total) == pytest.approx((low, high), abs=5e-5)
    mirrored = wilson_interval(total - right, total)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_wilson_bounds_solve_the_score_equation() -> None:
    """Its definition: |p - p0| = z sqrt(p0 (1 - p0) / n) at both bounds (Wilson 1927)."""
    for right, total in ((1, 2), (7, 12), (30, 31), (499, 1000)):
        for bound in wilson_interval(right, total):
            z = abs(right / total - bound) / math.sqrt(bound * (1 - bound) / total)
            assert z == pytest.approx(1.959963984540054)
    assert wilson_interval(0, 5)[0] == 0
    assert wilson_interval(5, 5)[1] == 1
    wide, narrow = wilson_interval(7, 12, 0.99), wilson_interval(7, 12, 0.9)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((0, 0), "`total` to be >= 1"),
        ((3, 2), "`right` to be in 0..2"),
        ((1, 2, 1.0), "`confidence`"),
    ],
)
def test_wilson_refuses(arguments: tuple[int, ...], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        wilson_interval(*arguments)


# Fagerland, Lydersen and Laake (2013), Table 5: airway hyper-responsiveness before and after stem cell
# transplantation: asymptotic p 0.034, exact conditional 0.070, mid-p 0.039
def test_mcnemar_of_fagerland() -> None:
    found = mcnemar(1, 7)
    assert round(found.chi2_p, 3) == 0.034
    assert round(found.exact_p, 3) == 0.070
    assert round(found.mid_p, 3) == 0.039


def test_mcnemar_of_bland() -> None:
    """Severe colds at 12 and at 14 years, 1,319 children (Bland, An Introduction to Medical Statistics): 31.4."""
    found = mcnemar(256, 144)
    assert found.chi2 == pytest.approx(31.36)
    assert found.mid_p < found.chi2_p < found.exact_p < 1e-6


@pytest.mark.parametrize(("first", "second"), [(0, 1), (3, 3), (2, 9), (10, 4), (700, 650)])
def test_mcnemar_by_exact_fractions(first: int, second: int) -> None:
    n, fewer = first + second, min(first, second)
    half = Fraction(1, 2**n)
    tail = sum(math.comb(n, k) for k in range(fewer + 1)) * half
    seen = math.comb(n, fewer) * half
    found = mcnemar(first, second)
    assert found.exact_p == pytest.approx(float(min(2 * tail, Fraction(1))))
    # both tails without half of what was seen on either side; with equal counts they share it
    mid = 2 * tail - seen if first != second else 1 - seen / 2
    assert found.mid_p == pytest.approx(float(mid))
    other = mcnemar(second, first)
    assert (other.exact_p, other.mid_p, other.chi2) == (found.exact_p, found.mid_p, found.chi2)


def test_mcnemar_without_differences() -> None:
    found = mcnemar(0, 0)
    assert (found.exact_p, found.mid_p, found.chi2, found.chi2_p) == (1, 1, 0, 1)
    with pytest.raises(ValueError, match="`only_second` to be >= 0"):
        mcnemar(1, -1)


def test_holm_by_hand() -> None:
    # sorted 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1, and never less than the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
