# SPDX-License-Identifier: Apache-2.0
"""Predictions for FiftyOne and Label Studio."""

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from flash.core.integrations.fiftyone import visualize
from flash.core.integrations.labelstudio.visualizer import launch_app
from flash.video import VideoClassificationData


class Sample(dict[str, Any]):
    def __init__(self, filepath: str) -> None:
        super().__init__(filepath=filepath)


class Dataset:
    def __init__(self) -> None:
        self.samples: list[Sample] = []

    def add_samples(self, samples: list[Sample]) -> None:
        self.samples += samples


class Session:
    def __init__(self, dataset: Dataset, **options: Any) -> None:
        self.dataset, self.options, self.waited = dataset, options, False

    def wait(self) -> None:
        self.waited = True


def test_fiftyone_gets_a_sample_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("fiftyone")
    module.Sample, module.Dataset, module.launch_app = Sample, Dataset, Session
    monkeypatch.setitem(sys.modules, "fiftyone", module)
    batches = [
        [{"filepath": "a.mp4", "predictions": "run"}, {"filepath": "b.mp4", "predictions": None}],
        [{"filepath": "c.mp4", "predictions": "walk"}],
    ]
    session = visualize(batches, port=1)
    assert (session.waited, session.options) == (False, {"port": 1})
    assert session.dataset.samples == [
        {"filepath": "a.mp4", "predictions": "run"},
        {"filepath": "b.mp4", "predictions": None},
        {"filepath": "c.mp4", "predictions": "walk"},
    ]
    session = visualize(["run"], filepaths=[Path("a.mp4")], label_field="found", wait=True)
    assert session.waited and session.dataset.samples == [{"filepath": "a.mp4", "found": "run"}]
    with pytest.raises(ValueError, match="with their files: give `filepaths`"):
        visualize(["run"])
    with pytest.raises(ValueError, match="`filepaths` to be one for each of the 2 predictions"):
        visualize([["run"], ["walk"]], filepaths=["a.mp4"])


def test_fiftyone_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fiftyone", None)
    with pytest.raises(ImportError, match="pip install fiftyone"):
        visualize([])


def test_label_studio_gets_tasks(make_video: Callable[..., Path], tmp_path: Path) -> None:
    videos = [make_video(f"{name}.mp4", folder=tmp_path, num_frames=4) for name in "ab"]
    data = VideoClassificationData.from_files(
        train_files=videos, train_targets=["run", "walk"], predict_files=videos
    )
    tasks = launch_app(data).show_predictions([["walk"], [0]], tmp_path / "tasks.json")
    assert json.loads((tmp_path / "tasks.json").read_text()) == tasks
    assert [task["data"]["video"] for task in tasks] == [str(video) for video in videos]
    # the format of predictions in Label Studio's documentation
    (result,) = tasks[1]["predictions"][0]["result"]
    assert result == {
        "from_name": "choice",
        "to_name": "video",
        "type": "choices",
        "value": {"choices": ["run"]},
    }
    several = VideoClassificationData.from_files(
        train_files=videos, train_targets=[["run", "walk"], []], predict_files=videos
    )
    for predictions in ([["run", "walk"], []], [[["run", "walk"], []]], [[["run", "walk"]], [[]]]):
        tasks = launch_app(several).show_predictions(predictions)
        found = [task["predictions"][0]["result"][0]["value"]["choices"] for task in tasks]
        assert found == [["run", "walk"], []], predictions
    with pytest.raises(ValueError, match="one for each of 2 videos, but got 1"):
        launch_app(data).show_predictions(["walk"])
    empty = VideoClassificationData.from_tensors(torch.rand(2, 3, 1, 8, 8), [0, 1])
    with pytest.raises(ValueError, match="has no data to predict"):
        launch_app(empty).show_predictions([])
