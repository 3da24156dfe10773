# SPDX-License-Identifier: Apache-2.0
"""``VideoClassifier``: construction in every form, checkpoints, and that it learns."""

import dataclasses
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import IterableDataset, default_collate

import flash
from flash.core.data.data_module import DataModule
from flash.video import VideoClassificationData, VideoClassifier, VideoPredictor
from pytorchvideo.inference.loading import load_predictor
from pytorchvideo.models._registry import create_model, get_weights, list_models
from pytorchvideo.transforms.clip_recipe import ClipRecipe

RECIPE = ClipRecipe(num_frames=4, sampling_rate=2, frames_per_second=10, side_size=32, crop_size=32)


class Tiny(nn.Module):
    """A small network on the brightness and the colours of clips."""

    def __init__(self, num_classes: int = 2) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.AdaptiveAvgPool3d((2, 2, 2)), nn.Flatten(), nn.Linear(24, 8), nn.ReLU()
        )
        self.classifier = nn.Linear(8, num_classes)

    def reset_classifier(self, num_classes: int) -> None:
        self.classifier = nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.trunk(x))


class Clips(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        for label in range(2):
            yield {"video": torch.randn(3, 4, 32, 32), "label": label}


def small(num_classes: int | None = 2, **kwargs: Any) -> VideoClassifier:
    """x3d_xs for clips of 32 pixels."""
    return VideoClassifier(num_classes, **{"pretrained": False, "recipe": RECIPE, **kwargs})


def trainer(**kwargs: Any) -> flash.Trainer:
    quiet: dict[str, Any] = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
    }
    return flash.Trainer(**quiet | kwargs)


def test_defaults() -> None:
    model = VideoClassifier(num_classes=5, pretrained=False)
    assert model.backbone_name == "x3d_xs"
    assert model.recipe == get_weights("x3d_xs").recipe
    assert model.labels is None
    assert isinstance(model.backbone.classifier, nn.Linear)
    assert model.backbone.classifier.out_features == 5
    assert model.network is model.backbone


def test_labels_give_the_number_of_classes() -> None:
    model = small(None, labels=["run", "jump", "sit"])
    assert (model.num_classes, model.labels) == (3, ["run", "jump", "sit"])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "`num_classes` or `labels`, but got neither"),
        ({"num_classes": 1}, ValueError, "`num_classes` to be >= 2, but got 1"),
        ({"labels": ["one"]}, ValueError, "`num_classes` to be >= 2, but got 1"),
        (
            {"num_classes": 3, "labels": ["a", "b"]},
            ValueError,
            r"the number of labels \(2\), but got 3",
        ),
        ({"labels": "ab"}, TypeError, "`labels` to be a list of class names"),
        (
            {"num_classes": 2, "backbone": "x3d_xs", "model": "x3d_s"},
            TypeError,
            "`backbone` and `model`, two names",
        ),
        (
            {"num_classes": 2, "backbone_kwargs": {}, "model_kwargs": {}},
            TypeError,
            "`backbone_kwargs` and `model_kwargs`, two names",
        ),
        (
            {"num_classes": 2, "output": "labels", "serializer": "labels"},
            TypeError,
            "`output` and `serializer`",
        ),
        (
            {"num_classes": 2, "backbone": "x3d_sx"},
            KeyError,
            "no model named 'x3d_sx'. Did you mean x3d_",
        ),
        (
            {"num_classes": 2, "backbone": 3},
            TypeError,
            r"`backbone` to be a name or an nn.Module, but got 3",
        ),
        (
            {"num_classes": 2, "backbone": Tiny(), "backbone_kwargs": {"a": 1}},
            TypeError,
            "built already",
        ),
        (
            {"num_classes": 2, "optimizer": "SGD"},
            TypeError,
            "argument is required when the optimizer is SGD",
        ),
        ({"num_classes": 2, "optimizer": "Adamm"}, KeyError, "Unknown optimizer 'Adamm'"),
        ({"num_classes": 2, "lr_scheduler": "Step"}, KeyError, "Unknown lr_scheduler 'Step'"),
        ({"num_classes": 2, "weights": "/nowhere.pt"}, FileNotFoundError, r"nowhere.pt"),
    ],
)
def test_unfit_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        VideoClassifier(pretrained=False, **arguments)


@pytest.mark.parametrize("name", ["backbone", "model"])
def test_both_generations_of_names(name: str) -> None:
    model = VideoClassifier(
        2, pretrained=False, **{name: "x3d_s", f"{name}_kwargs": {"crop_size": 32}}
    )
    assert model.backbone_name == "x3d_s"
    assert model(torch.zeros(1, 3, 13, 32, 32)).shape == (1, 2)


