# SPDX-License-Identifier: Apache-2.0
"""Overfitting is told from curves that fall, stay, or jump."""

import pytest

from flash.runs.reports.overfitting import overfitting, still_falling


def history(train: list[float], val: list[float]) -> list[dict[str, float]]:
    return [
        {"epoch": float(i + 1), "train_loss": t, "val_loss": v}
        for i, (t, v) in enumerate(zip(train, val, strict=True))
    ]


def test_rise_after_the_lowest_loss() -> None:
    found = overfitting(history([1.0, 0.6, 0.3, 0.1], [0.9, 0.7, 0.8, 1.0]))
    assert found is not None
    assert found.to_dict() == {"epoch": 2, "train": (0.6, 0.1), "val": (0.7, 1.0)}


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ([1.0, 0.6, 0.3, 0.1], [0.9, 0.7, 0.6, 0.5]),  # both fall
        ([1.0, 0.6, 0.3, 0.1], [0.9, 0.7, 0.7, 0.71]),  # held out stays
        ([1.0, 0.6, 0.7, 0.8], [0.9, 0.7, 0.8, 1.0]),  # both rise: it diverges
        ([1.0, 0.6, 0.3], [0.9, 0.7, 1.0]),  # one epoch is none
        ([1.0, 0.6, 0.3, 0.1], [float("nan"), 0.7, float("nan"), 1.0]),
    ],
)
def test_no_overfitting(train: list[float], val: list[float]) -> None:
    assert overfitting(history(train, val)) is None


def test_single_values_of_long_runs_do_not_count() -> None:
    train = [1.0 - 0.05 * i for i in range(16)]
    jumping = [1.0 - 0.04 * i + (0.03 if i % 2 else 0.0) for i in range(16)]
    jumping[4] = 0.5  # lower than its neighbours
    assert overfitting(history(train, jumping)) is None
    rising = [0.5 + 0.03 * abs(i - 6) for i in range(16)]
    found = overfitting(history(train, rising))
    assert found is not None
    assert found.epoch == 7


def test_rows_without_held_out_videos_do_not_count() -> None:
    assert overfitting([{"epoch": float(i), "train_loss": 1.0} for i in range(9)]) is None
    assert still_falling([]) is None


def test_fall_at_the_end() -> None:
    assert still_falling(history([1.0, 0.9, 0.8], [1.0, 0.9, 0.8])) == (0.9, 0.8)
    assert still_falling(history([1.0, 0.9, 0.8], [1.0, 0.9, 0.89])) is None
    assert still_falling(history([1.0, 0.9, 0.8], [0.7, 0.9, 0.8])) is None
