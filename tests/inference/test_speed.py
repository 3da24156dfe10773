# SPDX-License-Identifier: Apache-2.0
"""Measured speed of networks."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from types import SimpleNamespace

import pytest

from pytorchvideo.inference import speed
from pytorchvideo.inference.speed import clips_per_second
from pytorchvideo.models import get_weights


def test_clips_are_counted(
    shallow: Callable[[], AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on a quarter of a second whenever it is looked at."""
    now = iter(number / 4 for number in range(100))
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(now))
    with shallow():
        assert clips_per_second("efficient_x3d_xs", seconds=1, device="cpu") == pytest.approx(
            4 / 1.25
        )


def test_networks_with_boxes_and_pathways(
    shallow: Callable[[], AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "slowfast_r50_detection"
    recipe = replace(get_weights(name).recipe, side_size=64)
    small = SimpleNamespace(weights=SimpleNamespace(recipe=recipe), task="detection")
    monkeypatch.setattr(speed, "model_entry", lambda _: small)
    with shallow():
        assert clips_per_second(name, seconds=0.001, device="cpu") > 0


def test_nothing_to_measure() -> None:
    with pytest.raises(ValueError, match="`seconds` to be > 0"):
        clips_per_second("x3d_xs", seconds=0)
    with pytest.raises(ValueError, match="Did you mean x3d_xs"):
        clips_per_second("x3d_xx")
