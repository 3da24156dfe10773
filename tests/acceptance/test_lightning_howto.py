# SPDX-License-Identifier: Apache-2.0
"""A reader's how-to for PyTorchVideo: hub model, transforms, video, and a Lightning training loop.

The how-to's code with its own slips repaired: a colon, undefined names, the missing imports, and
torchvision's ``Normalize``, which takes pictures, replaced by the one for clips.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning
import torch
import torch.nn.functional as F
from torchvision.transforms import Compose, Lambda, RandomCrop, RandomHorizontalFlip
from torchvision.transforms import Normalize as PictureNormalize

import pytorchvideo.data
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.models._registry import create_model
from pytorchvideo.transforms import (
    ApplyTransformToKey,
    Normalize,
    RandomShortSideScale,
    RemoveKey,
    ShortSideScale,
    UniformTemporalSubsample,
)

REPO = str(Path(__file__).resolve().parents[2])

pytestmark = [
    # torchvision is going to remove the module of the how-to's NormalizeVideo and CenterCropVideo
    pytest.mark.filterwarnings(
        "ignore:The 'torchvision.transforms._(functional|transforms)_video' module"
    ),
    # Lightning's own: advice on worker counts, and a class of torch that it asks for by its old name
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec"),
    # Lightning without TensorBoard logs to csv, and says so once in a process
    pytest.mark.filterwarnings("ignore:Starting from v1.9.0"),
]


@pytest.fixture(scope="module")
def hub_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``TORCH_HOME`` with the weights file of a seeded slow_r50 where the download would put it."""
    home = tmp_path_factory.mktemp("torch_home")
    checkpoints = home / "hub/checkpoints"
    checkpoints.mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(50)
        state = create_model("slow_r50").state_dict()
    torch.save({"model_state": state}, checkpoints / "SLOW_8x8_R50.pyth")
    return home


@pytest.fixture
def hub(hub_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(hub_home))
    return hub_home / "hub/checkpoints/SLOW_8x8_R50.pyth"


def test_model_from_the_local_hub(hub: Path) -> None:
    model = torch.hub.load(REPO, source="local", model="slow_r50", pretrained=False)
    assert f"{type(model).__module__}.{type(model).__name__}" == "pytorchvideo.models.net.Net"
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == 32.45
    assert not model.eval().training


def test_pretrained_model_is_the_file(hub: Path) -> None:
    state = torch.hub.load(REPO, source="local", model="slow_r50", pretrained=True).state_dict()
    file = torch.load(hub)["model_state"]
    assert list(state) == list(file)
    assert all(torch.equal(state[key], file[key]) for key in file)


@pytest.mark.parametrize(("name", "codec"), [("sample.avi", "mpeg4"), ("sample.mp4", "libx264")])
def test_video_to_prediction(
    make_video: Callable[..., Path], hub: Path, name: str, codec: str
) -> None:
    from torchvision.transforms._transforms_video import CenterCropVideo, NormalizeVideo

    side_size = 256
    mean = [0.45, 0.45, 0.45]
    std = [0.225, 0.225, 0.225]
    crop_size = 256
    num_frames = 8

    transform = ApplyTransformToKey(
        key="video",
        transform=Compose(
            [
                UniformTemporalSubsample(num_frames),
                Lambda(lambda x: x / 255.0),
                NormalizeVideo(mean, std),
                ShortSideScale(size=side_size),
                CenterCropVideo(crop_size=(crop_size, crop_size)),
            ]
        ),
    )
    sample_path = make_video(name, num_frames=50, fps=10, codec=codec)
    video = EncodedVideo.from_path(sample_path)
    # ten seconds of a video of five: all of its frames
    video_cliped = video.get_clip(start_sec=0, end_sec=10)
    assert set(video_cliped) == {"video", "audio"}
    frames = video_cliped["video"]
    assert frames is not None
    assert (frames.dtype, frames.shape) == (torch.float32, (3, 50, 48, 64))
    assert 0 <= frames.min() < frames.max() <= 255
    video_data = transform(video_cliped)
    assert video_data["video"].shape == (3, 8, 256, 256)
    if codec == "libx264":  # the forward pass takes a second: once is enough
        model = torch.hub.load(REPO, source="local", model="slow_r50", pretrained=True).eval()
        with torch.inference_mode():
            prediction = model(video_data["video"].unsqueeze(0))
        assert prediction.shape == (1, 400)


