# SPDX-License-Identifier: Apache-2.0
"""Reading options (``dtype``, ``decoder``, ``device``, ``index_cache``), through every kind of dataset."""

import contextlib
import logging
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, SequentialSampler
from torchvision.transforms import RandomCrop

from pytorchvideo.data import (
    Charades,
    ClipDataset,
    Kinetics,
    LabeledVideoDataset,
    labeled_video_dataset,
    make_clip_sampler,
)
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.video import VideoPathHandler
from pytorchvideo.transforms import (
    ApplyTransformToKey,
    Div255,
    Normalize,
    RandomShortSideScale,
    ShortSideScale,
    UniformTemporalSubsample,
)

Datasets = dict[str, Callable[..., Any]]


@pytest.fixture
def folder(make_video: Callable[..., Path], tmp_path: Path) -> Path:
    """Two classes with a video of two seconds each."""
    tmp_path = tmp_path / "classes"
    for name in ("clapping", "waving"):
        make_video("clip.mp4", folder=tmp_path / name, num_frames=60, audio_rate=16000)
    return tmp_path


@pytest.fixture
def datasets(folder: Path) -> Datasets:
    """Ways to make the same dataset; each takes keywords."""
    sampler = make_clip_sampler("uniform", 1)
    videos = [(str(folder / name / "clip.mp4"), {"label": 0}) for name in ("clapping", "waving")]

    def from_dataset(**options: Any) -> ClipDataset:
        return ClipDataset.from_dataset(
            LabeledVideoDataset(videos, sampler, SequentialSampler, **options)
        )

    return {
        "LabeledVideoDataset": lambda **o: LabeledVideoDataset(
            videos, sampler, SequentialSampler, **o
        ),
        "labeled_video_dataset": lambda **o: labeled_video_dataset(
            str(folder), sampler, SequentialSampler, **o
        ),
        "Kinetics": lambda **o: Kinetics(str(folder), sampler, SequentialSampler, **o),
        "ClipDataset": lambda **o: ClipDataset(videos, sampler, **o),
        "from_dataset": from_dataset,
    }


NAMES = ["ClipDataset", "Kinetics", "LabeledVideoDataset", "from_dataset", "labeled_video_dataset"]


@pytest.mark.parametrize("name", NAMES)
def test_uint8_reaches_the_transform_and_the_batch(datasets: Datasets, name: str) -> None:
    seen = []

    def note(sample: dict[str, Any]) -> dict[str, Any]:
        seen.append(sample["video"].dtype)
        return sample

    bytes_ = datasets[name](dtype=torch.uint8, transform=note)
    floats = datasets[name]()
    batch = next(iter(DataLoader(bytes_, batch_size=4)))
    assert set(seen) == {torch.uint8}
    assert batch["video"].dtype == torch.uint8 and batch["video"].shape == (4, 3, 30, 48, 64)
    assert torch.equal(batch["video"].float(), torch.stack([s["video"] for s in floats]))


def test_uint8_through_a_pipeline_is_close_to_float(datasets: Datasets) -> None:
    """Scaled bytes are rounded, which is half a step at most."""
    steps = [UniformTemporalSubsample(4), ShortSideScale(32), Div255()]
    transform = ApplyTransformToKey("video", torch.nn.Sequential(*steps))
    pair = [
        datasets["Kinetics"](dtype=dtype, transform=transform)
        for dtype in (torch.uint8, torch.float32)
    ]
    for bytes_, floats in zip(*pair, strict=True):
        assert bytes_["video"].dtype == floats["video"].dtype == torch.float32
        assert (bytes_["video"] - floats["video"]).abs().max() < 1.01 / 255


def test_uint8_from_pictures(tmp_path: Path) -> None:
    for k in range(8):
        Image.fromarray(np.full((6, 8, 3), 20 * k, np.uint8)).save(tmp_path / f"{k}.png")
    video = VideoPathHandler(fps=4).video_from_path(tmp_path, dtype=torch.uint8)
    clip = video.get_clip(0.5, 1.5)
    assert clip is not None and clip["video"].dtype == torch.uint8
    assert clip["video"][0, :, 0, 0].tolist() == [40, 60, 80, 100]
    rows = ["original_vido_id video_id frame_id path labels"]
    rows += [f'a 0 {k} {k}.png ""' for k in range(8)]
    (tmp_path / "frames.csv").write_text("\n".join(rows))
    dataset = Charades(
        str(tmp_path / "frames.csv"),
        make_clip_sampler("uniform", 0.2),
        video_path_prefix=str(tmp_path),
        dtype=torch.uint8,
    )
    assert next(iter(dataset))["video"].dtype == torch.uint8


@pytest.mark.parametrize("name", NAMES)
def test_wrong_options_are_refused_when_the_dataset_is_made(datasets: Datasets, name: str) -> None:
    with pytest.raises(ValueError, match=r"Expected `dtype` to be torch\.float32 or torch\.uint8"):
        datasets[name](dtype=torch.float64)
    with pytest.raises(ValueError, match="Expected `decoder` to be one of auto, pyav, torchcodec"):
        datasets[name](decoder="opencv")
    with pytest.raises(ValueError, match="Expected `device` to be 'cpu' for decoder='pyav'"):
        datasets[name](device="cuda")
    with pytest.raises(ValueError, match="Expected `time_limit_sec` to be > 0 seconds"):
        datasets[name](time_limit_sec=0)
    with pytest.raises(ValueError, match="Expected `memory_limit_bytes` to be > 0 bytes"):
        datasets[name](memory_limit_bytes=-1)


