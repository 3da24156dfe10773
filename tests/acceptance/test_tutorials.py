# SPDX-License-Identifier: Apache-2.0
"""PyTorchVideo's tutorials on inference, detection and training, cell by cell, in our words, offline and small.

Torch Hub inference with SlowFast; detection on AVA, whose person detector is the test's own; the classification
tutorial; and the example ``train.py`` with its two branches, pictures and sound, on today's Lightning.
"""

import itertools
import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, RandomSampler
from torchvision.transforms import (
    CenterCrop,
    Compose,
    Lambda,
    RandomCrop,
    RandomHorizontalFlip,
)

import pytorchvideo.data
import pytorchvideo.models.resnet
from pytorchvideo.data.ava import AvaLabeledVideoFramePaths
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.models.hub import slow_r50_detection, slowfast_r50_detection
from pytorchvideo.transforms import (
    ApplyTransformToKey,
    Normalize,
    RandomShortSideScale,
    RemoveKey,
    ShortSideScale,
    UniformTemporalSubsample,
)
from pytorchvideo.transforms.functional import (
    clip_boxes_to_image,
    short_side_scale_with_boxes,
    uniform_temporal_subsample,
)

REPO = str(Path(__file__).resolve().parents[2])
MEAN, STD = [0.45, 0.45, 0.45], [0.225, 0.225, 0.225]

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:The 'torchvision.transforms._(functional|transforms)_video' module"
    ),
    # Lightning's own: advice on worker counts, a class of torch by its old name, its logger
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec"),
    pytest.mark.filterwarnings("ignore:Starting from v1.9.0"),
    pytest.mark.filterwarnings("ignore:The number of training batches"),
]


