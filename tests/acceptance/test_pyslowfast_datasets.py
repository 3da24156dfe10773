# SPDX-License-Identifier: Apache-2.0
"""What PySlowFast asks of PyTorchVideo in its ``Ptv*`` datasets: training, validation and the test of 30 views.

Written from a description of these calls, not from its code.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler
from torchvision.transforms import Compose, Lambda

from pytorchvideo.data import (
    Charades,
    LabeledVideoDataset,
    LabeledVideoPaths,
    SSv2,
    labeled_video_dataset,
    make_clip_sampler,
)
from pytorchvideo.evaluation import score_videos
from pytorchvideo.models._weights.protocols import Protocol, ProtocolViews
from pytorchvideo.models.resnet import create_resnet
from pytorchvideo.transforms import (
    ApplyTransformToKey,
    NormalizeVideo,
    RandomCropVideo,
    RandomHorizontalFlipVideo,
    RandomShortSideScale,
    ShortSideScale,
    UniformCropVideo,
    UniformTemporalSubsample,
)
from pytorchvideo.transforms.clip_recipe import ClipRecipe

CLASSES, SIDE, FRAMES, RATE = 5, 64, 4, 2


@pytest.fixture
def slow(shallow: Callable[[], AbstractContextManager[None]]) -> Iterator[nn.Module]:
    """A network that leaves its positions."""
    with shallow():
        yield create_resnet(
            model_num_class=CLASSES,
            stem_dim_out=16,
            head_pool_kernel_size=(FRAMES, 1, 1),
            head_activation=None,
            head_output_with_global_average=False,
        )


class FiveItems:
    """What the loops of training and of tests unpack."""

    def __init__(self, alpha: int | None = None) -> None:
        self.alpha = alpha

    def __call__(self, sample: dict[str, Any]) -> tuple[Any, ...]:
        video = sample["video"]
        frames = [video] if self.alpha is None else [video[:, :: self.alpha], video]
        return frames, sample["label"], sample["video_index"], 0.0, {}


def train_steps(flip: bool = True) -> list[Any]:
    steps = [
        UniformTemporalSubsample(FRAMES),
        Lambda(lambda clip: clip / 255.0),
        NormalizeVideo((0.45, 0.45, 0.45), (0.225, 0.225, 0.225)),
        RandomShortSideScale(min_size=SIDE, max_size=SIDE + 16),
        RandomCropVideo(SIDE),
    ]
    return [*steps, RandomHorizontalFlipVideo(p=0.5)] if flip else steps


def view_steps() -> list[Any]:
    return [
        ApplyTransformToKey(
            key="video",
            transform=Compose(
                [
                    UniformTemporalSubsample(FRAMES),
                    Lambda(lambda clip: clip / 255.0),
                    NormalizeVideo((0.45, 0.45, 0.45), (0.225, 0.225, 0.225)),
                    ShortSideScale(size=SIDE),
                ]
            ),
        ),
        UniformCropVideo(size=SIDE),
    ]


@pytest.fixture(scope="module")
def kinetics(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``train.csv`` of two videos, 96x72 at 30 frames a second, below a folder of their own."""
    folder = tmp_path_factory.mktemp("kinetics")
    for name in ("a.mp4", "b.mp4"):
        make_video(name, folder=folder, num_frames=40, fps=30, width=96, height=72)
    (folder / "train.csv").write_text("a.mp4 0\nb.mp4 3\n")
    return folder


def test_ptvkinetics_trains(kinetics: Path, slow: nn.Module) -> None:
    dataset = labeled_video_dataset(
        data_path=str(kinetics / "train.csv"),
        clip_sampler=make_clip_sampler("random", FRAMES * RATE / 30),
        video_sampler=RandomSampler,
        transform=Compose(
            [ApplyTransformToKey(key="video", transform=Compose(train_steps())), FiveItems(4)]
        ),
        video_path_prefix=str(kinetics),
        decode_audio=False,
        decoder="pyav",
    )
    assert dataset.num_videos == 2 and len(dataset.video_sampler) == 2
    frames, labels, indices, _, meta = next(iter(DataLoader(dataset, batch_size=2)))
    assert [tuple(f.shape) for f in frames] == [(2, 3, 1, SIDE, SIDE), (2, 3, FRAMES, SIDE, SIDE)]
    assert sorted(labels.tolist()) == [0, 3] and sorted(indices.tolist()) == [0, 1] and meta == {}
    nn.functional.cross_entropy(slow(frames[1]).mean((2, 3, 4)), labels).backward()