@pytest.fixture(scope="module")
def data_path(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv of ``path label`` lines."""
    folder = tmp_path_factory.mktemp("kinetics")
    lines = []
    for i in range(4):
        path = make_video(f"clip {i}.mp4", folder=folder, num_frames=30, fps=10)
        lines.append(f"{path} {i % 2}\n")
    (folder / "train.csv").write_text("".join(lines))
    return folder


class KineticsDataModule(pytorch_lightning.LightningDataModule):
    _CLIP_DURATION = 2
    _BATCH_SIZE = 1

    def __init__(self, data_path: Path, num_workers: int) -> None:
        super().__init__()
        self._DATA_PATH = data_path
        self._NUM_WORKERS = num_workers

    def setup(self, stage: str | None = None) -> None:
        train_transform = Compose(
            [
                ApplyTransformToKey(
                    key="video",
                    transform=Compose(
                        [
                            UniformTemporalSubsample(8),
                            Normalize((0.45, 0.45, 0.45), (0.225, 0.225, 0.225)),
                            RandomShortSideScale(min_size=256, max_size=320),
                            RandomCrop(244),
                            RandomHorizontalFlip(p=0.5),
                        ]
                    ),
                ),
                RemoveKey("audio"),
            ]
        )
        self.train_dataset = pytorchvideo.data.Kinetics(
            data_path=os.path.join(self._DATA_PATH, "train.csv"),
            clip_sampler=pytorchvideo.data.make_clip_sampler("random", self._CLIP_DURATION),
            transform=train_transform,
        )

    def train_dataloader(self) -> Any:
        return torch.utils.data.DataLoader(
            self.train_dataset,
            batch_size=self._BATCH_SIZE,
            num_workers=self._NUM_WORKERS,
        )


class VideoClassification(pytorch_lightning.LightningModule):
    def __init__(self, path: str, seen: list[Any], model_name: str) -> None:
        super().__init__()
        self.model = torch.hub.load(path, source="local", model=model_name, pretrained=False)
        self.seen = seen

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=1e-1)

    def forward(self, x: Any) -> Any:
        return self.model(x)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self.seen.append(batch)
        y = self.model(batch["video"])
        t = batch["label"]
        return F.cross_entropy(y, t)


def train(data_path: Path, num_workers: int, model_name: str) -> dict[str, Any]:
    seen: list[Any] = []
    trainer = pytorch_lightning.Trainer(
        fast_dev_run=True, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu"
    )
    module = VideoClassification(REPO, seen, model_name)
    trainer.fit(module, KineticsDataModule(data_path, num_workers))
    (batch,) = seen
    return batch  # type: ignore[no-any-return]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_lightning_training_on_a_small_model(data_path: Path, num_workers: int) -> None:
    batch = train(data_path, num_workers, "x3d_xs")
    assert batch["video"].shape == (1, 3, 8, 244, 244)
    assert batch["label"].dtype == torch.int64
    assert set(batch["label"].tolist()) <= {0, 1}
    assert all(name.startswith("clip ") for name in batch["video_name"])


@pytest.mark.slow
def test_lightning_training_on_the_howtos_model(data_path: Path) -> None:
    assert train(data_path, 0, "slow_r50")["video"].shape == (1, 3, 8, 244, 244)


def test_the_picture_normalize_does_not_fit_clips() -> None:
    # as the how-to has it: the eight frames would be taken for colours
    with pytest.raises(RuntimeError, match=r"size of tensor a \(8\) must match"):
        PictureNormalize((0.45, 0.45, 0.45), (0.225, 0.225, 0.225))(torch.rand(3, 8, 4, 4))
    clip = Normalize((0.45, 0.45, 0.45), (0.225, 0.225, 0.225))(torch.rand(3, 8, 4, 4))
    assert clip.shape == (3, 8, 4, 4)
