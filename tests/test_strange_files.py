# SPDX-License-Identifier: Apache-2.0
"""Every reader of text files, on files that were changed at random: an answer, or a sentence that names the file.

The files begin as what their data sets and tools publish, in small.
"""

import copy
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from flash.runs.config import RunConfig
from flash.runs.folder import RunFolder
from flash.runs.grouping import _by_file
from flash.runs.share import _scores
from flash.runs.sources import Sources
from flash.video.sources.annotations import labelled_tasks, tasks_to_predict
from flash.video.sources.tables import rows_of_csv, rows_of_json
from pytorchvideo.accelerator.deployment.artefact import read_info
from pytorchvideo.data import LabeledVideoPaths, make_clip_sampler
from pytorchvideo.data._annotations.frame_lists import read_frame_lists
from pytorchvideo.data._reading.clip_reader import read_quarantine
from pytorchvideo.data._reading.durations import _read_cache
from pytorchvideo.data.ava import AvaLabeledVideoFramePaths
from pytorchvideo.data.dataset_manifest_utils import (
    EncodedVideoInfo,
    ImageDataset,
    VideoInfo,
)
from pytorchvideo.data.domsev import _load_labels
from pytorchvideo.data.ego4d.ego4d_dataset import read_moments
from pytorchvideo.data.ego4d.imu import Ego4dImuData
from pytorchvideo.data.ego4d.utils import get_label_id_map
from pytorchvideo.data.epic_kitchen.epic_kitchen_dataset import ActionData
from pytorchvideo.data.hmdb51 import Hmdb51LabeledVideoPaths
from pytorchvideo.data.json_dataset import clip_recognition_dataset, video_only_dataset
from pytorchvideo.data.ssv2 import _read_labels
from pytorchvideo.data.utils import load_dataclass_dict_from_csv
from pytorchvideo.inference.embeddings import Embeddings
from pytorchvideo.inference.loading import read_names
from pytorchvideo.inference.timeline.clips import ClipFile
from pytorchvideo.models.pretrained import _read_config

SAMPLER = make_clip_sampler("random", 1)


@dataclass
class Reader:
    """A reader, the name of the file that it is given, and what the file may hold."""

    read: Callable[[Path], object]
    name: str
    content: str

    def __repr__(self) -> str:
        return self.name


def _table(rows: type) -> Callable[[Path], object]:
    return lambda file: load_dataclass_dict_from_csv(file, rows, "video_id", list_per_key=True)


def _frames(file: Path) -> object:
    infos = file.with_name("infos.csv")
    infos.write_text("video_id,resolution,duration,fps\na,2x2,0.1,30\n")
    return ImageDataset.load_images(str(file), str(infos))


def _boxes(file: Path) -> object:
    return AvaLabeledVideoFramePaths.load_and_parse_labels_csv(str(file), {"a": 0})


def _moments(file: Path) -> object:
    about = file.with_name("about.json")
    about.write_text('{"videos": [{"video_uid": "u", "duration_sec": 9, "s3_path": "u.mp4"}]}')
    return read_moments(str(file), str(about), "train", {"cut": 0})


def _about_moments(file: Path) -> object:
    moments = file.with_name("moments.json")
    moments.write_text(MOMENTS)
    return read_moments(str(moments), str(file), "train", {"cut": 0})


def _templates(file: Path) -> object:
    videos = file.with_name("videos.json")
    videos.write_text('[{"id": "1", "template": "Pushing [something]"}]')
    return _read_labels(str(file), str(videos))


def _predictions(file: Path) -> object:
    (file.parent / "config.json").write_text('{"data": "set"}')
    return _scores(RunFolder(file.parent))


def _videos(file: Path) -> object:
    templates = file.with_name("templates.json")
    templates.write_text('{"Pushing something": "0"}')
    return _read_labels(str(templates), str(file))


