# SPDX-License-Identifier: Apache-2.0
"""The guide to Flash's data: every line of its table gives a batch, and its programs run."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas
import pytest
import torch

from flash.core.data.io.hooks import HOOK_NAMES
from flash.core.data.utilities.classification import infer_formatter
from flash.video import VideoClassificationData
from pytorchvideo.data._annotations.video_files import VIDEO_SUFFIXES

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "flash_data.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
CONSTRUCTORS = re.findall(r"\| `(from_[^`]*)` \|$", PAGE, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def folder(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("guide")
    paths = [
        f"clips/{stage}/{label}/{take}_{i}.mp4"
        for stage in ("train", "val")
        for label in ("archery", "juggling")
        for take in "AB"
        for i in range(2)
    ]
    for path in (*paths, "new/today/c.mov", "uploads/a.mp4", "a.mp4", "b.mkv"):
        make_video(path, folder=root, num_frames=25, fps=10)
    (root / "list.txt").write_text("archery/A_0.mp4 0\njuggling/A_0.mp4 1\n")
    rows = [{"file": "a", "label": "archery"}, {"file": "b", "label": "juggling"}]
    (root / "train.csv").write_text("file,label\na,archery\nb,juggling\n")
    (root / "train.json").write_text(json.dumps(rows))
    result = {"type": "choices", "value": {"choices": ["archery"]}}
    task = {"file_upload": "a.mp4", "annotations": [{"result": [result]}]}
    (root / "export.json").write_text(json.dumps([task]))
    shutil.make_archive(str(root / "clips"), "zip", root / "new")
    return root


def names() -> dict[str, Any]:
    """What the table takes for granted."""
    files = {"filepath": ["a.mp4"], "ground_truth": [SimpleNamespace(label="archery")]}
    return {
        "torch": torch,
        "frame": pandas.DataFrame({"file": ["a", "b"], "label": ["archery", "juggling"]}),
        "dataset": [(torch.zeros(3, 8, 64, 64), 1)] * 2,
        "view": SimpleNamespace(values=files.__getitem__),
        "VideoClassificationData": VideoClassificationData,
    }


def test_the_table_has_every_constructor() -> None:
    listed = {code.partition("(")[0] for code in CONSTRUCTORS}
    assert listed == {n for n in dir(VideoClassificationData) if n.startswith("from_")} - {
        "from_paths"
    }
    words = (DOCS / "datasets.md").read_text(encoding="utf-8").split()
    assert {suffix.removeprefix(".") for suffix in VIDEO_SUFFIXES} <= set(words)
    assert all(f"`{hook}`" in PAGE for hook in HOOK_NAMES)


@pytest.mark.parametrize("code", CONSTRUCTORS, ids=lambda code: code.partition("(")[0])
def test_every_constructor_gives_a_batch(
    code: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    data = eval(f"VideoClassificationData.{code}", names())
    batch = next(iter(data.train_dataloader()))
    assert batch["input"].ndim == 5
    assert len(batch["target"]) == len(batch["input"])
    assert data.num_classes in (1, 2)
    if data.predict_dataset is not None:
        assert next(iter(data.predict_dataloader()))["video_name"] == ["c.mov"]


def test_programs_run_one_after_the_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    shared: dict[str, Any] = {"__name__": "guide"}
    shapes = []
    for program in PROGRAMS:
        exec(program, shared)
        if "data" in shared:
            batch = next(iter(shared["data"].train_dataloader()))
            shapes.append(tuple(batch["video"].shape[1:]))
    assert shapes[0] == (3, 8, 244, 244)
    assert (3, 8, 64, 64) in shapes
    assert shapes[-1] == (3, 8, 48, 48)
    assert (folder / "batch.png").stat().st_size > 1000
    assert (folder / "unpacked/today/c.mov").is_file()


def test_split_of_the_guide(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    shared: dict[str, Any] = {}
    exec(PROGRAMS[0] + PROGRAMS[1], shared)
    data = shared["data"]
    takes = [
        {path.split("_")[0] for path, _ in dataset.reader.videos}
        for dataset in (data.train_dataset, data.val_dataset)
    ]
    assert takes[0].isdisjoint(takes[1])
    assert [len(part) for part in takes] == [2, 2]
    assert len({info["label"] for _, info in data.val_dataset.reader.videos}) == 2


def test_targets_of_the_table_are_what_it_says() -> None:
    rows = re.findall(r"^\| (.*) \| (one class|several[^|]*) \|$", PAGE, flags=re.MULTILINE)
    assert len(rows) == 3
    for targets, kind in rows:
        for code in re.findall(r"`([^`]*)`", targets):
            assert infer_formatter(eval(code)).multi_label == (kind != "one class"), code