def test_every_listed_backbone_is_one_of_the_zoo() -> None:
    names = VideoClassifier.available_backbones()
    assert names == VideoClassifier.available_models() == list_models("video classification")
    assert "mvit_base_16" not in names, "a model of pictures"
    for name in names:
        assert len(VideoClassifier.get_backbone_details(name)) > 3
    assert dict(VideoClassifier.get_model_details("x3d_xs"))["model_num_class"].default == 400
    with pytest.raises(KeyError, match="no model named"):
        VideoClassifier.get_backbone_details("x3d")


def test_weights_of_a_file_but_for_the_classifier(tmp_path: Path) -> None:
    torch.save({"model_state": create_model("x3d_xs").state_dict()}, tmp_path / "x3d.pyth")
    file = torch.load(tmp_path / "x3d.pyth")["model_state"]
    state = small(3, weights=tmp_path / "x3d.pyth", pretrained=True).backbone.state_dict()
    same = {
        key
        for key in file
        if file[key].shape == state[key].shape and torch.equal(file[key], state[key])
    }
    assert set(file) - same == {"blocks.5.proj.weight", "blocks.5.proj.bias"}


def test_pretrained_weights_from_the_hub_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = get_weights("x3d_xs").file
    file.parent.mkdir(parents=True)
    state = create_model("x3d_xs").state_dict()
    torch.save({"model_state": state}, file)
    # Flash's head keeps the whole backbone, its classifier too
    model = VideoClassifier(2, head=nn.Linear(400, 2))
    assert all(torch.equal(value, state[key]) for key, value in model.backbone.state_dict().items())
    model = VideoClassifier(2, model_kwargs={"pretrained": False}, head=nn.Linear(400, 2))
    assert not torch.equal(model.backbone.blocks[5].proj.weight, state["blocks.5.proj.weight"])


def test_a_module_of_ones_own() -> None:
    net = Tiny(num_classes=7)
    first = net.classifier
    assert VideoClassifier(7, backbone=net).backbone.classifier is first
    assert VideoClassifier(3, backbone=net)(torch.zeros(2, 3, 4, 8, 8)).shape == (2, 3)
    headed = VideoClassifier(5, backbone=Tiny(7), head=nn.Linear(7, 5))
    assert headed(torch.zeros(2, 3, 4, 8, 8)).shape == (2, 5)
    assert isinstance(headed.network, nn.Sequential)
    plain = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten())
    unfit = VideoClassifier(2, backbone=plain)
    message = r"return \(B, 2\), one logit a class, but got \(2, 3\). Give the backbone"
    with pytest.raises(ValueError, match=message):
        unfit.training_step(
            {"video": torch.zeros(2, 3, 4, 8, 8), "label": torch.zeros(2).long()}, 0
        )


def test_the_backbone_is_built_for_the_recipe() -> None:
    model = small()
    assert model.backbone_kwargs == {"num_frames": 4, "crop_size": 32}
    assert model(torch.zeros(1, 3, 4, 32, 32)).shape == (1, 2)
    # what was asked for goes before
    assert small(backbone_kwargs={"crop_size": 64}).backbone_kwargs["crop_size"] == 64


def test_labels_and_recipe_come_from_the_data(caplog: pytest.LogCaptureFixture) -> None:
    module = DataModule({"train": Clips()}, num_classes=2, labels=["a", "b"])
    module.recipe = RECIPE
    model = VideoClassifier(2, backbone=Tiny())
    with caplog.at_level(logging.INFO):
        trainer(fast_dev_run=True).fit(model, datamodule=module)
    assert (model.labels, model.recipe) == (["a", "b"], RECIPE)
    assert "takes over the clips of the data" in caplog.text
    wider = dataclasses.replace(RECIPE, side_size=40)
    own = VideoClassifier(labels=["x", "y"], backbone=Tiny(), recipe=wider)
    trainer(fast_dev_run=True).fit(own, datamodule=module)
    assert (own.labels, own.recipe) == (["x", "y"], wider)
    with pytest.raises(ValueError, match=r"the data's classes \(2\), but got 3"):
        trainer(fast_dev_run=True).fit(VideoClassifier(3, backbone=Tiny()), datamodule=module)


