# SPDX-License-Identifier: Apache-2.0
"""Parameters and multiply-adds of the zoo are those of the published tables, or the difference is known."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytorchvideo.models import list_models

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
STORED: dict[str, dict[str, Any]] = {
    row["model"]: row
    for row in json.loads((BENCHMARKS / "results/model_cost.json").read_text("utf-8"))["models"]
}
QUICK = ("efficient_x3d_xs", "mvit_base_16", "slow_r50", "slowfast_r50", "x3d_xs")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("model_cost", BENCHMARKS / "model_cost.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # the script imports what it shares with the others by name
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in list_models()]
)
def test_stored_cost_is_that_of_the_model(script: ModuleType, name: str) -> None:
    assert script.cost(name) == STORED[name], "run benchmarks/model_cost.py again"


@pytest.mark.parametrize("name", [n for n in STORED if STORED[n]["published_parameters"]])
def test_cost_is_the_published_one(name: str) -> None:
    row = STORED[name]
    assert row["parameters"] / 1e6 == pytest.approx(row["published_parameters"], abs=0.05)
    if row["published_gmacs"] is not None:
        counts = (row["gmacs"], row["with_norms_gmacs"])
        assert min(abs(c - row["published_gmacs"]) for c in counts) <= 0.0051
