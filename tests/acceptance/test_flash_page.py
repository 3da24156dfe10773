# SPDX-License-Identifier: Apache-2.0
"""The two programs of Flash's page on video classification run as they are written, with only the paths replaced."""

import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from flash.video import VideoClassificationData, VideoClassifier
from pytorchvideo.models import create_model

PAGE = """
import sys

import torch
from torch.utils.data import SequentialSampler

import flash
from flash.core.data.utils import download_data
from flash.video import VideoClassificationData, VideoClassifier
import kornia.augmentation as K
from pytorchvideo.transforms import ApplyTransformToKey, RandomShortSideScale, UniformTemporalSubsample
from torchvision.transforms import Compose, RandomCrop, RandomHorizontalFlip

# 1. Download a video dataset
download_data("PATH_OR_URL_TO_DATA")

# 2. [Optional] Specify transforms to be used during training.
train_transform = {
    "post_tensor_transform": Compose([
        ApplyTransformToKey(
            key="video",
            transform=Compose([
                UniformTemporalSubsample(8),
                RandomShortSideScale(min_size=256, max_size=320),
                RandomCrop(244),
                RandomHorizontalFlip(p=0.5),
            ]),
        ),
    ]),
    "per_batch_transform_on_device": Compose([
        ApplyTransformToKey(
            key="video",
            transform=K.VideoSequential(
                K.Normalize(
                    torch.tensor([0.45, 0.45, 0.45]),
                    torch.tensor([0.225, 0.225, 0.225])),
                K.augmentation.ColorJitter(0.1, 0.1, 0.1, 0.1, p=1.0),
                data_format="BCTHW",
                same_on_frame=False
            )
        ),
    ]),
}

# 3. Load the data
datamodule = VideoClassificationData.from_paths(
    train_data_path="path_to_train_data",
    clip_sampler="uniform",
    clip_duration=2,
    video_sampler=SequentialSampler,
    decode_audio=False,
    train_transform=train_transform
)

# 4. List the available models
print(VideoClassifier.available_models())

# 5. Build the model
model = VideoClassifier(num_classes=datamodule.num_classes, pretrained=False)

# 6. Train the model
trainer = flash.Trainer(fast_dev_run=True)

# 6. Finetune the model
trainer.finetune(model, datamodule=datamodule)
"""


@pytest.fixture
def folder(
    make_video: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The current folder, with an archive of two classes; what it unpacks to is where the page wants it."""
    pytest.importorskip("kornia")
    for name in ("archery", "juggling"):
        for i in range(2):
            make_video(
                f"{i}.mp4", folder=tmp_path / "set/videos/train" / name, num_frames=45, fps=10
            )
    shutil.make_archive(str(tmp_path / "videos"), "zip", tmp_path / "set")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_page(folder: Path, **replaced: str) -> dict[str, Any]:
    page = PAGE
    for old, new in {
        "PATH_OR_URL_TO_DATA": (folder / "videos.zip").as_uri(),
        "path_to_train_data": "data/videos/train",
        **replaced,
    }.items():
        assert old in page
        page = page.replace(old, new)
    (folder / "page.py").write_text(page)
    # the page forgets to divide by 255: it runs, and is told so
    with pytest.warns(UserWarning, match="values up to 255 come to kornia"):
        return runpy.run_path(str(folder / "page.py"))


@pytest.mark.slow
def test_first_program(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = run_page(folder)
    data, model, trainer = names["datamodule"], names["model"], names["trainer"]
    assert (data.num_classes, data.labels) == (2, ["archery", "juggling"])
    # both videos of the first class, each with two clips of two seconds
    (batch,) = list(data.train_dataloader())[:1]
    assert batch["video"].shape == (4, 3, 8, 244, 244)
    assert batch["label"].tolist() == [0, 0, 0, 0]
    assert batch["video_name"] == ["0.mp4", "0.mp4", "1.mp4", "1.mp4"]
    assert trainer.state.finished and trainer.global_step == 1
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert "slow_r50" in capsys.readouterr().out


@pytest.mark.slow
def test_second_program_names_the_folder_otherwise(folder: Path) -> None:
    names = run_page(folder, **{"train_data_path=": "train_folder="})
    assert names["datamodule"].labels == ["archery", "juggling"]
    assert names["trainer"].state.finished


def test_clips_of_half_a_video(make_video: Callable[..., Path], tmp_path: Path) -> None:
    """Clips of half of a video of 10 frames at 5 a second, from a folder and from a list: five frames each."""
    lines = []
    for label, name in enumerate(("a", "b")):
        path = make_video("c.mp4", folder=tmp_path / "videos" / name, num_frames=10, fps=5)
        lines += [f"{path} {label}\n"] * 4
    (tmp_path / "list.txt").write_text("".join(lines))
    for source, count in ((tmp_path / "videos", 4), (tmp_path / "list.txt", 16)):
        data = VideoClassificationData.from_paths(
            train_data_path=source,
            clip_sampler="uniform",
            clip_duration=1 - 1e-9,
            video_sampler=torch.utils.data.SequentialSampler,
            decode_audio=False,
            train_transform=lambda sample: sample,
        )
        assert [sample["video"].shape[1] for sample in data.train_dataset] == [5] * count
    assert len(VideoClassifier.available_models()) > 5


def test_a_pretrained_start_is_the_file_of_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        state = create_model("x3d_xs").state_dict()
    torch.save({"model_state": state}, tmp_path / "hub/checkpoints/X3D_XS.pyth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    loaded = VideoClassifier(num_classes=2, model="x3d_xs", pretrained=True).backbone.state_dict()
    same = [key for key in state if torch.equal(loaded[key], state[key])]
    # all but the projection, which has another size
    assert set(state) - set(same) == {"blocks.5.proj.weight", "blocks.5.proj.bias"}
