# SPDX-License-Identifier: Apache-2.0
"""``VideoClassifier.predict``: files, folders and clips; whole videos from several clips and views."""

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from flash.core.data.io.output import (
    FiftyOneLabelsOutput,
    LabelsOutput,
    TopKOutput,
    answers,
    resolve_output,
)
from flash.video import VideoClassificationData, VideoClassifier
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.windows import clips_and_views, uniform_windows
from pytorchvideo.inference.predictor import VideoPredictor, mean_scores
from pytorchvideo.transforms.clip_recipe import ClipRecipe

RECIPE = ClipRecipe(num_frames=2, sampling_rate=8, frames_per_second=16, side_size=16, crop_size=16)
LABELS = ["red", "green", "blue"]


class Colours(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm3d(3, affine=False)
        self.classifier = nn.Linear(3, 3)
        nn.init.eye_(self.classifier.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(x.mean(dim=(2, 3, 4)))


@pytest.fixture
def model() -> VideoClassifier:
    return VideoClassifier(labels=LABELS, backbone=Colours(), recipe=RECIPE)


@pytest.fixture(scope="module")
def folder(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A red video, and a blue one in a subfolder that gets green after 2 of 3 seconds."""
    root = tmp_path_factory.mktemp("coloured")
    for name, channels in (("a.mp4", [0] * 48), ("sub/b.avi", [2] * 32 + [1] * 16)):
        frames = np.zeros((48, 16, 32, 3), np.uint8)
        for i, channel in enumerate(channels):
            frames[i, ..., channel] = 255
        codec = "mpeg4" if name.endswith("avi") else "libx264"
        make_video(name, folder=root, frames=frames, fps=16, codec=codec)
    return root


def test_files_folders_and_lists(model: VideoClassifier, folder: Path) -> None:
    assert model.predict(str(folder / "a.mp4")) == ["red"]
    assert model.predict(folder) == ["red", "blue"]
    assert model.predict([folder / "sub/b.avi", str(folder / "a.mp4")]) == ["blue", "red"]
    ((label, score), *rest) = model.predict(folder / "a.mp4", output=TopKOutput(2))[0]
    assert label == "red"
    assert score > rest[0][1]
    (raw,) = model.predict(folder / "a.mp4", output="raw")
    assert raw["video_path"] == str(folder / "a.mp4")


def test_a_video_is_the_mean_of_its_clips(model: VideoClassifier, folder: Path) -> None:
    video = folder / "sub/b.avi"
    predictor = model.predictor()
    timeline = predictor.predict_clips(video, clips="uniform")
    assert [(c.start_sec, c.end_sec) for c in timeline] == [(0, 1), (1, 2), (2, 3)]
    assert [LABELS[int(c.scores.argmax())] for c in timeline] == ["blue", "blue", "green"]
    (scores,) = model.predict(video, output="probabilities", clips="uniform")
    assert scores == pytest.approx(mean_scores(timeline).tolist(), abs=1e-6)
    assert sum(scores) == pytest.approx(1)
    many = predictor.predict_clips(video, clips="10x3")
    assert len(many) == 10
    same = predictor.predict_clips(video, clips=10, views=3)
    assert all(torch.equal(a.scores, b.scores) for a, b in zip(many, same, strict=True))
    assert len(predictor.predict_clips(video, clips="5x1")) == 5


def test_windows_that_cover_a_video() -> None:
    assert uniform_windows(0.5, 1.0) == [(0.0, 0.5)]
    assert uniform_windows(2.0, 1.0) == [(0.0, 1.0), (1.0, 2.0)]
    # a third of a second is no round number
    assert len(uniform_windows(1.0, 1 / 3)) == 3
    assert uniform_windows(2.5, 1.0)[-1] == (1.5, 2.5)
    assert clips_and_views("5x1", 1) == (5, 1)


@pytest.mark.parametrize(
    ("clips", "views", "message"),
    [
        (0, 1, "`clips` to be 1 to 100,000, but got 0"),
        ("10x2", 1, 'a number, "uniform", or clips x 1 or 3 views'),
        ("all", 1, "but got 'all'"),
        ("10x1", 3, "`views` to be left out beside clips='10x1', but got 3"),
        (1, 2, r"`views` to be 1 \(the centre\) or 3"),
    ],
)
def test_unfit_clips(clips: Any, views: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        clips_and_views(clips, views)


def test_clips_that_are_tensors(model: VideoClassifier) -> None:
    clips = torch.zeros(2, 3, 2, 4, 4)
    clips[0, 1], clips[1, 2] = 5, 5
    assert model.predict(clips) == ["green", "blue"]
    assert model.predict({"video": clips, "label": torch.tensor([1, 2])}, output="classes") == [
        1,
        2,
    ]
    raw = model.predict({"input": clips, "video_name": ["x", "y"]}, output="raw")
    assert [sample["video_name"] for sample in raw] == ["x", "y"]
    assert set(raw[0]) == {"video_name", "preds"}


def test_modes_stay_as_they_were(model: VideoClassifier, folder: Path) -> None:
    model.train()
    model.backbone.norm.eval()
    before = [module.training for module in model.modules()]
    model.predict(folder / "a.mp4")
    model.predict(torch.zeros(1, 3, 2, 4, 4))
    with pytest.raises(FileNotFoundError, match=r"nothing\.mp4"):
        model.predict("nothing.mp4")
    assert [module.training for module in model.modules()] == before


def test_unfit_inputs(model: VideoClassifier, folder: Path, tmp_path: Path) -> None:
    data = VideoClassificationData.from_folders(predict_folder=folder, recipe=RECIPE)
    for unfit in (data, 3, [3], None):
        with pytest.raises(TypeError, match=r"flash.Trainer\(\).predict\(model, datamodule=...\)"):
            model.predict(unfit)
    with pytest.raises(TypeError, match="Expected `data_source`, `deserializer` and"):
        model.predict(folder, data_source="folder")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"`x` to be clips \(B, C, T, H, W\)"):
        model.predict(torch.zeros(3, 2, 4, 4))
    with pytest.raises(ValueError, match="Did you mean labels"):
        model.predict(folder, output="label")
    (tmp_path / "bad.mp4").write_text("no video")
    with pytest.raises(VideoError, match=r"bad.mp4"):
        model.predict(tmp_path / "bad.mp4")
    with pytest.raises(ValueError, match="has no video"):
        model.predict(_empty(tmp_path))
    bare = VideoClassifier(labels=LABELS, backbone=Colours())
    with pytest.raises(ValueError, match="Pass recipe="):
        bare.predict(folder)


def _empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


class _Label:
    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


@pytest.fixture
def fiftyone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the output uses of fiftyone."""
    module = types.ModuleType("fiftyone")
    module.Classification = module.Classifications = _Label  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fiftyone", module)


@pytest.mark.usefixtures("fiftyone")
def test_labels_for_fiftyone(model: VideoClassifier, folder: Path) -> None:
    (answer,) = model.predict(folder / "a.mp4", output="fiftyone")
    assert answer["filepath"] == str(folder / "a.mp4")
    assert answer["predictions"].label == "red"
    logits = torch.tensor([0.0, 2.0, 1.0])
    bare = FiftyOneLabelsOutput(LABELS, store_logits=True, return_filepath=False)
    found = bare.transform_sample({"preds": logits, "metadata": {"filepath": "x.mp4"}})
    assert (found.label, found.logits) == ("green", [0.0, 2.0, 1.0])
    assert found.confidence == pytest.approx(float(logits.softmax(0)[1]))
    assert FiftyOneLabelsOutput(LABELS, threshold=0.9)(logits) is None
    several = FiftyOneLabelsOutput(LABELS, multi_label=True, threshold=0.6)(logits)
    assert [label.label for label in several.classifications] == ["green", "blue"]
    named = FiftyOneLabelsOutput(LABELS).transform_sample(
        {"preds": logits, "metadata": {"filepath": "x.mp4"}}
    )
    assert named["filepath"] == "x.mp4"


def test_fiftyone_is_named_where_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fiftyone", None)
    with pytest.raises(ImportError, match="pip install fiftyone"):
        FiftyOneLabelsOutput(LABELS)(torch.zeros(3))


def test_top_k() -> None:
    logits = torch.tensor([0.0, 2.0, 1.0])
    best = TopKOutput(9, LABELS)(logits)
    assert [label for label, _ in best] == ["green", "blue", "red"]
    assert sum(score for _, score in best) == pytest.approx(1)
    assert TopKOutput(1, multi_label=True)(logits)[0] == ("1", pytest.approx(0.8807971))
    with pytest.raises(ValueError, match="`k` to be >= 1"):
        TopKOutput(0)
    with pytest.raises(ValueError, match="`threshold` to be a probability"):
        LabelsOutput(threshold=2)


def test_an_output_takes_the_names_of_the_task_without_keeping_them() -> None:
    own = TopKOutput(1)
    named = resolve_output(own, LABELS)
    assert named is not own
    assert own.labels is None
    assert named is not None
    assert named(torch.tensor([0.0, 2.0, 1.0]))[0][0] == "green"


def test_samples_of_a_batch() -> None:
    class Bare:
        labels, multi_label, threshold = None, False, 0.5

    batch = {"preds": torch.eye(2), "metadata": {"filepath": ["a", "b"]}, "rate": 30}
    first, second = answers(batch, Bare(), None)
    assert (first["metadata"], second["metadata"]) == ({"filepath": "a"}, {"filepath": "b"})
    assert first["rate"] == 30


def test_predictors_of_several_labels() -> None:
    predictor = VideoPredictor(Colours(), RECIPE, LABELS, multi_label=True)
    scores = predictor._scores([torch.zeros(3, 2, 4, 4)])
    torch.testing.assert_close(
        scores, predictor.model(torch.zeros(1, 3, 2, 4, 4)).sigmoid().detach()
    )