MOMENTS = json.dumps(
    {
        "videos": [
            {
                "video_uid": "u",
                "split": "train",
                "clips": [
                    {
                        "clip_uid": "c",
                        "video_start_sec": 0,
                        "video_end_sec": 8.5,
                        "annotations": [
                            {
                                "labels": [
                                    {"label": "cut", "video_start_time": 1, "video_end_time": 2}
                                ]
                            }
                        ],
                    }
                ],
            }
        ]
    }
)
HANDS = {
    "critical_frame_selection_parent_start_sec": 1.5,
    "critical_frame_selection_parent_end_sec": 2.5,
    "taxonomy": {"noun": "knife", "verb": "cut", "noun_unsure": None, "verb_unsure": False},
}
TASK = {
    "id": 7,
    "data": {"video": "/data/upload/a.mp4"},
    "annotations": [
        {
            "was_cancelled": False,
            "ground_truth": False,
            "result": [{"type": "choices", "value": {"choices": ["run"]}}],
        }
    ],
}
RECIPE = {"num_frames": 4, "sampling_rate": 2, "mean": [0.5], "std": [0.5]}
CONFIG = {
    "format": "pytorchvideo.pretrained",
    "version": 1,
    "labels": ["a"],
    "licence": "MIT",
    "metrics": {"top1": 91.5},
    "model_kwargs": {"num_frames": 4},
    "model_name": "x3d_xs",
    "multi_label": False,
    "num_classes": 1,
    "protocol": "",
    "recipe": RECIPE,
}
ARTEFACT = {
    "format": "pytorchvideo.artefact",
    "version": 1,
    "runtime": "onnx",
    "model": "x3d_xs",
    "recipe": RECIPE,
    "labels": ["a"],
    "file": "model.onnx",
    "input_shapes": [[1, 3, 4, 8, 8]],
    "sha256": "0",
}
SPLIT = {"labels": ["a"], "train": [["a.mp4", "a"]], "val": [], "how": {}, "skipped": []}
TEXTS = [
    Reader(LabeledVideoPaths.from_csv, "list.txt", "a.mp4 0\nb c.mp4 1\n\n# no video\nd 2\n"),
    Reader(
        lambda file: LabeledVideoPaths.from_csv(file, split="all"),
        "list.csv",
        'path;label;split\n"a;b.mp4";run;train\nc.mp4;walk;val\n',
    ),
    Reader(LabeledVideoPaths.from_csv, "several.txt", "a.mp4 0 3\nb.mp4 1\n"),
    Reader(
        LabeledVideoPaths.from_csv,
        "kinetics.csv",
        "label,youtube_id,time_start,time_end,split\nrun,-x0,1,11,train\n",
    ),
    Reader(lambda file: _by_file(Path("data"), file), "groups.csv", "path,source\na.mp4,one\n"),
    Reader(read_quarantine, "bad.txt", '/a/b.mp4\tit is empty.\n"/a\\nb.mp4"\tno.\n'),
    Reader(read_names, "names.txt", "run\nwalk\nsit\n"),
    Reader(rows_of_csv, "rows.csv", 'file,label\na,"run, fast"\nb,walk\n'),
    Reader(lambda file: rows_of_json(file, None), "rows.jsonl", '{"file": "a"}\n{"file": "b"}\n'),
    Reader(
        read_frame_lists,
        "frames.csv",
        'original_vido_id video_id frame_id path labels\na 0 0 a/1.jpg ""\na 0 1 a/2.jpg "1,2"\n',
    ),
    Reader(_boxes, "boxes.csv", "a,0902,0.1,0.2,0.3,0.4,12,0\na,0903,0.1,0.2,0.3,0.4,,1\n"),
    Reader(
        AvaLabeledVideoFramePaths.read_label_map,
        "map.pbtxt",
        'item {\n  name: "bend"\n  id: 1\n}\nitem {\n  name: "sit"\n  id: 2\n}\n',
    ),
    Reader(_table(EncodedVideoInfo), "files.csv", "video_id,file_path\na,a.mp4\n'-b,b.mp4\n"),
    Reader(_table(VideoInfo), "infos.csv", "video_id,resolution,duration,fps\na,2x2,1.5,30\n"),
    Reader(
        _frames,
        "manifest.csv",
        "video_id,location,frame_file_stem,frame_string_length,min_frame_number,max_frame_number,"
        "file_extension\na,frames,f_,8,1,3,jpg\n",
    ),
    Reader(
        _load_labels,
        "labels.csv",
        "video_id,start_time,stop_time,start_frame,stop_frame,label_id,label_name\na,0,1,0,29,1,w\n",
    ),
    Reader(
        _table(ActionData),
        "actions.csv",
        "participant_id,video_id,narration,start_timestamp,stop_timestamp,start_frame,stop_frame,"
        "verb,verb_class,noun,noun_class,all_nouns,all_noun_classes\n"
        "P01,a,open,00:00:00.14,00:00:03.37,8,202,open,2,door,8,['door'],[8]\n",
    ),
    Reader(
        lambda file: Ego4dImuData(str(file.parent)).get_imu(file.stem),
        "imu.csv",
        "canonical_timestamp_ms,gyro_x,gyro_y,gyro_z,accl_x,accl_y,accl_z\n1,0,0,0,0,0,9\n2,0,0,0,0,0,9\n",
    ),
    Reader(
        lambda file: Hmdb51LabeledVideoPaths.from_csvs([file]),
        "run_test_split1.txt",
        "a_run_u_nm_np1_ba_goo_0.avi 1\nb.avi 2\n",
    ),
    Reader(
        lambda file: ClipFile(file, 1).settings(),
        "clips.jsonl",
        '{"video": "a.mp4"}\n{"best": []}\n',
    ),
]
JSONS = [
    Reader(read_names, "names.json", '{"run": 0, "walk": 1}'),
    Reader(read_names, "list.json", '["run", "walk"]'),
    Reader(lambda file: video_only_dataset(str(file), SAMPLER), "videos.json", '{"a": {}}'),
    Reader(
        lambda file: clip_recognition_dataset(str(file), SAMPLER),
        "hands.json",
        json.dumps({"a": {"benchmarks": {"forecasting_hands_objects": [HANDS]}}}),
    ),
    Reader(_moments, "annotations.json", MOMENTS),
    Reader(
        _about_moments,
        "ego4d.json",
        '{"videos": [{"video_uid": "u", "duration_sec": 9, "s3_path": "u.mp4"}]}',
    ),
    Reader(lambda file: get_label_id_map(str(file)), "ids.json", '{"cut": 0}'),
    Reader(_templates, "labels.json", '{"Pushing something": "0", "Pulling something": "1"}'),
    Reader(_videos, "validation.json", '[{"id": "1", "template": "Pushing [something]"}]'),
    Reader(lambda file: labelled_tasks(file, None, False), "tasks.json", json.dumps([TASK])),
    Reader(lambda file: tasks_to_predict(file, None), "upload.json", json.dumps([TASK])),
    Reader(lambda file: rows_of_json(file, "rows"), "rows.json", '{"rows": [{"file": "a"}]}'),
    Reader(_read_cache, "durations.json", '{"a.mp4": [10, 20, "13/30", 30.0]}'),
    Reader(lambda file: _read_config(file, str(file)), "config.json", json.dumps(CONFIG)),
    Reader(lambda file: read_info(file.parent), "artefact.json", json.dumps(ARTEFACT)),
    Reader(RunConfig.from_file, "config.json", '{"data": "set", "lr": 0.1, "epochs": null}'),
    Reader(Sources.from_file, "split.json", json.dumps(SPLIT)),
    Reader(
        _predictions,
        "predictions.json",
        '[{"video": "a.mp4", "label": "a", "predicted": "a", "scores": {"a": 1.0}}]',
    ),
]