def slow_and_fast(frames: torch.Tensor, alpha: int = 4) -> list[torch.Tensor]:
    """The two pathways, as the tutorials make them."""
    positions = torch.linspace(0, frames.shape[1] - 1, frames.shape[1] // alpha).long()
    return [torch.index_select(frames, 1, positions), frames]


class PackPathways(nn.Module):
    def forward(self, frames: torch.Tensor) -> list[torch.Tensor]:
        return slow_and_fast(frames)


def test_torch_hub_inference(make_video: Callable[..., Path], tmp_path: Path) -> None:
    from torchvision.transforms._transforms_video import CenterCropVideo, NormalizeVideo

    (tmp_path / "names.json").write_text(json.dumps({f'"class {i}"': i for i in range(400)}))
    classes = json.loads((tmp_path / "names.json").read_text())
    name_of = {number: str(name).replace('"', "") for name, number in classes.items()}

    model = torch.hub.load(REPO, source="local", model="slowfast_r50", pretrained=False)
    model = model.to("cpu").eval()
    num_frames, sampling_rate, fps, side = 32, 2, 30, 224
    transform = ApplyTransformToKey(
        key="video",
        transform=Compose(
            [
                UniformTemporalSubsample(num_frames),
                Lambda(lambda x: x / 255.0),
                NormalizeVideo(MEAN, STD),
                ShortSideScale(size=side),
                CenterCropVideo(side),
                PackPathways(),
            ]
        ),
    )
    video = EncodedVideo.from_path(make_video("archery.mp4", num_frames=70, fps=fps))
    sample = video.get_clip(start_sec=0, end_sec=0 + num_frames * sampling_rate / fps)
    assert sample["video"].shape == (3, 64, 48, 64)
    inputs = [pathway.to("cpu")[None, ...] for pathway in transform(sample)["video"]]
    assert [tuple(x.shape) for x in inputs] == [(1, 3, 8, side, side), (1, 3, 32, side, side)]
    with torch.inference_mode():
        preds = nn.Softmax(dim=1)(model(inputs))
    assert preds.shape == (1, 400)
    best = preds.topk(k=5).indices
    assert [name_of[int(i)] for i in best[0]] == [f"class {int(i)}" for i in best[0]]


# -- detection -----------------------------------------------------------------------------------

LABELS = """
item {
  name: "bend/bow (at the waist)"
  id: 1
}
item {
  name: "sit"
  id: 11
}
"""


def for_detection(
    clip: torch.Tensor, boxes: Any, num_frames: int, crop_size: int, alpha: int | None
) -> tuple[Any, torch.Tensor, np.ndarray]:
    """The tutorial's preprocessing of a clip (C, T, H, W) in 0..255 and its boxes."""
    from torchvision.transforms._functional_video import normalize

    boxes = np.array(boxes)
    original = boxes.copy()
    clip = uniform_temporal_subsample(clip, num_frames).float() / 255.0
    boxes = clip_boxes_to_image(boxes, clip.shape[2], clip.shape[3])
    clip, boxes = short_side_scale_with_boxes(clip, size=crop_size, boxes=boxes)
    clip = normalize(clip, np.array(MEAN, dtype=np.float32), np.array(STD, dtype=np.float32))
    boxes = clip_boxes_to_image(boxes, clip.shape[2], clip.shape[3])
    pathways = clip if alpha is None else slow_and_fast(clip, alpha)
    return pathways, torch.from_numpy(boxes), original


def people(picture: torch.Tensor) -> torch.Tensor:
    """In the place of the tutorial's Faster R-CNN: two boxes for a picture (H, W, C), one sticks out."""
    height, width, _ = picture.shape
    return torch.tensor([[0.0, 0.0, width / 2, height - 1.0], [width / 2, 4.0, width + 9.0, 30.0]])


@pytest.mark.parametrize("name", ["slow", "slowfast"])
def test_detection(name: str, make_video: Callable[..., Path], tmp_path: Path) -> None:
    model = slow_r50_detection(False) if name == "slow" else slowfast_r50_detection(False)
    model = model.eval().to("cpu")
    (tmp_path / "ava.pbtxt").write_text(LABELS)
    label_map, allowed = AvaLabeledVideoFramePaths.read_label_map(str(tmp_path / "ava.pbtxt"))
    assert label_map == {1: "bend/bow (at the waist)", 11: "sit"}
    assert allowed == {1, 11}

    video = EncodedVideo.from_path(make_video("theatre.mp4", num_frames=60, fps=20))
    frames, alpha = (4, None) if name == "slow" else (32, 4)
    for second in range(1, 3):
        clip = video.get_clip(second - 1.0 / 2.0, second + 1.0 / 2.0)["video"]
        assert clip.shape == (3, 20, 48, 64)
        found = people(clip[:, clip.shape[1] // 2, :, :].permute(1, 2, 0))
        inputs, boxes, original = for_detection(clip, found.numpy(), frames, 64, alpha)
        assert np.array_equal(original, found.numpy())
        # the second is cut at the right border, 85 pixels wide at this scale
        wanted = [[0, 0, 42.5, 62.4], [42.5, 5.3, 83.7, 39.8]]
        torch.testing.assert_close(boxes, torch.tensor(wanted), atol=0.5, rtol=0)
        boxes = torch.cat([torch.zeros(boxes.shape[0], 1), boxes], dim=1)
        batch = inputs.unsqueeze(0) if name == "slow" else [x.unsqueeze(0) for x in inputs]
        with torch.no_grad():
            preds = model(batch, boxes).to("cpu")
        preds = torch.cat([torch.zeros(preds.shape[0], 1), preds], dim=1)  # labels begin at 1
        assert preds.shape == (2, 81)
        assert 0 <= preds.min() <= preds.max() <= 1
        assert name == "slow" or not torch.equal(preds[0], preds[1])


def test_the_imports_of_the_tutorials_alone() -> None:
    """Names that are reached through the package, in a process in which nothing else was imported."""
    code = (
        "import pytorchvideo\n"
        "from pytorchvideo.data.ava import AvaLabeledVideoFramePaths\n"
        "print(pytorchvideo.data.encoded_video.EncodedVideo.from_path)\n"
        "import pytorchvideo.models as models, pytorchvideo.layers as layers\n"
        "print(models.head.create_res_basic_head, models.x3d.create_x3d_head)\n"
        "print(layers.create_nonlocal, layers.Swish, layers.create_conv_2plus1d, models.SimCLR)\n"
        "import pytorchvideo.data, pytorchvideo.transforms\n"
        "print(pytorchvideo.data.Kinetics, pytorchvideo.transforms.functional.div_255)\n"
        "print(pytorchvideo.data.make_clip_sampler('random', duration=2))\n"
    )
    environment = os.environ | {"PYTHONPATH": REPO}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd="/"
    )
    assert done.returncode == 0, done.stderr


# -- training ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kinetics(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv and val.csv of ``path label`` lines; the videos have sound."""
    folder = tmp_path_factory.mktemp("kinetics")
    for part, count in (("train", 3), ("val", 2)):
        lines = []
        for i in range(count):
            make_video(f"{part}{i}.mp4", folder=folder, num_frames=20, fps=10, audio_rate=8000)
            lines.append(f"{part}{i}.mp4 {i % 2}\n")
        (folder / f"{part}.csv").write_text("".join(lines))
    return folder


def small_resnet() -> nn.Module:
    """The tutorial's call; only the width and the head's pool are for small clips."""
    return pytorchvideo.models.resnet.create_resnet(
        input_channel=3,
        model_depth=50,
        model_num_class=400,
        norm=nn.BatchNorm3d,
        activation=nn.ReLU,
        stem_dim_out=4,
        head_pool_kernel_size=(8, 2, 2),
    )


class Classification(pytorch_lightning.LightningModule):
    """Both examples' module: cross-entropy on one key of the batch."""

    def __init__(self, model: nn.Module, key: str = "video") -> None:
        super().__init__()
        self.model, self.key = model, key
        self.seen: list[tuple[str, tuple[int, ...]]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)

    def _loss(self, stage: str, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        self.seen.append((stage, tuple(batch[self.key].shape)))
        loss = F.cross_entropy(self.model(batch[self.key]), batch["label"])
        self.log(f"{stage}_loss", loss, batch_size=len(batch["label"]))
        return loss

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        return self._loss("train", batch)

    def validation_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        return self._loss("val", batch)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2, -1)]


def fit(module: Classification, data: pytorch_lightning.LightningDataModule, folder: Path) -> float:
    trainer = pytorch_lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
    )
    trainer.fit(module, data)
    return float(trainer.callback_metrics["train_loss"])


