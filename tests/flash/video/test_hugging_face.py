# SPDX-License-Identifier: Apache-2.0
"""Classifiers whose backbone is a model of Hugging Face, from a folder: training, checkpoints, model files."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import IterableDataset

import flash
from flash.core.data.data_module import DataModule
from flash.video import VideoClassifier, VideoPredictor
from pytorchvideo.models import ClipRecipe

transformers = pytest.importorskip("transformers")

SIZE: dict[str, Any] = {
    "image_size": 16,
    "patch_size": 8,
    "num_frames": 4,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny VideoMAE with two named classes, as ``save_pretrained`` writes it."""
    folder = tmp_path_factory.mktemp("videomae")
    config = transformers.VideoMAEConfig(
        **SIZE, id2label={0: "cat", 1: "dog"}, label2id={"cat": 0, "dog": 1}
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.VideoMAEForVideoClassification(config).save_pretrained(folder)
    return folder


class Clips(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        for label in range(3):
            yield {"video": torch.randn(3, 4, 16, 16), "label": label}


def trainer(**kwargs: Any) -> flash.Trainer:
    quiet: dict[str, Any] = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
        "max_epochs": 1,
    }
    return flash.Trainer(**quiet | kwargs)


CLIP = torch.rand(1, 3, 4, 16, 16, generator=torch.Generator().manual_seed(3))


def test_scores_are_those_of_transformers(saved: Path) -> None:
    theirs = transformers.VideoMAEForVideoClassification.from_pretrained(saved).eval()
    for name in (str(saved), saved, f"hf:{saved}"):
        model = VideoClassifier(backbone=name).eval()
        assert model.labels == ["cat", "dog"]
        with torch.inference_mode():
            torch.testing.assert_close(model(CLIP), theirs(CLIP.transpose(1, 2)).logits)
    assert model.backbone_name == f"hf:{saved}"
    assert model.recipe is not None
    assert (model.recipe.num_frames, model.recipe.crop_size) == (4, 16)


def test_other_classes_keep_the_trunk(saved: Path) -> None:
    theirs = transformers.VideoMAEForVideoClassification.from_pretrained(saved).state_dict()
    trained = VideoClassifier(3, backbone=saved).backbone.trunk.state_dict()
    fresh = VideoClassifier(3, backbone=saved, pretrained=False).backbone.trunk.state_dict()
    key = "videomae.encoder.layer.0.layernorm_before.weight"
    weight = next(k for k in theirs if k.endswith("layer.0.output.dense.weight"))
    assert key in trained or weight in trained
    assert torch.equal(trained[weight], theirs[weight])
    assert not torch.equal(fresh[weight], theirs[weight])


@pytest.mark.parametrize("strategy", ["no_freeze", "freeze"])
def test_it_trains(saved: Path, strategy: str) -> None:
    model = VideoClassifier(3, backbone=saved, learning_rate=0.1, layer_decay=0.5)
    before = {name: value.clone() for name, value in model.named_parameters()}
    trainer().finetune(model, datamodule=DataModule({"train": Clips()}), strategy=strategy)
    moved = {
        name for name, value in model.named_parameters() if not torch.equal(value, before[name])
    }
    head = {"backbone.classifier.weight", "backbone.classifier.bias"}
    assert head <= moved
    encoder = [name for name in moved if "encoder" in name]
    assert bool(encoder) is (strategy == "no_freeze")


def test_checkpoints_need_no_folder(
    saved: Path, tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    copy = tmp_path / "copy"
    transformers.VideoMAEForVideoClassification.from_pretrained(saved).save_pretrained(copy)
    model = VideoClassifier(labels=["x", "y", "z"], backbone=copy)
    run = trainer(fast_dev_run=True)
    run.fit(model, datamodule=DataModule({"train": Clips()}))
    run.save_checkpoint(tmp_path / "run.ckpt")
    model.save(tmp_path / "model.pt")
    for file in copy.iterdir():
        file.unlink()
    torch.load(tmp_path / "run.ckpt", weights_only=True)
    again = VideoClassifier.load_from_checkpoint(tmp_path / "run.ckpt").eval()
    video = make_video("hf.mp4", num_frames=30)
    with torch.inference_mode():
        assert torch.equal(again(CLIP), model.eval()(CLIP))
    assert (again.labels, again.recipe) == (["x", "y", "z"], model.recipe)
    loaded = VideoPredictor.from_file(tmp_path / "model.pt").predict(video)
    wanted = model.predictor().predict(video)
    assert [label for label, _ in loaded] == [label for label, _ in wanted]
    assert [s for _, s in loaded] == pytest.approx([s for _, s in wanted], abs=1e-6)


def test_it_is_built_for_the_clips_of_a_recipe(saved: Path, tmp_path: Path) -> None:
    recipe = ClipRecipe(num_frames=6, sampling_rate=2, side_size=24, crop_size=24)
    model = VideoClassifier(2, backbone=saved, recipe=recipe).eval()
    theirs = transformers.VideoMAEForVideoClassification.from_pretrained(
        saved, num_frames=6, image_size=24
    ).eval()
    clips = torch.rand(1, 3, 6, 24, 24)
    with torch.inference_mode():
        torch.testing.assert_close(model(clips), theirs(clips.transpose(1, 2)).logits)
    model.save(tmp_path / "model.pt")
    again = VideoPredictor.from_file(tmp_path / "model.pt").model.eval()
    with torch.inference_mode():
        assert torch.equal(again(clips), model(clips))


def test_unfit_models(tmp_path: Path, saved: Path) -> None:
    with pytest.raises(FileNotFoundError, match="it has no config"):
        VideoClassifier(2, backbone=tmp_path)
    config = transformers.ViTConfig()
    config.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"a model of .*videomae.* but got 'vit'"):
        VideoClassifier(2, backbone=f"hf:{tmp_path}", pretrained=False)
    with pytest.raises(ValueError, match="`num_classes` or `labels`, but got neither"):
        VideoClassifier(backbone="x3d_xs", pretrained=False)
    with pytest.raises(ValueError, match=r"was built for clips of 4 frames of 16x16 .* 8 of 16x16"):
        VideoClassifier(backbone=saved)(torch.zeros(1, 3, 8, 16, 16))


def test_the_extra_is_named_where_it_lacks() -> None:
    code = (
        "import sys; sys.modules['transformers'] = None\n"
        "from flash.video.classification.backbones import build_backbone\n"
        "for pretrained in (True, False):\n"
        "    try:\n"
        "        build_backbone('hf:x', {}, 2, pretrained=pretrained, weights=None, recipe=None, has_head=False)\n"
        "    except ImportError as error:\n"
        "        print(error)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert answer.stdout.count('pip install "pytorchvideo[hf]"') == 2
