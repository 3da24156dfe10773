# SPDX-License-Identifier: Apache-2.0
"""Videos from csv and json files and from data frames: the same rows, whatever they come in."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from flash.video import VideoClassificationData
from flash.video.sources.files import find_video
from flash.video.sources.tables import rows_of_frame

ROWS: list[dict[str, Any]] = [
    {"file": "a.mp4", "action": "run", "tags": "run,jump", "id": 1, "run": 1, "jump": 1},
    {"file": "b", "action": "jump", "tags": "jump", "id": 0, "run": 0, "jump": 1},
    {"file": "sub/c.avi", "action": "run", "tags": "run", "id": 1, "run": 1, "jump": 0},
]
KINDS = ("csv", "json", "columns", "jsonl", "pandas", "list")


@pytest.fixture(scope="module")
def root(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("table")
    for name in ("a.mp4", "b.mkv", "sub/c.avi"):
        codec = "mpeg4" if name.endswith("avi") else "libx264"
        make_video(name, folder=folder, num_frames=6, fps=6, codec=codec)
    return folder


def make(
    kind: str, root: Path, fields: Any = "action", rows: Any = ROWS, **options: Any
) -> VideoClassificationData:
    """The same rows in a form of their own; the videos beside the file."""
    options = {"train_transform": lambda sample: sample, "batch_size": 8, **options}
    if kind in ("pandas", "list"):
        frame = pytest.importorskip("pandas").DataFrame(rows) if kind == "pandas" else rows
        return VideoClassificationData.from_data_frame(
            "file", fields, train_data_frame=frame, train_videos_root=root, **options
        )
    if kind == "csv":
        with (root / "table.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        return VideoClassificationData.from_csv(
            "file", fields, train_file=root / "table.csv", **options
        )
    file = root / ("table.jsonl" if kind == "jsonl" else "table.json")
    if kind == "jsonl":
        file.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    elif kind == "columns":
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        file.write_text(json.dumps({"data": columns}))
        options["field"] = "data"
    else:
        file.write_text(json.dumps(rows))
    return VideoClassificationData.from_json("file", fields, train_file=file, **options)


def labels_by_name(data: VideoClassificationData) -> dict[str, Any]:
    (batch,) = list(data.train_dataloader())
    return dict(zip(batch["video_name"], batch["label"].tolist(), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_one_class_in_one_column(kind: str, root: Path) -> None:
    data = make(kind, root)
    assert (data.labels, data.num_classes, data.multi_label) == (["jump", "run"], 2, False)
    assert labels_by_name(data) == {"a.mp4": 1, "b.mkv": 0, "c.avi": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_and_several_classes(kind: str, root: Path) -> None:
    data = make(kind, root, "id")
    assert (data.labels, data.num_classes) == (None, 2)
    assert labels_by_name(data) == {"a.mp4": 1, "b.mkv": 0, "c.avi": 1}
    data = make(kind, root, "tags")
    assert (data.labels, data.multi_label) == (["jump", "run"], True)
    assert labels_by_name(data) == {"a.mp4": [1, 1], "b.mkv": [1, 0], "c.avi": [0, 1]}
    # a column for each class, in the order in which they are named
    data = make(kind, root, ["run", "jump"])
    assert (data.labels, data.multi_label) == (["run", "jump"], True)
    assert labels_by_name(data) == {"a.mp4": [1, 1], "b.mkv": [0, 1], "c.avi": [1, 0]}


@pytest.mark.parametrize(
    "text",
    [
        "\ufefffile;id;note\r\na;0;one, two\r\nb.mkv;1;\r\n",
        "file\tid\na\t0\nb.mkv\t1\n",
        ",file,id\n0,a,0.0\n1,b.mkv,1.0\n",
    ],
)
def test_tables_of_spreadsheets_and_data_frames(text: str, root: Path) -> None:
    (root / "sheet.csv").write_bytes(text.encode())
    data = VideoClassificationData.from_csv(
        "file", "id", train_file=root / "sheet.csv", train_transform=lambda sample: sample
    )
    assert labels_by_name(data) == {"a.mp4": 0, "b.mkv": 1}
    (root / "sheet.csv").write_bytes(text.replace("b.mkv", "").encode())
    with pytest.raises(ValueError, match=r"sheet\.csv, line 3: the column 'file' is empty"):
        VideoClassificationData.from_csv("file", "id", train_file=root / "sheet.csv")


def test_columns_with_a_single_one_each(root: Path) -> None:
    rows = [{**row, "jump": 1 - row["run"]} for row in ROWS]
    data = make("list", root, ["run", "jump"], rows)
    assert (data.labels, data.multi_label) == (["run", "jump"], False)
    assert labels_by_name(data) == {"a.mp4": 0, "b.mkv": 1, "c.avi": 0}
    data = make("csv", root, ["run", "jump"], rows, multi_label=True)
    assert labels_by_name(data)["b.mkv"] == [0, 1]


def test_numerals_of_csv_files(make_video: Callable[..., Path], tmp_path: Path) -> None:
    """Names of files keep their zeros; a column is of numbers if it is in all stages."""
    for name in ("001.mp4", "002.mp4"):
        make_video(name, folder=tmp_path, num_frames=6, fps=6)
    (tmp_path / "train.csv").write_text('file,label,tags\n001,7,"7,8"\n002,ten,9\n')
    (tmp_path / "val.csv").write_text("file,label,tags\n002,7,9\n")
    files = {"train_file": tmp_path / "train.csv", "val_file": tmp_path / "val.csv"}
    data = VideoClassificationData.from_csv("file", "label", **files)
    assert data.labels == ["7", "ten"]
    assert data.val_dataset.reader.videos == [(str(tmp_path / "002.mp4"), {"label": 0})]
    data = VideoClassificationData.from_csv("file", "tags", **files)
    assert data.labels == ["7", "8", "9"]
    assert data.val_dataset.reader.videos[0][1]["label"].tolist() == [0, 0, 1]


@pytest.mark.parametrize("values", [[2, 0], ["a", "b"], [-1, 0]])
def test_columns_that_are_no_classes(values: list[Any], root: Path) -> None:
    rows = [
        {"file": "a", "x": values[0], "y": values[1]},
        {"file": "b", "x": values[1], "y": values[0]},
    ]
    with pytest.raises(ValueError, match="numbers from 0 to 1, a column for each class, but got"):
        make("list", root, ["x", "y"], rows)


def test_lists_in_json(root: Path) -> None:
    rows = [{**row, "tags": row["tags"].split(",")} for row in ROWS]
    data = make("json", root, "tags", rows)
    assert labels_by_name(data) == {"a.mp4": [1, 1], "b.mkv": [1, 0], "c.avi": [0, 1]}


def test_all_stages_share_the_classes_of_training(root: Path) -> None:
    data = VideoClassificationData.from_data_frame(
        input_field="file",
        target_fields="action",
        train_data_frame=ROWS,
        val_data_frame=ROWS[:1],
        test_data_frame=ROWS[1:2],
        predict_data_frame=[{"file": "c"}],
        train_videos_root=root,
        val_resolver=lambda _, name: root / name,
        test_videos_root=root,
        predict_videos_root=root / "sub",
    )
    assert next(iter(data.val_dataset))["label"] == 1
    assert next(iter(data.test_dataset))["label"] == 0
    assert next(iter(data.predict_dataset))["video_path"] == str(root / "sub/c.avi")
    with pytest.raises(
        ValueError, match=r"val data to have the classes of the train data only.* run"
    ):
        VideoClassificationData.from_data_frame(
            "file", "action", train_data_frame=ROWS[1:2], val_data_frame=ROWS[:1],
            train_videos_root=root, val_videos_root=root,
        )  # fmt: skip


def test_former_names_of_the_columns(root: Path) -> None:
    data = VideoClassificationData.from_data_frame(
        input_fields="file", target_field="id", train_data_frame=ROWS, train_videos_root=root
    )
    assert data.num_classes == 2
    with pytest.raises(TypeError, match="one of `input_field` and `input_fields`"):
        VideoClassificationData.from_data_frame("file", "id", ROWS, input_fields="file")
    with pytest.raises(TypeError, match="one of `target_fields` and `target_field`"):
        VideoClassificationData.from_data_frame("file", "id", ROWS, target_field="id")


def test_names_are_looked_for_where_the_program_runs_then_beside_the_file(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "list.csv").write_text("file,id\nsub/c,0\n")
    with pytest.raises(FileNotFoundError, match="No video"):
        VideoClassificationData.from_csv("file", "id", train_file=tmp_path / "list.csv")
    monkeypatch.chdir(root)
    data = VideoClassificationData.from_csv("file", "id", train_file=tmp_path / "list.csv")
    assert data.train_dataset.reader.videos[0][0] == "sub/c.avi"


def test_paths_of_names() -> None:
    assert find_video("/nowhere", "a.mp4") == "/nowhere/a.mp4"
    assert find_video("/nowhere", "https://host/a.mp4") == "https://host/a.mp4"


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"input_field": None}, TypeError, "`input_field` to be the name of a column"),
        ({"input_field": "files"}, ValueError, r"column 'files'. Did you mean file\?"),
        ({"target_fields": "actoin"}, ValueError, r"column 'actoin'. Did you mean action\?"),
        ({"target_fields": 3}, TypeError, "the name of a column, or a list of different ones"),
        ({"target_fields": ["id", "id"]}, TypeError, "a list of different ones"),
        ({"target_fields": None}, ValueError, "`target_fields` to be the column of train_data_frame"),
        ({"train_data_frame": []}, ValueError, "train_data_frame to have a row for each video"),
        ({"train_data_frame": 3}, TypeError, "`train_data_frame` to be a table: rows with names"),
        (
            {"train_data_frame": {"file": ["a"], "action": []}},
            ValueError,
            r"columns of one length, but got {'file': 1, 'action': 0}",
        ),
        (
            {"train_data_frame": [{"file": "a.mp4", "action": None}]},
            ValueError,
            "train_data_frame, row 1: the column 'action' is empty",
        ),
        (
            {"train_data_frame": [{"file": "a.mp4", "action": float("nan")}]},
            ValueError,
            "row 1: the column 'action' is empty",
        ),
        ({"train_file": "a.csv"}, TypeError, r"from_data_frame\(\) got an unexpected keyword argument"),
        ({"train_videos_root": "/nowhere"}, FileNotFoundError, "None of the 3 videos"),
    ],
)  # fmt: skip
def test_bad_frames(change: dict[str, Any], error: type[Exception], match: str, root: Path) -> None:
    good = {
        "input_field": "file",
        "target_fields": "action",
        "train_data_frame": ROWS,
        "train_videos_root": root,
    }
    with pytest.raises(error, match=match):
        VideoClassificationData.from_data_frame(**{**good, **change})


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("", ValueError, "bad.csv is empty"),
        ("file,id\n", ValueError, "bad.csv to have a row for each video, but it has none"),
        ("file,id\na.mp4\n", ValueError, "bad.csv, line 2: .*2 fields"),
        ("file,id\na.mp4,\n", ValueError, "bad.csv, line 2: the column 'id' is empty"),
        ("path,id\na.mp4,1\n", ValueError, "the column 'file'. Known names: id, path"),
        ("file,id\na.mp4,-1\n", ValueError, "bad.csv: id` to be class numbers >= 0, but got -1"),
    ],
)
def test_bad_csv_files(text: str, error: type[Exception], match: str, root: Path) -> None:
    (root / "bad.csv").write_text(text)
    with pytest.raises(error, match=match):
        VideoClassificationData.from_csv("file", "id", train_file=root / "bad.csv")
    with pytest.raises(FileNotFoundError, match=r"no file .*none.csv"):
        VideoClassificationData.from_csv("file", "id", train_file=root / "none.csv")


@pytest.mark.parametrize(
    ("name", "text", "options", "error", "match"),
    [
        ("bad.json", "[{]", {}, ValueError, "bad.json, line 1: not json"),
        ("bad.jsonl", '{"a": 1}\n{', {}, ValueError, "bad.jsonl, line 2: not json"),
        ("bad.json", "3", {}, TypeError, "bad.json` to be a table: rows with names of columns"),
        ("bad.json", '{"a": []}', {"field": "data"}, ValueError, r"bad.json: .*one of \['a'\]"),
        ("bad.json", "[]", {"field": "data"}, ValueError, r"`field` to be one of \[\]"),
        ("bad.json", "[]", {}, ValueError, "bad.json to have a row for each video"),
    ],
)
def test_bad_json_files(
    name: str, text: str, options: Any, error: type[Exception], match: str, root: Path
) -> None:
    (root / name).write_text(text)
    with pytest.raises(error, match=match):
        VideoClassificationData.from_json("file", "id", train_file=root / name, **options)


def test_frames_of_other_libraries() -> None:
    class Frame:
        def to_dicts(self) -> list[dict[str, Any]]:
            return ROWS

    assert rows_of_frame(Frame(), "frame") == ROWS


def test_csv_files_need_no_pandas(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)  # importing it is an error now
    assert make("csv", root).labels == ["jump", "run"]


def test_val_split_of_several_classes_is_seeded(root: Path) -> None:
    def held_out(seed: int) -> list[Any]:
        data = make("list", root, "tags", ROWS * 4, val_split=0.25, seed=seed)
        (batch,) = list(data.val_dataloader())
        assert batch["label"].dtype == torch.float32
        return sorted(batch["label"].tolist())

    assert len(held_out(0)) == 3
    assert held_out(0) == held_out(0)
