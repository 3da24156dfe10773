# SPDX-License-Identifier: Apache-2.0
"""The guide to Flash: its programs run, in order, and what its tables name is there."""

import importlib.util
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from flash.core.data.io.output import OUTPUT_NAMES
from flash.core.finetuning import resolve_strategy
from flash.video import VideoClassificationData, VideoClassifier
from pytorchvideo.transforms.clip_recipe import ClipRecipe

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/flash.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
SMALL = ClipRecipe(num_frames=4, sampling_rate=2, side_size=32, crop_size=32)


@pytest.fixture
def folder(make_video: Callable[..., Path], tmp_path: Path) -> Path:
    for path in ("train/archery/a", "train/juggling/b", "val/archery/c", "val/juggling/d"):
        make_video(f"clips/{path}.mp4", folder=tmp_path, num_frames=20, fps=10)
    return make_video("new.mp4", folder=tmp_path, num_frames=20, fps=10).parent


@pytest.mark.slow
def test_the_programs_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = "flash.Trainer(accelerator='cpu', enable_checkpointing=False, **quiet, "
    # small clips, so that the guide costs seconds
    make = VideoClassificationData.from_folders
    monkeypatch.setattr(
        VideoClassificationData, "from_folders", lambda **kwargs: make(**kwargs, recipe=SMALL)
    )
    names: dict[str, Any] = {"quiet": quiet, "SMALL": SMALL}
    for program in PROGRAMS:
        program = program.replace("flash.Trainer(", trainer)
        exec(program.replace("pretrained=False", "pretrained=False, recipe=SMALL"), names)
    first, *rest = capsys.readouterr().out.strip().splitlines()
    assert set(eval(first)) <= {"archery", "juggling"}
    assert len(rest) == len(names["predictor"].predict_clips("new.mp4", clips="uniform")) > 1
    assert [len(best) for best in names["best"]] == [2, 2]
    clip = torch.rand(1, 3, 4, 32, 32)
    with torch.inference_mode():
        wanted = names["model"].eval()(clip)
        torch.testing.assert_close(names["again"].eval()(clip), wanted)
        torch.testing.assert_close(names["network"].eval()(clip), wanted)


def test_what_the_tables_name_is_there() -> None:
    strategies = re.findall(r"^\| `(\(?\"[^`]*)` \| (?:every|the|from)", PAGE, flags=re.MULTILINE)
    assert len(strategies) == 4
    for strategy in strategies:
        resolve_strategy(eval(strategy))
    listed = re.search(r"`output=` is\n(.*)\.\n", PAGE)
    assert listed is not None
    assert set(re.findall(r'`"(\w+)"`', listed[1])) == set(OUTPUT_NAMES)
    for name in ("linear_schedule_with_warmup", "cosine_schedule_with_warmup"):
        assert name in VideoClassifier.available_lr_schedulers()


def test_the_page_on_learning_is_that_of_the_results() -> None:
    benchmarks = ROOT / "benchmarks"
    spec = importlib.util.spec_from_file_location("learning", benchmarks / "learning.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        # the script imports what it shares with the others by name
        patch.syspath_prepend(str(benchmarks))
        patch.setitem(sys.modules, "learning", script)
        spec.loader.exec_module(script)
        boxes = importlib.import_module("learning_boxes")
        patch.delitem(sys.modules, "learning_boxes")
    own, _, others = (
        (ROOT / "docs/learning.md").read_text(encoding="utf-8").partition(script.OTHERS)
    )
    assert own == script.table()
    assert boxes.table(json.loads(boxes.RESULTS.read_text())) in others
