# SPDX-License-Identifier: Apache-2.0
"""Several labels a clip, soft, smoothed and mixed labels; clips of models with several pathways."""

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import IterableDataset

import flash
from flash.core.data.data_module import DataModule
from flash.core.data.io.output import ClassesOutput
from flash.runs.share import trained_model
from flash.video import VideoClassificationData, VideoClassifier, VideoPredictor
from flash.video.classification.targets import TrainingBatch
from pytorchvideo.transforms import CutMix, MixUp, MixVideo
from pytorchvideo.transforms.clip_recipe import ClipRecipe

RECIPE = ClipRecipe(num_frames=2, sampling_rate=1, side_size=8, crop_size=8)
COLOURS = ["red", "green", "blue"]


class Colours(nn.Module):
    """Logits: an affine map of the mean of every channel."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(3, 3)
        nn.init.eye_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(x.mean(dim=(2, 3, 4)))


def colours(bits: Tensor) -> Tensor:
    """Clips (B, 3, 2, 8, 8) with 1 in the channels whose bit is set, else -1."""
    return (bits * 2 - 1)[:, :, None, None, None].expand(-1, -1, 2, 8, 8)


class Bits(IterableDataset[Any]):
    """All subsets of three colours, several times."""

    def __iter__(self) -> Iterator[Any]:
        for number in list(range(8)) * 4:
            bits = torch.tensor([number >> i & 1 for i in range(3)]).float()
            yield {"video": colours(bits[None])[0], "label": bits}


def classifier(**kwargs: Any) -> VideoClassifier:
    defaults: dict[str, Any] = {
        "labels": COLOURS,
        "backbone": Colours(),
        "multi_label": True,
        "recipe": RECIPE,
    }
    return VideoClassifier(**defaults | kwargs)


def unlogged(model: VideoClassifier) -> VideoClassifier:
    """Without a trainer there is no log."""
    model.log = lambda *args, **kwargs: None  # type: ignore[method-assign]
    return model


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


def bits_data(**kwargs: Any) -> DataModule:
    module = DataModule(
        dict.fromkeys(("train", "val", "predict"), Bits()),
        batch_size=8,
        labels=COLOURS,
        num_classes=3,
        **kwargs,
    )
    module.multi_label = True
    return module


def test_several_labels_are_learnt_and_told() -> None:
    net = Colours()
    nn.init.zeros_(net.classifier.weight)
    model = classifier(backbone=net, learning_rate=0.3, threshold=0.4)
    run = trainer(max_epochs=3)
    run.fit(model, datamodule=bits_data())
    assert set(run.callback_metrics) >= {
        *("val_accuracy", "val_f1_score", "val_binary_cross_entropy_with_logits")
    }
    assert run.callback_metrics["val_f1_score"] == 1
    said = {
        name: list(chain(*run.predict(model, datamodule=bits_data(), output=name)))
        for name in ("labels", "classes", "probabilities", "logits")
    }
    assert said["labels"][5] == ["red", "blue"]
    assert said["classes"][0] == []
    for logits, scores, classes in zip(
        said["logits"], said["probabilities"], said["classes"], strict=True
    ):
        assert scores == pytest.approx(torch.tensor(logits).sigmoid().tolist())
        assert classes == [i for i, score in enumerate(scores) if score >= 0.4]


def test_the_threshold_counts_in_metrics_and_outputs() -> None:
    model = unlogged(classifier(threshold=0.9))
    clip = colours(torch.tensor([[1.0, 1.0, 0.0]])) * torch.tensor([4.0, 1.0, 1.0]).view(1, 3, 1, 1, 1)  # fmt: skip
    assert model.predict(clip) == [["red"]]
    assert model.predict(clip, output=ClassesOutput(True, 0.5)) == [[0, 1]]
    # one of the two colours is missed
    model.step({"video": clip, "label": torch.tensor([[1.0, 1.0, 0.0]])}, "val")
    assert float(model.metric_modules["val_accuracy"].compute()) == pytest.approx(2 / 3)


def test_the_threshold_is_kept(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    video = make_video("several.mp4", num_frames=10)
    model = VideoClassifier(
        labels=COLOURS,
        pretrained=False,
        multi_label=True,
        threshold=0.3,
        recipe=ClipRecipe(4, 2, side_size=32, crop_size=32),
    )
    model.save(tmp_path / "model.pt")
    loaded = VideoPredictor.from_file(tmp_path / "model.pt")
    assert (loaded.multi_label, loaded.threshold) == (True, 0.3)
    (clip,) = loaded.predict_clips(video, clips=1)
    (scores,) = model.predict(video, clips=1, output="probabilities")
    torch.testing.assert_close(clip.scores, torch.tensor(scores), rtol=1e-4, atol=1e-5)
    assert clip.scores.sum() > 1.1  # of three sigmoids near a half
    # given away and taken again, from a folder as from the Hub
    trained_model(tmp_path / "model.pt").save_pretrained(tmp_path / "shared")
    for other in (
        VideoPredictor.from_pretrained(tmp_path / "shared"),
        VideoPredictor.from_pretrained(trained_model(model)),
    ):
        assert (other.multi_label, other.threshold, other.labels) == (True, 0.3, COLOURS)
        (again,) = other.predict_clips(video, clips=1)
        torch.testing.assert_close(again.scores, clip.scores, rtol=1e-3, atol=1e-4)
    run = trainer()
    run.strategy.connect(model)
    run.save_checkpoint(tmp_path / "run.ckpt")
    again = VideoClassifier.load_from_checkpoint(tmp_path / "run.ckpt")
    assert (again.multi_label, again.threshold) == (True, 0.3)


def test_data_and_classifier_must_agree() -> None:
    with pytest.raises(ValueError, match="`multi_label` to be True, as the targets of the data"):
        trainer().fit(classifier(multi_label=False), datamodule=bits_data())
    module = bits_data()
    module.multi_label = False
    with pytest.raises(ValueError, match="`multi_label` to be False, as the targets of the data"):
        trainer().fit(classifier(), datamodule=module)
    with pytest.raises(ValueError, match=r"targets of shape \(B, 3\) with a 1 .* but got \(2,\)"):
        classifier().training_step({"video": torch.zeros(2, 3, 2, 8, 8), "label": torch.zeros(2)}, 0)  # fmt: skip
    single = classifier(multi_label=False)
    with pytest.raises(ValueError, match=r"but got \(2, 2\). Clips with several labels need"):
        single.training_step({"video": torch.zeros(2, 3, 2, 8, 8), "label": torch.zeros(2, 2)}, 0)
    with pytest.raises(ValueError, match="`threshold` to be a probability between 0 and 1"):
        classifier(threshold=1.5)


def test_one_label_is_enough_where_it_may_be_absent() -> None:
    net = nn.Sequential(Colours(), nn.Linear(3, 1))
    model = unlogged(classifier(labels=["fight"], backbone=net))
    batch = {"video": torch.randn(2, 3, 2, 8, 8), "label": torch.tensor([[1.0], [0.0]])}
    assert model.step(batch, "train") > 0
    assert model.predict(batch["video"]) in ([[], []], [["fight"], []], [[], ["fight"]], [["fight"]] * 2)  # fmt: skip
    with pytest.raises(ValueError, match="`num_classes` to be >= 2, but got 1"):
        classifier(labels=["fight"], backbone=net, multi_label=False)


def first_loss(model: VideoClassifier, video: Tensor, label: Tensor) -> float:
    return unlogged(model).training_step({"video": video, "label": label}, 0).item()


def test_smoothed_labels_are_those_of_torch() -> None:
    video, label = torch.randn(4, 3, 2, 8, 8), torch.tensor([0, 1, 2, 0])
    model = classifier(multi_label=False, label_smoothing=0.2)
    logits = model(video).detach()
    assert first_loss(model, video, label) == pytest.approx(
        float(F.cross_entropy(logits, label, label_smoothing=0.2)), rel=1e-5
    )
    # validation measures against the labels themselves
    found = model.step({"video": video, "label": label}, "val").item()
    assert found == pytest.approx(float(F.cross_entropy(logits, label)), rel=1e-5)
    several = classifier(label_smoothing=0.2)
    bits = torch.tensor([[1.0, 0.0, 1.0]] * 4)
    wanted = F.binary_cross_entropy_with_logits(logits, bits * 0.8 + 0.1)
    assert first_loss(several, video, bits) == pytest.approx(float(wanted), rel=1e-5)


def test_soft_targets_are_smoothed_too() -> None:
    soft = torch.tensor([[0.5, 0.5, 0.0]])
    _, found = TrainingBatch(3, label_smoothing=0.3)(torch.zeros(1, 3, 1, 1, 1), soft)
    torch.testing.assert_close(found, torch.tensor([[0.45, 0.45, 0.1]]))


@pytest.mark.parametrize("multi_label", [False, True])
def test_mixed_clips_carry_mixed_labels(multi_label: bool) -> None:
    bits = torch.eye(3)[[0, 1, 2, 1]]
    video = colours(bits).contiguous()
    batch = TrainingBatch(3, multi_label, label_smoothing=0.0, mix_video=True)
    kinds = set()
    for _ in range(20):
        clips, labels = batch(video, bits if multi_label else bits.argmax(dim=1))
        assert clips.shape == video.shape
        # the share of a colour in the picture is its share in the label
        torch.testing.assert_close(clips.mean(dim=(2, 3, 4)) / 2 + 0.5, labels, rtol=1e-4, atol=1e-4)  # fmt: skip
        kinds.add(bool(((clips - clips.round()).abs() > 1e-4).any()))
    assert kinds == {False, True}, "CutMix and MixUp"


def test_a_mix_of_ones_own_and_a_batch_of_one() -> None:
    video, label = torch.randn(2, 3, 2, 8, 8), torch.tensor([0, 2])
    for mix in (MixUp(num_classes=3), CutMix(num_classes=3), MixVideo(num_classes=3)):
        model = classifier(multi_label=False, mix_video=mix)
        assert first_loss(model, video, label) > 0
        assert first_loss(model, video[:1], label[:1]) > 0
    with pytest.raises(ValueError, match="`label_smoothing` to be 0 with it, but got"):
        classifier(mix_video=MixUp(num_classes=3), label_smoothing=0.1)
    with pytest.raises(TypeError, match="`mix_video` to be True, False or a callable"):
        classifier(mix_video=0.5)
    for smoothing in (-0.1, 1.0):
        with pytest.raises(ValueError, match=r"`label_smoothing` to be in \[0, 1\)"):
            classifier(label_smoothing=smoothing)


def test_pathways_are_packed_for_the_user() -> None:
    recipe = ClipRecipe(num_frames=8, sampling_rate=1, side_size=32, crop_size=32)
    model = VideoClassifier(
        2,
        backbone="slowfast_r50",
        pretrained=False,
        recipe=recipe,
        mix_video=True,
    ).eval()
    assert model.recipe is not None
    assert model.recipe.pathway_ratio == (4, 1)
    clip = torch.rand(2, 3, 8, 32, 32)
    with torch.inference_mode():
        packed = model(clip)
        slow = clip[:, :, [0, 7]]
        torch.testing.assert_close(model([slow, clip]), packed)
    # mixing takes the pathway with all frames
    mixed, labels = model.prepare_training([slow, clip], torch.tensor([0, 1]))
    assert mixed.shape == clip.shape
    assert labels.shape == (2, 2)


def test_mixing_needs_the_whole_clip() -> None:
    model = classifier(multi_label=False, mix_video=True)
    with pytest.raises(TypeError, match="Let the data give whole clips"):
        model.prepare_training([torch.zeros(2, 3, 2, 8, 8)], torch.tensor([0, 1]))


def test_clips_of_another_size_are_told_what_to_do(make_video: Callable[..., Path]) -> None:
    model = VideoClassifier(2, backbone="c2d_r50", pretrained=False)
    with pytest.raises(
        ValueError, match=r"c2d_r50 was built for clips of 8 frames of 224x224 .* 2 of 64x64"
    ):
        model(torch.zeros(1, 3, 2, 64, 64))
    video = make_video("size.mp4", num_frames=8)
    data = VideoClassificationData.from_files(
        train_files=[video, video], train_targets=["a", "b"], recipe=RECIPE
    )
    built = VideoClassifier(labels=data.labels, backbone="c2d_r50", pretrained=False, recipe=data.recipe)  # fmt: skip
    assert built.eval()(torch.zeros(1, 3, 2, 8, 8)).shape == (1, 2)
