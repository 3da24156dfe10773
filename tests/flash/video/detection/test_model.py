# SPDX-License-Identifier: Apache-2.0
"""``VideoActionDetector`` and its data: training, frame-mAP, checkpoints, refusals."""

from pathlib import Path
from typing import Any

import pytest
import torch

import flash
from flash.video import VideoActionDetectionData, VideoActionDetector
from flash.video.detection.data import padded_collate
from pytorchvideo.data.synthetic_figures import ACTIONS, FigureFiles, write_figure_videos
from pytorchvideo.evaluation.detection import frame_map
from pytorchvideo.inference.detection.detector import ActionDetector
from pytorchvideo.models._registry import create_model
from pytorchvideo.transforms.clip_recipe import ClipRecipe

RECIPE = ClipRecipe(
    num_frames=4, sampling_rate=4, frames_per_second=16, side_size=48, crop_size=None
)


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> FigureFiles:
    folder = tmp_path_factory.mktemp("figures")
    return write_figure_videos(folder, train=8, val=4, seed=0, unseen_sec=1.0)


def data_of(figures: FigureFiles, **options: Any) -> VideoActionDetectionData:
    names = dict(enumerate(ACTIONS, 1))
    options = {"recipe": RECIPE, "batch_size": 4, "label_map": names, **options}
    return VideoActionDetectionData.from_csv(figures.train, figures.val, **options)


def small(**options: Any) -> VideoActionDetector:
    kwargs = {"stem_dim_out": 4, **options.pop("backbone_kwargs", {})}
    given: dict[str, Any] = {"labels": ACTIONS, "recipe": RECIPE, "pretrained": False, **options}
    return VideoActionDetector(backbone="slow_r50_detection", backbone_kwargs=kwargs, **given)


def trainer(folder: Path, **options: Any) -> flash.Trainer:
    quiet: dict[str, Any] = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "default_root_dir": folder,
    }
    return flash.Trainer(**{"max_epochs": 1, **quiet, **options})


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_fit_validate_save_and_load(figures: FigureFiles, tmp_path: Path) -> None:
    data, model = data_of(figures), small(labels=None, num_classes=4)
    fit = trainer(tmp_path)
    fit.fit(model, datamodule=data)
    assert model.labels == list(ACTIONS)
    assert 0 <= float(fit.callback_metrics["val_map"]) <= 1
    # the same number as of the rows
    rows = list(model.found.rows())
    truth = data.val_dataset.groundtruth  # type: ignore[union-attr]
    assert model.last_map is not None
    assert frame_map(truth, rows, data.classes).mean == pytest.approx(model.last_map.mean)
    fit.save_checkpoint(tmp_path / "a.ckpt")
    again = VideoActionDetector.load_from_checkpoint(tmp_path / "a.ckpt").eval()
    assert (again.labels, again.recipe, again.multi_label) == (list(ACTIONS), model.recipe, True)
    batch = next(iter(data.val_dataloader()))
    with torch.no_grad():
        torch.testing.assert_close(again(batch), model.eval()(batch["video"], batch["boxes"]))
    model.save(tmp_path / "model.pt")
    assert ActionDetector.from_file(tmp_path / "model.pt").labels == list(ACTIONS)


def test_predictions_are_a_row_a_box(figures: FigureFiles, tmp_path: Path) -> None:
    data = VideoActionDetectionData.from_csv(predict_file=figures.val, recipe=RECIPE, batch_size=3)
    model = small(output="classes")
    batch = next(iter(data.predict_dataloader()))
    rows = model.eval().predict_step(batch)
    count = len(batch["boxes"])
    assert rows["preds"].shape == (count, 4)
    assert len(rows["video_name"]) == len(rows["time"]) == count


def test_one_action_at_a_time(figures: FigureFiles) -> None:
    model = small(multi_label=False)
    batch = next(iter(data_of(figures).train_dataloader()))
    logits = model(batch["video"], batch["boxes"])
    torch.testing.assert_close(model.probabilities(logits).sum(dim=1), torch.ones(len(logits)))
    expected = torch.nn.functional.cross_entropy(logits, batch["labels"].argmax(dim=1))
    (loss,) = [loss(logits, batch["labels"]) for loss in model._losses.values()]
    torch.testing.assert_close(loss, expected)


def test_pictures_of_different_sizes_are_padded() -> None:
    def sample(width: int) -> dict[str, Any]:
        boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
        return {"video": torch.ones(3, 2, 8, width), "boxes": boxes, "video_name": "a"}

    batch = padded_collate([sample(8), sample(12)])
    assert batch["video"].shape == (2, 3, 2, 8, 12)
    assert (batch["video"][0, ..., 8:] == 0).all()
    assert batch["boxes"].tolist() == [[0.0, 0.0, 0.0, 4.0, 4.0], [1.0, 0.0, 0.0, 4.0, 4.0]]


def test_weights_of_a_classifier_and_of_a_detector(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = create_model("x3d_xs", num_classes=7)
    torch.save(whole.state_dict(), tmp_path / "whole.pth")
    model = VideoActionDetector(labels=ACTIONS, backbone="x3d_xs", weights=tmp_path / "whole.pth")
    assert model.backbone_name == "x3d_xs_detection"
    assert torch.equal(next(model.backbone.parameters()), next(whole.parameters()))
    torch.save(model.backbone.state_dict(), tmp_path / "boxes.pth")
    again = VideoActionDetector(labels=ACTIONS, weights=tmp_path / "boxes.pth")
    key = "detection_head.proj.weight"
    assert torch.equal(again.backbone.state_dict()[key], model.backbone.state_dict()[key])


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"backbone": "x3d"}, KeyError, "no model named 'x3d'"),
        ({"threshold": 1.0}, ValueError, "threshold"),
        ({"labels": None}, ValueError, "num_classes"),
        ({"backbone": 3}, TypeError, "backbone"),
    ],
)
def test_refusals(options: dict[str, Any], error: type[Exception], match: str) -> None:
    given: dict[str, Any] = {"labels": ACTIONS, "pretrained": False, **options}
    with pytest.raises(error, match=match):
        VideoActionDetector(**given)


def test_checkpoints_of_strangers_set_nothing_else(tmp_path: Path) -> None:
    hyper = {"num_classes": 2, "backbone": "x3d_xs_detection", "loss_fn": "print"}
    torch.save({"state_dict": {}, "hyper_parameters": hyper}, tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match="loss_fn, which no checkpoint of a VideoActionDetector"):
        VideoActionDetector.load_from_checkpoint(tmp_path / "a.ckpt")


def test_options_that_are_none(figures: FigureFiles) -> None:
    with pytest.raises(TypeError, match="no option 'clip_sampler'"):
        data_of(figures, clip_sampler="random")
    with pytest.raises(ValueError, match="got none"):
        VideoActionDetectionData.from_csv()
