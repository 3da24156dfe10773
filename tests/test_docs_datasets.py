# SPDX-License-Identifier: Apache-2.0
"""Every line of code in the table of data sets gives a sample, on miniatures of all of them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pytorchvideo.data import LabeledVideoPaths

PAGE = (Path(__file__).resolve().parent.parent / "docs/datasets.md").read_text(encoding="utf-8")
SETUP = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
CODE = re.findall(r"\| `([^`]*)` \|$", PAGE, flags=re.MULTILINE)

ACTIONS = """\
participant_id,video_id,narration,start_timestamp,stop_timestamp,start_frame,stop_frame,\
verb,verb_class,noun,noun_class,all_nouns,all_noun_classes
P01,v,a,00:00:01.0,00:00:02.0,30,60,take,0,pan,1,['pan'],[1]
P01,v,b,00:00:02.5,00:00:03.0,75,90,wash,1,pan,1,['pan'],[1]
"""
STRETCH = {
    "critical_frame_selection_parent_start_sec": 0,
    "critical_frame_selection_parent_end_sec": 3,
    "taxonomy": {"noun": "pan", "verb": "take", "noun_unsure": None, "verb_unsure": None},
}
MOMENT = {"label": "cook", "video_start_time": 1, "video_end_time": 2}
CLIP = {"clip_uid": "c", "video_start_sec": 0, "video_end_sec": 3}


@pytest.fixture(scope="module")
def folder(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("datasets")
    name = "t_run_u_nm_np1_ba_goo_0.avi"
    for path in ("videos/run/v.mp4", f"hmdb51/run/{name}", "kinetics/id_000012_000015.mp4"):
        codec = "mpeg4" if path.endswith("avi") else "libx264"
        make_video(path, folder=root, num_frames=90, codec=codec)
    (root / "frames/v").mkdir(parents=True)
    lines = ["original_vido_id video_id frame_id path labels\n"]
    for k in range(90):
        Image.fromarray(np.full((6, 8, 3), k, np.uint8)).save(root / f"frames/v/v_{k:03d}.png")
        lines.append(f'v 0 {k} v/v_{k:03d}.png "3"\n')
    for file in ("ssv2.csv", "charades.csv", "ava.csv"):
        (root / file).write_text("".join(lines))
    (root / "splits").mkdir()
    texts: dict[str, Any] = {
        "splits/run_test_split1.txt": f"{name} 1\n",
        "kinetics.csv": "label,youtube_id,time_start,time_end,split\n"
        "ice skating,id,12,15,val\nrunning,other,0,10,train\n",
        "templates.json": {"Closing something": "0"},
        "ssv2.json": [{"id": "v", "template": "Closing [something]"}],
        "boxes.csv": "v,0902,0,0,1,1,12,0\n",
        "ava.pbtxt": 'label {\n  name: "stand"\n  label_id: 12\n}\n',
        "fho.json": {"v.mp4": {"benchmarks": {"forecasting_hands_objects": [STRETCH]}}},
        "moments.json": {
            "videos": [
                {"video_uid": "v", "clips": [{**CLIP, "annotations": [{"labels": [MOMENT]}]}]}
            ]
        },
        "ego4d.json": {
            "videos": [{"video_uid": "v", "duration_sec": 3, "video_path": "videos/run/v.mp4"}]
        },
        "infos.csv": "video_id,resolution,duration,fps\nv,8x6,3,30\n",
        "actions.csv": ACTIONS,
        "manifest.csv": "video_id,location,frame_file_stem,frame_string_length,min_frame_number,"
        "max_frame_number,file_extension\nv,frames/v,v_,5,0,89,png\n",
        "labels.csv": "video_id,start_time,stop_time,start_frame,stop_frame,label_id,label_name\n"
        "v,0,3,0,89,1,walking\n",
    }
    for file, text in texts.items():
        (root / file).write_text(text if isinstance(text, str) else json.dumps(text))
    return root


def test_the_table_is_there() -> None:
    assert len(SETUP) == 1
    table = PAGE.partition("## List files")[0]
    assert len(CODE) == table.count("\n| ") - 2 == 13


def test_lines_of_lists_are_read_as_the_table_says(tmp_path: Path) -> None:
    rows = re.findall(r"^\| `([^`]*\.mp4[^`]*)`(?:, `([^`]*)`)*[^|]* \| ", PAGE, flags=re.MULTILINE)
    lines = [line for row in rows for line in row if line and not line.startswith("#")]
    found = {}
    for line in lines:
        (tmp_path / "list.txt").write_text(line)
        videos = LabeledVideoPaths.from_csv(tmp_path / "list.txt")
        (target,) = videos.targets()
        found[line] = videos[0][0], target if videos.class_names is None else videos.class_names
    assert found == {
        "a b.mp4 3": ("a b.mp4", 3),
        "a.mp4 ice skating": ("a.mp4", ["ice skating"]),
        "a.mp4": ("a.mp4", None),
        "a.mp4 1 3": ("a.mp4", [1, 3]),
        'a.mp4,"1,3"': ("a.mp4", [1, 3]),
        "a.mp4,3": ("a.mp4", 3),
        "a.mp4;3": ("a.mp4", 3),
        '"a, b.mp4",3': ("a, b.mp4", 3),
    }


@pytest.mark.parametrize("code", CODE, ids=lambda code: code.split("(")[0])
def test_every_line_gives_a_sample(
    code: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(SETUP[0], names)
    dataset = eval(code, names)
    sample = dataset[0] if hasattr(dataset, "__len__") else next(iter(dataset))
    assert isinstance(sample, dict)
    if "image" not in sample:
        frames = re.search(r"frames_per_clip=(\d+)", code)
        assert sample["video"].shape[-3] == (60 if frames is None else int(frames[1]))
    assert dataset.skipped == []