def test_the_test_of_thirty_views(kinetics: Path, slow: nn.Module) -> None:
    """Its sum over views is, but for a factor, what ``pytorchvideo reproduce`` has by the rule of these datasets."""
    clips, crops = 10, 3
    paths = [(str(kinetics / name), label) for name, label in (("a.mp4", 0), ("b.mp4", 3))]
    dataset = LabeledVideoDataset(
        labeled_video_paths=[(path, {"label": label}) for path, label in paths],
        clip_sampler=make_clip_sampler(
            "constant_clips_per_video", FRAMES * RATE / 30, clips, crops
        ),
        video_sampler=SequentialSampler,
        transform=Compose([*view_steps(), FiveItems()]),
        decode_audio=False,
        decoder="pyav",
    )
    assert len(dataset.video_sampler) * clips * crops == 60
    slow.eval()
    sums, seen = torch.zeros(2, CLASSES), torch.zeros(2)
    with torch.no_grad():
        for frames, _, video, _, _ in DataLoader(dataset, batch_size=10):
            views = slow(frames[0]).softmax(dim=1).mean((2, 3, 4))
            for view, index in zip(views, video, strict=True):
                sums[index] += view
                seen[index] += 1
    assert seen.tolist() == [30, 30]
    recipe = ClipRecipe(num_frames=FRAMES, sampling_rate=RATE, side_size=SIDE, crop_size=SIDE)
    rule = ProtocolViews(Protocol(clips=clips, crops=crops, starts="seconds"), recipe)
    ours = list(score_videos(slow, [path for path, _ in paths], rule, batch_size=10))
    for total, scores in zip(sums, ours, strict=True):
        assert isinstance(scores, torch.Tensor)
        assert torch.allclose(total.double() / 30, scores, atol=1e-5)


def test_the_decoder_that_no_longer_exists(kinetics: Path) -> None:
    """``DATA.DECODING_BACKEND`` is torchvision by default, which means any here."""
    videos = LabeledVideoPaths.from_csv(kinetics / "train.csv")
    dataset = LabeledVideoDataset(
        videos, make_clip_sampler("uniform", 1.0), SequentialSampler, decoder="torchvision"
    )
    assert next(iter(dataset))["video"].shape == (3, 30, 72, 96)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lists of frames of two videos, as Charades and Something-Something have them."""
    folder = tmp_path_factory.mktemp("frames")
    lines = ["original_vido_id video_id frame_id path labels"]
    for number, name in enumerate(("AB1", "CD2")):
        (folder / name).mkdir()
        for frame in range(12):
            path = f"{name}/{name}-{frame:06d}.png"
            Image.fromarray(np.full((72, 96, 3), 9 * frame, np.uint8)).save(folder / path)
            lines.append(f'{name} {number} {frame} {path} "{number},{number + 2}"')
    (folder / "train.csv").write_text("\n".join(lines))
    (folder / "names.json").write_text(json.dumps({"Closing something": "1", "Holding": "0"}))
    videos = [
        {"id": "AB1", "template": "Closing [something]"},
        {"id": "CD2", "template": "Holding"},
    ]
    (folder / "videos.json").write_text(json.dumps(videos))
    return folder


def test_ptvcharades(frames: Path, slow: nn.Module) -> None:
    dataset = Charades(
        data_path=str(frames / "train.csv"),
        clip_sampler=make_clip_sampler("random", ((FRAMES - 1) * RATE + 1) / 30),
        video_sampler=RandomSampler,
        transform=Compose(
            [ApplyTransformToKey(key="video", transform=Compose(train_steps())), FiveItems()]
        ),
        video_path_prefix=str(frames),
        frames_per_clip=None,
    )
    assert len(dataset.video_sampler) == 2
    clips, labels, *_ = next(iter(dataset))
    # labels of each frame, of which the caller makes a vector
    targets = torch.zeros(1, CLASSES)
    targets[0, [number for several in labels for number in several]] = 1
    assert clips[0].shape == (3, FRAMES, SIDE, SIDE) and targets.sum() == 2
    logits = slow(clips[0][None]).mean((2, 3, 4))
    nn.functional.binary_cross_entropy_with_logits(logits, targets).backward()


@pytest.mark.parametrize("train", [True, False])
def test_ptvssv2(frames: Path, train: bool) -> None:
    steps = train_steps(flip=False)[1:]  # the frames are chosen already
    transform: list[Any] = [ApplyTransformToKey(key="video", transform=Compose(steps))]
    if not train:
        transform = [
            ApplyTransformToKey(
                key="video", transform=Compose([*steps[:2], ShortSideScale(size=SIDE)])
            ),
            UniformCropVideo(size=SIDE),
        ]
    views = (1, 1) if train else (1, 3)
    dataset = SSv2(
        label_name_file=str(frames / "names.json"),
        video_label_file=str(frames / "videos.json"),
        video_path_label_file=str(frames / "train.csv"),
        clip_sampler=make_clip_sampler("constant_clips_per_video", 1, *views),
        video_sampler=SequentialSampler,
        transform=Compose([*transform, FiveItems()]),
        video_path_prefix=str(frames),
        frames_per_clip=FRAMES,
        rand_sample_frames=train,
    )
    found = list(DataLoader(dataset, batch_size=1))
    assert [sample[1].item() for sample in found] == [1] * views[1] + [0] * views[1]
    assert all(sample[0][0].shape == (1, 3, FRAMES, SIDE, SIDE) for sample in found)