PIECES = [
    *(b",", b";", b"\t", b" ", b"\n", b"\r", b'"', b"'", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xc3"),
    *(b"[", b"{", b"}", b"]", b":", b"\\ud800", b"#", b"-", b"=", b"nan", b"NaN", b"1e999", b"-1"),
    *(b"9" * 30, b"9" * 5000, b"[" * 200, b"-" * 9000, b"a" * 140_000, b"null", b"true", b"1.5"),
]
changes = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(PIECES) | st.binary(max_size=4)),
    min_size=1,
    max_size=4,
)
odd = st.sampled_from(
    [None, True, -1, 10**30, 1.5, float("nan"), float("inf"), "", "a\0", "9" * 30, [], {}, [[]]]
)


def changed(content: bytes, places: list[tuple[float, int, bytes]]) -> bytes:
    for place, removed, piece in places:
        at = round(place * len(content))
        content = content[:at] + piece + content[at + removed :]
    return content


def nodes(value: Any) -> list[tuple[Any, Any]]:
    """Every container of a json value with every key or index of it."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], (dict, list)):
            found += nodes(value[key])
    return found


def ask(reader: Reader, path: Path) -> None:
    """Reads a file; what is raised must be for a user, and name it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            reader.read(path)
        except (ValueError, OSError) as error:
            sentence = str(error)
        except (
            TypeError
        ) as error:  # a table without the form of one: TypeError is its documented error
            assert reader.name.startswith("rows.") and path.name in str(error)  # noqa: PT017
            return
        else:
            return
    of_videos = (
        "None of the ",
        "No video ",
        "There is no video ",
        "There is no label ",
        "The label ",
    )
    assert path.name in sentence or sentence.startswith(of_videos)
    assert len(sentence) < 3000 and "\n" not in sentence.strip()