class TutorialData(pytorch_lightning.LightningDataModule):
    """The classification tutorial's data, which leaves the sound in the samples."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def _loader(self, name: str, sampler: str, augment: list[Any]) -> DataLoader[Any]:
        steps = [UniformTemporalSubsample(8), Normalize((0.45,) * 3, (0.225,) * 3), *augment]
        dataset = pytorchvideo.data.Kinetics(
            data_path=os.path.join(self.path, name),
            clip_sampler=pytorchvideo.data.make_clip_sampler(sampler, 1),
            transform=Compose([ApplyTransformToKey(key="video", transform=Compose(steps))]),
        )
        return DataLoader(dataset, batch_size=2, num_workers=0)

    def train_dataloader(self) -> DataLoader[Any]:
        scale = RandomShortSideScale(min_size=48, max_size=60)
        return self._loader(
            "train.csv", "random", [scale, RandomCrop(44), RandomHorizontalFlip(p=0.5)]
        )

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader("val.csv", "uniform", [ShortSideScale(48), CenterCrop(44)])


def test_classification(kinetics: Path, tmp_path: Path) -> None:
    module = Classification(small_resnet())
    assert np.isfinite(fit(module, TutorialData(kinetics), tmp_path))
    clip = (3, 8, 44, 44)
    # three random clips, then both seconds of two videos
    assert module.seen == [("train", (2, *clip)), ("train", (1, *clip))] + [("val", (2, *clip))] * 2


class Limited(torch.utils.data.Dataset):
    """The example's wrapper, which gives an iterable data set a length."""

    def __init__(self, dataset: Any) -> None:
        super().__init__()
        self.dataset = dataset
        self.samples = itertools.chain.from_iterable(itertools.repeat(iter(dataset), 2))

    def __getitem__(self, index: int) -> Any:
        return next(self.samples)

    def __len__(self) -> int:
        return self.dataset.num_videos


def log_mel(sound: torch.Tensor, bands: int) -> torch.Tensor:
    """In the place of torchaudio's MelSpectrogram: the logarithm of a spectrogram (F, T)."""
    window = torch.hann_window(2 * bands - 2)
    spectrum = torch.stft(sound, 2 * bands - 2, 64, window=window, return_complex=True)
    return spectrum.abs().clamp(min=1e-10).log()


