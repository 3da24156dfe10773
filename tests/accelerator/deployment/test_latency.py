# SPDX-License-Identifier: Apache-2.0
"""Latencies are those of the variant, its memory is its own, and one that fails says why."""

import time
from collections.abc import Callable
from functools import partial

import pytest

from pytorchvideo.accelerator.deployment.latency import measure


def sleeps(seconds: float) -> Callable[[], object]:
    return partial(time.sleep, seconds)


def holds(megabytes: int) -> Callable[[], object]:
    return partial(len, bytearray(b"x" * (megabytes << 20)))


def breaks() -> Callable[[], object]:
    raise ValueError("no such kernel\nand more")


@pytest.mark.slow
def test_variants_side_by_side() -> None:
    found = measure(
        {
            "slow": partial(sleeps, 0.06),
            "fast": partial(sleeps, 0.02),
            "broken": breaks,
            "large": partial(holds, 200),
        },
        seconds=0.0,
        least=5,
    )
    assert list(found) == ["slow", "fast", "broken", "large"]
    assert 0.06 <= found["slow"].median_sec <= found["slow"].p95_sec
    assert 0.02 <= found["fast"].median_sec < 0.06
    assert found["broken"].failure == "ValueError: no such kernel"
    held, little = found["large"].memory_bytes, found["fast"].memory_bytes
    if held is not None and little is not None:
        assert held > 200 << 20
        assert little < 50 << 20