def reloaded(path: Path) -> str:
    """Loads a checkpoint in a new process and returns its logits of a fixed clip, labels and recipe."""
    code = (
        "import torch; torch.set_num_threads(1)\n"
        "from flash.video import VideoClassifier\n"
        f"model = VideoClassifier.load_from_checkpoint({str(path)!r}).eval()\n"
        "clip = torch.rand(1, 3, 4, 32, 32, generator=torch.Generator().manual_seed(1))\n"
        "with torch.inference_mode():\n"
        "    print(model(clip).tolist()[0], model.labels, model.recipe == model.recipe.from_dict("
        f"{RECIPE.to_dict()!r}), model.backbone_name, sep=';')\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    return answer.stdout.strip().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("adopts", [False, True])
def test_checkpoint_in_a_new_process(tmp_path: Path, adopts: bool) -> None:
    module = DataModule({"train": Clips()}, labels=["a", "b"])
    module.recipe = RECIPE
    # the recipe taken from the data does not change the network's pools, here or after loading
    sizes: dict[str, Any] = {"recipe": None, "backbone_kwargs": {"crop_size": 32}} if adopts else {}
    model = small(optimizer=torch.optim.AdamW, lr_scheduler=("steplr", {"step_size": 1}), **sizes)
    run = trainer(max_epochs=1)
    run.fit(model, datamodule=module)
    run.save_checkpoint(tmp_path / "run.ckpt")
    content = torch.load(tmp_path / "run.ckpt", weights_only=True)
    assert content["hyper_parameters"]["labels"] == ["a", "b"]
    assert content["hyper_parameters"]["backbone"] == "x3d_xs"
    assert content["hyper_parameters"]["optimizer"] == "AdamW"
    clip = torch.rand(1, 3, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted = model.eval()(clip)[0].tolist()
    logits, labels, same_recipe, name = reloaded(tmp_path / "run.ckpt").split(";")
    found = [float(x) for x in logits.strip("[]").split(",")]
    assert found == pytest.approx(wanted, abs=1e-5)
    assert (labels, same_recipe, name) == ("['a', 'b']", "True", "x3d_xs")


def test_checkpoint_with_parts_of_ones_own(tmp_path: Path) -> None:
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0]))
    model = VideoClassifier(
        2,
        backbone=Tiny(4),
        head=nn.Linear(4, 2),
        loss_fn=loss,
        metrics=F.cross_entropy,
        output="labels",
    )
    run = trainer(max_epochs=1)
    run.fit(model, datamodule=DataModule({"train": Clips()}))
    run.save_checkpoint(tmp_path / "own.ckpt")
    with pytest.raises(ValueError, match=r"`backbone`: .* module of your own \(Tiny\)"):
        VideoClassifier.load_from_checkpoint(tmp_path / "own.ckpt")
    with pytest.raises(ValueError, match=r"`head`: .* module of your own \(Linear\)"):
        VideoClassifier.load_from_checkpoint(tmp_path / "own.ckpt", backbone=Tiny(4))
    # the loss is needed for training only
    parts = {"backbone": Tiny(4), "head": nn.Linear(4, 2)}
    again = VideoClassifier.load_from_checkpoint(tmp_path / "own.ckpt", **parts)
    clip = torch.rand(1, 3, 4, 8, 8)
    assert torch.equal(again.eval()(clip), model.eval()(clip))
    assert again.output == "labels"


def test_a_module_of_ones_own_is_saved_as_a_graph(
    tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    video = make_video("own.mp4", num_frames=20, fps=10)
    recipe = ClipRecipe(4, 2, frames_per_second=10, side_size=16, crop_size=16)
    model = VideoClassifier(
        labels=["a", "b"], backbone=Tiny(4), head=nn.Linear(4, 2), recipe=recipe, multi_label=True
    ).train()
    with pytest.raises(ValueError, match=r"`path` to be a folder for a module of your own, but"):
        model.save(tmp_path / "model.pt")
    model.save(tmp_path / "saved")
    assert model.training
    with pytest.raises(ValueError, match=r"a file of torch-export can run any code.*--trust"):
        load_predictor(tmp_path / "saved")
    loaded = load_predictor(tmp_path / "saved", trust=True)
    assert (loaded.recipe, loaded.multi_label) == (recipe, True)
    wanted = dict(model.predictor().predict(video, clips=3))
    assert dict(loaded.predict(video, clips=3)) == pytest.approx(wanted, abs=1e-5)
    with pytest.raises(FileExistsError, match=r"saved holds an artefact already"):
        model.save(tmp_path / "saved")


def test_a_module_that_no_graph_can_hold_leaves_nothing(tmp_path: Path) -> None:
    class Fickle(Tiny):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x if float(x.mean()) > 0 else -x)

    recipe = ClipRecipe(4, 2, side_size=16, crop_size=16)
    model = VideoClassifier(2, backbone=Fickle(), recipe=recipe)
    with pytest.raises(RuntimeError, match=r"could not be exported by torch\.export"):
        model.save(tmp_path / "saved")
    assert not list((tmp_path / "saved").glob("*.json"))


