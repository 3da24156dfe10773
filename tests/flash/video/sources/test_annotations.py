# SPDX-License-Identifier: Apache-2.0
"""Exports of Label Studio, and data sets that look like FiftyOne's."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flash.video import VideoClassificationData

NAMES = ("a.mp4", "b.mp4", "c.mp4")


@pytest.fixture(scope="module")
def root(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("annotated")
    for name in NAMES:
        make_video(name, folder=folder, num_frames=6, fps=6)
    return folder


def annotation(*choices: str, **more: Any) -> dict[str, Any]:
    result = {
        "from_name": "label",
        "to_name": "video",
        "type": "choices",
        "value": {"choices": list(choices)},
    }
    return {"result": [result], "was_cancelled": False, "ground_truth": False, **more}


def task(file: str | None, *annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    data = {"video": f"/data/upload/{file}"}
    return {"id": 7, "file_upload": file, "annotations": list(annotations), "data": data, **more}


def export(folder: Path, *tasks: Any) -> Path:
    (folder / "export.json").write_text(json.dumps(tasks))
    return folder / "export.json"


def names_and_labels(dataset: Any) -> list[tuple[str, Any]]:
    return [(Path(path).name, info.get("label")) for path, info in dataset.reader.videos]


def test_ground_truth_is_for_testing_and_the_rest_for_training(root: Path) -> None:
    file = export(
        root,
        task("a.mp4", annotation("run")),
        task("b.mp4", annotation("jump"), annotation("run", ground_truth=True)),
        task("c.mp4", annotation("run", was_cancelled=True), annotation("jump")),
        task("c.mp4"),
    )
    data = VideoClassificationData.from_labelstudio(export_json=file)
    assert (data.labels, data.multi_label) == (["jump", "run"], False)
    assert names_and_labels(data.train_dataset) == [("a.mp4", 1), ("c.mp4", 0)]
    assert names_and_labels(data.test_dataset) == [("b.mp4", 1)]
    assert next(iter(data.train_dataset))["label"] in (0, 1)


def test_comments_beside_classes_are_passed_over(root: Path) -> None:
    comment = {"type": "textarea", "value": {"text": ["blurred"]}}
    described = annotation("run, slowly")
    described["result"].insert(0, comment)
    data = VideoClassificationData.from_labelstudio(export(root, task("a.mp4", described)))
    assert data.labels == ["run, slowly"]


def test_an_export_for_each_stage(root: Path, tmp_path: Path) -> None:
    files = {}
    for stage, name in zip(("train", "val", "test", "predict"), (*NAMES, "a.mp4"), strict=True):
        (tmp_path / stage).mkdir()
        tasks = [task(name, annotation("run", ground_truth=stage == "test"))]
        tasks += [task("b.mp4", annotation("jump"))] * (stage == "train")
        files[f"{stage}_export_json"] = export(tmp_path / stage, *tasks)
    data = VideoClassificationData.from_labelstudio(**files, data_folder=root)
    assert names_and_labels(data.train_dataset) == [("a.mp4", 1), ("b.mp4", 0)]
    assert names_and_labels(data.val_dataset) == [("b.mp4", 1)]
    assert names_and_labels(data.test_dataset) == [("c.mp4", 1)]
    assert names_and_labels(data.predict_dataset) == [("a.mp4", None)]
    with pytest.raises(FileNotFoundError, match="None of the 2 videos"):
        VideoClassificationData.from_labelstudio(
            **files, data_folder=root, train_data_folder=tmp_path
        )


def test_several_classes_and_a_split(root: Path) -> None:
    tasks = [task("a.mp4", annotation("run", "jump")), task("b.mp4", annotation())] * 4
    data = VideoClassificationData.from_labelstudio(
        export_json=export(root, *tasks), multi_label=True, val_split=0.25
    )
    assert data.multi_label
    assert len(data.val_dataset.reader.videos) == 2
    both = [info["label"].tolist() for _, info in data.train_dataset.reader.videos]
    assert {tuple(vector) for vector in both} == {(1, 1), (0, 0)}


@pytest.mark.parametrize(
    "url",
    [
        "/data/local-files/?d=sub/a.mp4",
        "/data/upload/1/a.mp4",
        "https://host/videos/a.mp4?token=1",
    ],
)
def test_files_that_were_not_uploaded(url: str, root: Path) -> None:
    file = export(root, task(None, annotation("run"), data={"title": "A day", "clip": url}))
    data = VideoClassificationData.from_labelstudio(train_export_json=file)
    assert data.train_dataset.reader.videos[0][0] == str(root / "a.mp4")


@pytest.mark.parametrize(
    ("content", "options", "error", "match"),
    [
        ({"tasks": []}, {}, ValueError, "an export of Label Studio .*a list of tasks"),
        ([task("a.mp4")], {}, ValueError, "Expected tasks with annotations in .*export.json"),
        ([task("a.mp4", annotation())], {}, ValueError, r"task 7: .*one class, but got \[\]"),
        (
            [task("a.mp4", annotation("run", "jump"))],
            {},
            ValueError,
            "Use multi_label=True for videos with several",
        ),
        (
            [task("a.mp4", {"result": [{"type": "rating", "value": {"rating": 3}}]})],
            {},
            ValueError,
            "task 7: .*choices, or another list of classes, but got 'rating'",
        ),
        ([task("", annotation("run"), data={})], {}, ValueError, "task 7: it names no video"),
        ([task("x.mp4", annotation("run"))], {}, FileNotFoundError, "No video"),
        (
            [task("a.mp4", annotation("run"))],
            {"train_export_json": "b.json"},
            TypeError,
            "one of `export_json` and `train_export_json`",
        ),
    ],
)
def test_bad_exports(
    content: Any, options: Any, error: type[Exception], match: str, root: Path
) -> None:
    (root / "export.json").write_text(json.dumps(content))
    with pytest.raises(error, match=match):
        VideoClassificationData.from_labelstudio(root / "export.json", **options)


class Samples:
    """What this library uses of a FiftyOne data set or view: the values of a field."""

    def __init__(self, files: list[Path], **fields: list[Any]) -> None:
        self.fields = {"filepath": [str(file) for file in files], **fields}

    def values(self, field: str) -> list[Any]:
        return self.fields[field]


def one(name: str) -> SimpleNamespace:
    return SimpleNamespace(label=name, confidence=None)


def several(*names: str) -> SimpleNamespace:
    return SimpleNamespace(classifications=[one(name) for name in names])


def test_classifications_of_fiftyone(root: Path) -> None:
    files = [root / name for name in NAMES]
    data = VideoClassificationData.from_fiftyone(
        train_dataset=Samples(files, ground_truth=[one("run"), one("jump"), one("run")]),
        val_dataset=Samples(files[:1], ground_truth=[one("run")]),
        predict_dataset=Samples(files[2:]),
    )
    assert (data.labels, data.multi_label) == (["jump", "run"], False)
    assert names_and_labels(data.train_dataset) == [("a.mp4", 1), ("b.mp4", 0), ("c.mp4", 1)]
    assert names_and_labels(data.val_dataset) == [("a.mp4", 1)]
    assert names_and_labels(data.predict_dataset) == [("c.mp4", None)]
    data = VideoClassificationData.from_fiftyone(
        Samples(files[:1], ground_truth=[one("put down, gently")])
    )
    assert data.labels == ["put down, gently"]
    data = VideoClassificationData.from_fiftyone(
        Samples(files, tags=[several("run", "jump"), several(), several("jump")]),
        label_field="tags",
    )
    assert data.multi_label
    assert [vector.tolist() for _, vector in names_and_labels(data.train_dataset)] == [
        [1, 1],
        [0, 0],
        [1, 0],
    ]


@pytest.mark.parametrize(
    ("labels", "error", "match"),
    [
        ([one("run"), None], ValueError, r"b.mp4 has no label .*dataset.exists\('ground_truth'\)"),
        ([one("run"), 3], TypeError, "b.mp4: .*a Classification or Classifications, but got 'int'"),
        ([one("run"), several("jump")], TypeError, "All targets must have one form"),
    ],
)
def test_bad_labels_of_fiftyone(
    labels: list[Any], error: type[Exception], match: str, root: Path
) -> None:
    files = [root / name for name in NAMES[:2]]
    with pytest.raises(error, match=match):
        VideoClassificationData.from_fiftyone(Samples(files, ground_truth=labels))


def test_what_is_no_data_set_of_fiftyone() -> None:
    for wrong in ("folder", {"filepath": []}, None):
        error = ValueError if wrong is None else TypeError
        with pytest.raises(error, match=r"a data set or view of FiftyOne|but got none"):
            VideoClassificationData.from_fiftyone(wrong)
    with pytest.raises(ValueError, match="at least one video"):
        VideoClassificationData.from_fiftyone(Samples([], ground_truth=[]))
