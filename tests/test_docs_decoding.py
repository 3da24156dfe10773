# SPDX-License-Identifier: Apache-2.0
"""The page on decoding: its code runs, its table is that of the benchmark."""

import importlib.util
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

REPO = Path(__file__).resolve().parent.parent
PAGE = (REPO / "docs/decoding.md").read_text(encoding="utf-8")


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(REPO / "benchmarks"))
    spec = importlib.util.spec_from_file_location("frame_index", REPO / "benchmarks/frame_index.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "frame_index", module)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_that_of_the_results(benchmark: ModuleType) -> None:
    results = json.loads((REPO / "benchmarks/results/frame_index.json").read_text())
    assert benchmark.table(results["videos"]) in PAGE


def test_the_code_runs_in_order(
    make_video: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = make_video("for_docs.mp4", num_frames=75, options={"g": "15", "sc_threshold": "0"})
    (tmp_path / "archery.mp4").write_bytes(video.read_bytes())
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(code, names)
    assert (tmp_path / "indices").is_dir()
    assert len(names["key_frames"].indices) == 5  # type: ignore[attr-defined]
