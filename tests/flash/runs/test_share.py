# SPDX-License-Identifier: Apache-2.0
"""Shared classifiers of runs: the same answers, labels and scores."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from flash.runs import train as runs
from flash.runs.config import RunConfig
from flash.runs.folder import RunFolder
from flash.runs.share import trained_model, transformers_model
from flash.video import VideoClassifier
from pytorchvideo._files import write_json
from pytorchvideo.inference.loading import load_predictor
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.models import ClipRecipe, PretrainedModel, create_model


def test_a_run_is_shared_with_its_scores(folder: Path, tmp_path: Path) -> None:
    config = RunConfig(
        str(folder), epochs=1, frames=4, crop=32, batch_size=4, clip_duration=0.8, clips=2
    )
    summary = runs.train(config, tmp_path / "run", console=Console(file=StringIO()))
    trained = trained_model(tmp_path / "run", licence="CC-BY-4.0")
    shared = trained.save_pretrained(tmp_path / "shared")
    card = (shared / "README.md").read_text()
    count = len(summary.results)
    assert f"{count} held-out videos of {folder.name}, 2 clips a video." in card
    assert "license: cc-by-4.0" in card
    loaded = PretrainedModel.from_pretrained(shared)
    assert loaded.labels == tuple(summary.labels)
    assert loaded.metrics == {"top1": pytest.approx(100 * summary.accuracy, abs=0.01)}
    predictor = VideoPredictor.from_pretrained(loaded)
    for result in summary.results:
        scores = dict(predictor.predict(result.video, clips=2, top_k=2))
        wanted = dict(zip(result.labels, result.scores, strict=True))
        assert scores == pytest.approx(wanted, abs=1e-4)


def test_a_model_file_has_no_scores(tmp_path: Path) -> None:
    kwargs = {"num_frames": 4, "crop_size": 32}
    model = create_model("x3d_xs", num_classes=2, **kwargs)
    recipe = ClipRecipe(4, 2, side_size=32, crop_size=32)
    file = tmp_path / "model.pt"
    PretrainedModel(model, "x3d_xs", recipe, kwargs, ("a", "b")).save(file)
    trained = trained_model(file)
    with pytest.raises(ValueError, match=r"of the zoo: trained_model\(path\) returns it"):
        transformers_model(file)
    assert (trained.name, trained.labels, trained.metrics) == ("x3d_xs", ("a", "b"), {})
    assert all(torch.equal(v, trained.model.state_dict()[k]) for k, v in model.state_dict().items())


def test_a_classifier_is_shared_as_it_is() -> None:
    recipe = ClipRecipe(4, 2, side_size=32, crop_size=32)
    classifier = VideoClassifier(labels=["a", "b"], pretrained=False, recipe=recipe)
    trained = trained_model(classifier, licence="MIT")
    assert (trained.labels, trained.recipe, trained.licence) == (("a", "b"), recipe, "MIT")
    clip = torch.rand(1, 3, 4, 32, 32)
    with torch.inference_mode():
        assert torch.equal(trained.model.eval()(clip), classifier.eval()(clip))


def test_a_model_of_transformers_becomes_theirs_again(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"image_size": 32, "patch_size": 8, "num_frames": 4, "hidden_size": 32}
    sizes |= {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    folder = tmp_path / "theirs"
    config = transformers.VideoMAEConfig(**sizes)
    transformers.VideoMAEForVideoClassification(config).save_pretrained(folder)
    classifier = VideoClassifier(
        labels=["a", "b", "c"], backbone=f"hf:{folder}", multi_label=True, threshold=0.3
    )
    classifier.save(tmp_path / "model.pt")
    model = transformers_model(tmp_path / "model.pt").eval()
    assert model.config.id2label == {0: "a", 1: "b", 2: "c"}
    clip = torch.rand(1, 3, 4, 32, 32)
    with torch.inference_mode():
        wanted = classifier.eval()(clip)
        torch.testing.assert_close(model(clip.transpose(1, 2)).logits, wanted)
    # their pipeline takes the sigmoid for it, and ours finds the threshold again
    assert model.config.problem_type == "multi_label_classification"
    model.save_pretrained(tmp_path / "given")
    predictor = load_predictor(f"hf:{tmp_path / 'given'}")
    assert (predictor.multi_label, predictor.threshold) == (True, 0.3)
    with pytest.raises(ValueError, match=r"transformers_model\(path\) returns it as theirs"):
        trained_model(tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("multi_label", "row"),
    [
        (False, {"video": "a.mp4", "label": "run"}),
        (True, {"video": "a.mp4", "labels": ["run"], "scores": {"run": 1.0}}),
        (True, {"video": "a.mp4", "labels": ["a"], "scores": {"run": 1.0}, "threshold": 0.5}),
    ],
)
def test_damaged_predictions_are_no_scores(
    multi_label: bool, row: dict[str, Any], tmp_path: Path
) -> None:
    run = RunFolder(tmp_path)
    kwargs = {"num_frames": 4, "crop_size": 32}
    model = create_model("x3d_xs", num_classes=2, **kwargs)
    recipe = ClipRecipe(4, 2, side_size=32, crop_size=32)
    PretrainedModel(model, "x3d_xs", recipe, kwargs, ("a", "b")).save(run.model)
    write_json(run.config_file, RunConfig("data", multi_label=multi_label).to_dict())
    assert trained_model(tmp_path).metrics == {}
    write_json(run.predictions, [row])
    with pytest.raises(ValueError, match=r"predictions\.json is no file of predictions"):
        trained_model(tmp_path)


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no run"):
        trained_model(tmp_path)
    with pytest.raises(FileNotFoundError, match="missing"):
        trained_model(tmp_path / "missing.pt")