fast = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("reader", [*TEXTS, *JSONS], ids=repr)
def test_the_files_as_they_are_published(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / reader.name).write_text(reader.content)
    (tmp_path / "upload").mkdir()
    (tmp_path / "a.mp4").touch()
    reader.read(tmp_path / reader.name)
    (tmp_path / reader.name).write_bytes(b"\xef\xbb\xbf" + reader.content.encode())
    reader.read(tmp_path / reader.name)


@pytest.mark.parametrize("reader", [*TEXTS, *JSONS], ids=repr)
@fast
@given(places=changes)
def test_changed_bytes(
    reader: Reader, tmp_path: Path, places: list[tuple[float, int, bytes]]
) -> None:
    (tmp_path / reader.name).write_bytes(changed(reader.content.encode(), places))
    ask(reader, tmp_path / reader.name)


@pytest.mark.parametrize("reader", JSONS, ids=repr)
@fast
@given(data=st.data())
def test_changed_values(reader: Reader, tmp_path: Path, data: st.DataObject) -> None:
    content = [copy.deepcopy(json.loads(reader.content))]
    container, key = data.draw(st.sampled_from(nodes(content)))
    container[key] = data.draw(odd)
    (tmp_path / reader.name).write_text(json.dumps(content[0]))
    ask(reader, tmp_path / reader.name)


@fast
@given(
    about=st.dictionaries(
        st.sampled_from(["videos", "made_by"]),
        st.sampled_from(["", "{", "[]", "{}", '["a.mp4"]', '"a"', "null", "[" * 200, "[1]"]),
    ),
    left_out=st.sampled_from([None, "embeddings", "video", "start_sec", "end_sec"]),
    number=st.sampled_from([-2, 0, 1, 1.5]),
    count=st.integers(0, 2),
)
def test_metadata_of_embeddings(
    tmp_path: Path, about: dict[str, str], left_out: str | None, number: float, count: int
) -> None:
    tensors = {
        "embeddings": torch.zeros(1, 2),
        "video": torch.tensor([number]),
        "start_sec": torch.zeros(count, dtype=torch.float64),
        "end_sec": torch.ones(1, dtype=torch.float64),
    }
    tensors.pop(left_out or "", None)
    path = tmp_path / "a.safetensors"
    save_file(tensors, path, metadata={**about, "format": "pytorchvideo.embeddings"})
    ask(Reader(Embeddings.load, path.name, ""), path)


def test_a_long_name_of_a_file_is_not_said_whole(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    file.write_text('{"%s": [{"file": "a"}]}' % ("9" * 100_000))
    with pytest.raises(ValueError, match="Expected `field` to be one of") as caught:
        rows_of_json(file, "rows")
    assert len(str(caught.value)) < 3000
