# SPDX-License-Identifier: Apache-2.0
"""The code and the example of the page on annotations of people run as they are written."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pytorchvideo.data import ActionDetectionDataset
from pytorchvideo.transforms.clip_recipe import ClipRecipe

PAGE = Path(__file__).resolve().parent.parent / "docs/detection_data.md"
TEXT = PAGE.read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"```text\n(.*?)```", TEXT, flags=re.DOTALL)
CODE = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
BOX = "film,0902,0.1,0.2,0.5,0.8"


@pytest.fixture
def folder(make_video: Callable[..., Path], tmp_path: Path) -> Path:
    (tmp_path / "videos").mkdir()
    clip = make_video(
        "street.mp4", folder=tmp_path / "videos", num_frames=40, height=240, width=400, fps=10
    )
    assert clip == tmp_path / "videos/street.mp4"
    (tmp_path / "frames/film").mkdir(parents=True)
    lines = ["original_vido_id video_id frame_id path labels\n"]
    image = Image.fromarray(np.zeros((6, 8, 3), np.uint8))
    for k in range(100):
        image.save(tmp_path / f"frames/film/{k}.png")
        lines.append(f'film 0 {k} film/{k}.png ""\n')
    (tmp_path / "frame_lists").mkdir()
    texts = {
        "people.csv": EXAMPLE,
        "frame_lists/train.csv": "".join(lines),
        "frame_lists/val.csv": "".join(lines),
        "ava_train_v2.2.csv": f"{BOX},12,0\n",
        "ava_val_v2.2.csv": f"{BOX},12,0\n",
        "ava_detection_train_boxes_and_labels_include_negative_v2.2.csv": f"{BOX},,0.95\n",
        "ava_detection_val_boxes_and_labels.csv": f"{BOX},,0.95\n",
        "ava_val_excluded_timestamps_v2.2.csv": "film,0903\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_code_of_the_page_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    for code in CODE:
        exec(code, names)
    said = capsys.readouterr().out
    assert "2 key frames of 1 video, 3 boxes, 2 classes) {1: 'phone', 2: 'walk'}" in said
    assert "torch.Size([3, 8, 224, 224]) torch.Size([2, 4]) tensor([[1., 1.]," in said
    assert "[(0.5, [1]), (1.5, [1])]" in said
    assert [len(names[name]) for name in ("train", "val")] == [1, 1]
    assert names["result"] == names["found"].evaluate(names["dataset"].groundtruth)
    # of equal scores the last row comes first: the walker of second 2, the idle one of second 1, then the busy one
    assert names["result"].per_class == {1: pytest.approx(1 / 3), 2: pytest.approx(5 / 6)}


def test_the_sentence_about_a_bad_line_is_the_one_that_comes(folder: Path) -> None:
    (said,) = re.findall(r"`(people\.csv, line 7: .*?)`", TEXT)
    shutil.copy(folder / "people.csv", folder / "good.csv")
    with (folder / "people.csv").open("a") as file:
        file.write("street.mp4,2.5,180,40,112,230,walk,1\n")
    recipe = ClipRecipe(num_frames=8, sampling_rate=8)
    with pytest.raises(ValueError, match=re.escape(said)):
        ActionDetectionDataset.from_csv(folder / "people.csv", folder / "videos", recipe=recipe)