def test_saved_model_predicts_as_the_classifier_does(
    tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    video = make_video("predict.mp4", num_frames=20, fps=10)
    model = small(None, labels=["a", "b"])
    model.save(tmp_path / "model.pt")
    loaded = VideoPredictor.from_file(tmp_path / "model.pt")
    for (label, score), (other, wanted) in zip(
        loaded.predict(video), model.predictor().predict(video), strict=True
    ):
        assert (label, score) == (other, pytest.approx(wanted, abs=1e-6))
    # the same file starts another training
    again = small(weights=tmp_path / "model.pt")
    assert torch.equal(again.backbone.blocks[5].proj.weight, model.backbone.blocks[5].proj.weight)


def test_what_cannot_be_saved_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Tiny comes without one\. Pass recipe="):
        VideoClassifier(2, backbone=Tiny()).save(tmp_path / "saved")
    with pytest.raises(ValueError, match="to be a folder for a module of your own"):
        small(head=nn.Linear(400, 2)).save(tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"Tiny comes without one. Pass recipe="):
        VideoClassifier(2, backbone=Tiny()).predictor()
    assert small().predictor().labels == ["0", "1"]


@pytest.fixture(scope="module")
def two_classes(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos that get brighter or darker; no single frame tells which."""
    root = tmp_path_factory.mktemp("brightness")
    generator = np.random.default_rng(0)
    for stage, count in (("train", 6), ("val", 4)):
        for name in ("brighter", "darker"):
            for i in range(count):
                ramp = np.linspace(40, 200, 10) + generator.uniform(-20, 20)
                ramp = ramp if name == "brighter" else ramp[::-1]
                frames = generator.uniform(-20, 20, (10, 32, 32, 3)) + ramp[:, None, None, None]
                make_video(
                    f"{i}.mp4",
                    folder=root / stage / name,
                    frames=frames.clip(0, 255).astype(np.uint8),
                    fps=10,
                )
    return root


def test_it_learns_from_video_files(two_classes: Path, make_video: Callable[..., Path]) -> None:
    module = VideoClassificationData.from_folders(
        train_folder=two_classes / "train",
        val_folder=two_classes / "val",
        predict_folder=two_classes / "val",
        recipe=RECIPE,
        batch_size=6,
    )
    model = VideoClassifier(
        labels=module.labels, backbone=Tiny(), recipe=RECIPE, optimizer="Adam", learning_rate=0.02
    )
    run = trainer(max_epochs=15)
    run.finetune(model, datamodule=module)
    assert run.callback_metrics["val_accuracy"] > 0.9
    predicted = [
        label for batch in run.predict(model, datamodule=module, output="labels") for label in batch
    ]
    assert predicted == ["brighter"] * 4 + ["darker"] * 4
    video = two_classes / "val/darker/0.mp4"
    ((label, score),) = model.predictor().predict(video, top_k=1)
    assert label == "darker"
    assert score > 0.5


@pytest.mark.parametrize("name", ["slowfast_r50", "csn_r101", "r2plus1d_r50"])
def test_backbones_with_pathways_or_a_softmax_train_on_logits(name: str, tmp_path: Path) -> None:
    """A class score can be negative, and a saved model gives the same scores."""
    sizes = {"num_frames": 8, "crop_size": 32}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = VideoClassifier(2, backbone=name, pretrained=False, backbone_kwargs=sizes).eval()
    recipe = dataclasses.replace(model.predictor().recipe, num_frames=8, side_size=32, crop_size=32)
    inputs = default_collate([recipe.transforms()(torch.full((3, 9, 40, 40), 200.0))] * 2)
    with torch.inference_mode():
        scores = model(inputs)
    assert scores.shape == (2, 2)
    assert float((scores.sum(dim=1) - 1).abs().max()) > 1e-3
    model.save(tmp_path / "model.pt")
    again = VideoPredictor.from_file(tmp_path / "model.pt").model
    with torch.inference_mode():
        torch.testing.assert_close(again(inputs), scores)


def test_checkpoint_in_plain_pytorch(tmp_path: Path) -> None:
    model = small(3)
    run = trainer()
    run.strategy.connect(model)
    run.save_checkpoint(tmp_path / "run.ckpt")
    code = (
        "import sys; sys.modules['flash'] = sys.modules['pytorch_lightning'] = None\n"
        "import torch\n"
        "from pytorchvideo.models import create_model, load_checkpoint\n"
        f"saved = torch.load({str(tmp_path / 'run.ckpt')!r}, weights_only=True)\n"
        "known = saved['hyper_parameters']\n"
        "network = create_model(known['backbone'], num_classes=3, **known['backbone_kwargs'])\n"
        "load_checkpoint(network, saved)\n"
        "clip = torch.rand(1, 3, 4, 32, 32, generator=torch.Generator().manual_seed(1))\n"
        "with torch.inference_mode():\n"
        "    print(network.eval()(clip).tolist()[0])\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    clip = torch.rand(1, 3, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted = model.eval()(clip)[0].tolist()
    found = [float(x) for x in answer.stdout.strip().strip("[]").split(",")]
    assert found == pytest.approx(wanted, abs=1e-5)