class ExampleData(pytorch_lightning.LightningDataModule):
    """The example's data: one of two modalities, the other removed."""

    def __init__(self, args: Namespace) -> None:
        super().__init__()
        self.args = args

    def _transform(self, mode: str) -> Compose:
        if self.args.data_type == "video":
            return Compose([self._video(mode), RemoveKey("audio")])
        return Compose([self._audio(), RemoveKey("video")])

    def _video(self, mode: str) -> ApplyTransformToKey:
        steps: list[Any] = [UniformTemporalSubsample(8), Lambda(lambda x: x / 255.0)]
        steps.append(Normalize(self.args.means, self.args.stds))
        if mode == "train":
            steps.append(RandomShortSideScale(min_size=48, max_size=60))
            steps += [RandomCrop(44), RandomHorizontalFlip(p=0.5)]
        else:
            steps += [ShortSideScale(48), CenterCrop(44)]
        return ApplyTransformToKey(key="video", transform=Compose(steps))

    def _audio(self) -> ApplyTransformToKey:
        steps = [
            Lambda(lambda sound: log_mel(sound, self.args.bands)),
            UniformTemporalSubsample(self.args.steps, temporal_dim=-1),
            Lambda(lambda x: x.transpose(1, 0)),  # (F, T) -> (T, F)
            Lambda(lambda x: x.view(1, x.size(0), 1, x.size(1))),  # (1, T, 1, F)
            Normalize((-7.03,), (4.66,)),
        ]
        return ApplyTransformToKey(key="audio", transform=Compose(steps))

    def _loader(self, mode: str, clips: str) -> DataLoader[Any]:
        dataset = pytorchvideo.data.Kinetics(
            data_path=os.path.join(self.args.data_path, f"{mode}.csv"),
            clip_sampler=pytorchvideo.data.make_clip_sampler(clips, 1),
            video_path_prefix=self.args.video_path_prefix,
            transform=self._transform(mode),
            video_sampler=RandomSampler,
        )
        return DataLoader(Limited(dataset), batch_size=2, num_workers=0)

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader("train", "random")

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader("val", "uniform")


def arguments(kinetics: Path, data_type: str) -> Namespace:
    return Namespace(
        data_type=data_type,
        data_path=str(kinetics),
        video_path_prefix=str(kinetics),
        means=(0.45, 0.45, 0.45),
        stds=(0.225, 0.225, 0.225),
        bands=80,
        steps=128,
    )


@pytest.mark.parametrize("data_type", ["video", "audio"])
def test_the_training_example(data_type: str, kinetics: Path, tmp_path: Path) -> None:
    if data_type == "video":
        model, shape = small_resnet(), (3, 8, 44, 44)
    else:
        model = pytorchvideo.models.resnet.create_acoustic_resnet(
            input_channel=1, model_num_class=400, stem_dim_out=4, head_pool_kernel_size=(4, 1, 2)
        )
        shape = (1, 128, 1, 80)
    module = Classification(model, data_type)
    assert np.isfinite(fit(module, ExampleData(arguments(kinetics, data_type)), tmp_path))
    # one clip a video, in training and in validation
    assert module.seen == [
        ("train", (2, *shape)),
        ("train", (1, *shape)),
        ("val", (2, *shape)),
    ]


def test_the_epochs_of_a_distributed_sampler(
    kinetics: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the example asks for it: the class as ``video_sampler``, ``set_epoch`` through the wrapper."""
    monkeypatch.setattr(torch.distributed, "is_available", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda *_: 1)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda *_: 0)
    orders = []
    for epoch in (0, 1, 0):
        dataset = Limited(
            pytorchvideo.data.Kinetics(
                data_path=str(kinetics / "train.csv"),
                clip_sampler=pytorchvideo.data.make_clip_sampler("random", 1),
                video_path_prefix=str(kinetics),
                video_sampler=DistributedSampler,
                decode_audio=False,
            )
        )
        dataset.dataset.video_sampler.set_epoch(epoch)
        orders.append([dataset[i]["video_name"] for i in range(len(dataset))])
    assert all(sorted(order) == ["train0.mp4", "train1.mp4", "train2.mp4"] for order in orders)
    assert orders[0] == orders[2] != orders[1]