@pytest.mark.parametrize("name", NAMES)
def test_limits_hold_in_every_dataset(datasets: Datasets, name: str) -> None:
    """A clip has 30 frames of 64x48, a picture alone may take 60 bytes a pixel."""
    clip_bytes = 30 * 3 * 48 * 64 * 4
    enough = datasets[name](memory_limit_bytes=clip_bytes, decode_audio=False, time_limit_sec=99)
    assert len(list(enough)) == 4
    little = datasets[name](memory_limit_bytes=clip_bytes - 1, decode_audio=False)
    refused = "reading 30 frames of 64x48 pixels as float32 may take .* raise `memory_limit_bytes`"
    with contextlib.suppress(RuntimeError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert list(little) == []  # or the error that no video could be read
    assert [re.search(refused, clip.reason) is None for clip in little.skipped] == [False, False]


@pytest.mark.parametrize("name", ["ClipDataset", "LabeledVideoDataset"])
def test_large_frames_are_scaled_one_by_one(
    make_video: Callable[..., Path],
    datasets: Datasets,
    name: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The limit is too small for the clip in full size; samples are the same as without it."""
    for label in ("clapping", "waving"):
        make_video(
            "clip.mp4",
            folder=folder / label,
            num_frames=60,
            height=720,
            width=960,
            audio_rate=16000,
        )
    pipeline = torch.nn.Sequential(
        UniformTemporalSubsample(8),
        Div255(),
        Normalize((0.4, 0.5, 0.6), (0.2, 0.3, 0.4)),
        RandomShortSideScale(128, 160),
        RandomCrop(112),
    )
    transform = ApplyTransformToKey("video", pipeline)
    limit = 60 * 720 * 960  # for a picture of the decoder; 8 frames take 66 MB
    with torch.random.fork_rng():
        torch.manual_seed(0)
        small = list(datasets[name](transform=transform, memory_limit_bytes=limit))
        monkeypatch.setattr(
            "pytorchvideo.data._reading.clip_reader.frame_scale", lambda *_, **__: None
        )
        torch.manual_seed(0)
        whole = list(datasets[name](transform=transform))
    assert len(small) == len(whole) == 4
    for a, b in zip(small, whole, strict=True):
        assert a["video"].shape == (3, 8, 112, 112)
        torch.testing.assert_close(a["video"], b["video"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_torchcodec_gives_the_same_samples(datasets: Datasets, name: str) -> None:
    pytest.importorskip("torchcodec.decoders", exc_type=(ImportError, RuntimeError))
    transform = ApplyTransformToKey("video", UniformTemporalSubsample(4))
    ours = list(datasets[name](decoder="torchcodec", transform=transform))
    theirs = list(datasets[name](decoder="auto", transform=transform))
    assert len(ours) == len(theirs) == 4
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a["video"], b["video"]) and torch.equal(a["audio"], b["audio"])


def test_decoders_that_no_longer_exist_are_said_once(
    datasets: Datasets, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pytorchvideo.data._reading.readers._said", set())
    with caplog.at_level(logging.WARNING, "pytorchvideo"):
        for decoder in ("decord", "torchvision"):
            assert len(list(datasets["Kinetics"](decoder=decoder))) == 4
    said = [record.message for record in caplog.records]
    assert len(said) == 2 and "'decord'" in said[0] and "'torchvision'" in said[1]


@pytest.mark.parametrize("name", NAMES)
def test_indices_are_kept_for_every_video(
    datasets: Datasets, name: str, tmp_path: Path, folder: Path
) -> None:
    cache = tmp_path / "cache"
    kept = [len(list(datasets[name](index_cache=cache))) for _ in range(2)]
    assert kept == [4, 4]
    assert len(list(cache.iterdir())) == 2
    assert len(list(datasets[name](index_cache="beside"))) == 4
    beside = sorted(path.name for path in folder.glob("*/*.safetensors"))
    assert beside == ["clip.mp4.frames.safetensors"] * 2


def test_a_handler_of_ones_own_is_asked_for_what_is_unusual_only(folder: Path) -> None:
    path = str(folder / "waving" / "clip.mp4")
    asked: list[dict[str, Any]] = []

    class Handler:
        def video_from_path(self, filepath: str, **options: Any) -> EncodedVideo:
            asked.append(options)
            return EncodedVideo.from_path(filepath)

    for options in ({}, {"dtype": torch.uint8}):
        dataset = LabeledVideoDataset([(path, {})], make_clip_sampler("uniform", 2), **options)
        dataset.video_path_handler = Handler()
        assert len(list(dataset)) == 1
    usual = {"decode_audio": True, "decode_video": True, "decoder": "pyav"}
    assert asked == [usual, {**usual, "dtype": torch.uint8}]
