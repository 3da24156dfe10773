# SPDX-License-Identifier: Apache-2.0
"""Clips of many videos give the rows that each gives alone, whoever reads them and however they are put together."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.windows import ClipWindows, clip_windows
from pytorchvideo.inference import clips as engine
from pytorchvideo.inference.clips import (
    Clip,
    CropViews,
    End,
    read_clips,
    rows_of_videos,
    workers_for,
)
from pytorchvideo.transforms.clip_recipe import ClipRecipe
from pytorchvideo.transforms.functional import uniform_crop

# clips of half a second; pixels in 0..1 reach the model unchanged
RECIPE = ClipRecipe(
    num_frames=4,
    sampling_rate=4,
    frames_per_second=32,
    side_size=32,
    crop_size=32,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
)
REASONS = {
    "empty.mp4": "empty.mp4 is empty",
    "text.mp4": "text.mp4 is not a readable video",
    "nothing.mp4": "nothing.mp4",
}


@pytest.fixture(scope="module")
def files(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five videos of other lengths and colours, one of them shorter than a clip, and three that are none."""
    found = []
    for number, frames in enumerate((32, 5, 60, 17, 40)):
        colours = np.random.default_rng(number).integers(0, 255, (frames, 1, 1, 3))
        pictures = np.broadcast_to(colours, (frames, 48, 80, 3)).astype(np.uint8).copy()
        pictures[:, :, 60:] = 255 - pictures[:, :, 60:]
        found.append(make_video(f"clip{number}.mp4", frames=pictures, fps=16))
    folder = tmp_path_factory.mktemp("bad")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("no video")
    return [*found, *(folder / name for name in REASONS)]


def means(clips: Sequence[Sequence[Any]]) -> Tensor:
    """(clips, 3): the mean colour over the views of each clip."""
    return torch.stack([torch.stack(list(views)).mean(dim=(0, 2, 3, 4)) for views in clips])


def by_hand(path: Path, clips: int, views: int) -> list[tuple[tuple[float, float], Tensor]]:
    """Window and row of each clip of one video, with every frame decoded."""
    rows = []
    with EncodedVideo.from_path(path) as video:
        for window in clip_windows(float(video.duration), RECIPE.clip_duration_sec, clips):
            clip = video.get_clip(*window)["video"]
            *steps, crop = RECIPE.transforms().transforms
            for step in steps:
                clip = step(clip)
            positions = range(views) if views == 3 else ()
            crops = [uniform_crop(clip, 32, place) for place in positions] or [crop(clip)]
            rows.append((window, torch.stack(crops).mean(dim=(0, 2, 3, 4))))
    return rows


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    order=st.lists(st.integers(0, 7), max_size=7),
    workers=st.sampled_from([0, 0, 1, 2]),
    batch_size=st.integers(1, 7),
    clips=st.integers(1, 5),
    views=st.sampled_from([1, 3]),
)
def test_rows_are_those_of_one_video_after_the_other(
    files: list[Path], order: list[int], workers: int, batch_size: int, clips: int, views: int
) -> None:
    videos = [files[number] for number in order]
    sizes = []

    def scored(batch: Sequence[Sequence[Any]]) -> Tensor:
        sizes.append(len(batch))
        return means(batch)

    items = read_clips(
        videos,
        ClipWindows(RECIPE.clip_duration_sec, clips),
        RECIPE,
        views=views,
        workers=workers,
        batch_size=batch_size,
    )
    found = list(rows_of_videos(items, scored, batch_size))
    assert [video.video for video in found] == list(range(len(videos)))
    for path, video in zip(videos, found, strict=True):
        if path.name in REASONS:
            assert REASONS[path.name] in str(video.error)
            assert isinstance(video.error, (VideoError, OSError))
            assert (video.windows, video.rows) == ([], [])
            continue
        assert video.error is None
        wanted = by_hand(path, clips, views)
        assert video.windows == [window for window, _ in wanted]
        torch.testing.assert_close(torch.stack(video.rows), torch.stack([row for _, row in wanted]))
    # batches span videos: all but the last are full
    assert all(size == batch_size for size in sizes[:-1])


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_workers_gives_videos_in_order(seed: int) -> None:
    """Against a plain loop over the videos; workers may go any way."""
    draw = random.Random(seed)
    counts = [draw.randrange(6) for _ in range(9)]
    bad = {number for number in range(9) if draw.random() < 0.3}
    videos: list[list[Clip | End]] = []
    for number, count in enumerate(counts):
        parts: list[Clip | End] = [
            Clip(number, (at, at + 1.0), [torch.tensor([number, at])]) for at in range(count)
        ]
        videos.append([*parts, End(number, VideoError(f"bad {number}") if number in bad else None)])
    items = []
    while any(videos):
        items.append(draw.choice([video for video in videos if video]).pop(0))
    found = list(
        rows_of_videos(
            items,
            lambda clips: torch.stack([clip[0] for clip in clips]),
            batch_size=draw.randrange(1, 6),
        )
    )
    assert [video.video for video in found] == list(range(9))
    for video, count in zip(found, counts, strict=True):
        assert (str(video.error) == f"bad {video.video}") == (video.video in bad)
        expected = [] if video.video in bad else [[video.video, at] for at in range(count)]
        assert [row.tolist() for row in video.rows] == expected


def test_few_clips_are_read_ahead(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a clip is read when it is asked for, whatever comes after it."""
    read: list[tuple[float, float]] = []
    get_clip = EncodedVideo.get_clip

    def counted(self: EncodedVideo, *window: Any, **reading: Any) -> Any:
        read.append(window)
        return get_clip(self, *window, **reading)

    monkeypatch.setattr(EncodedVideo, "get_clip", counted)
    items = read_clips(files[:1] * 1000, ClipWindows(RECIPE.clip_duration_sec, 4), RECIPE)
    for number in range(1, 9):
        while isinstance(next(items), End):
            pass
        assert len(read) == number


def test_every_window_has_a_clip(files: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    content = bytearray(files[2].read_bytes())
    start = content.index(b"mdat") + len(content) // 4
    content[start : start + 200] = b"\xff" * 200
    path.write_bytes(content)
    rule = ClipWindows(0.25)
    found = list(read_clips([path], rule, RECIPE, every_window=True))
    assert found[-1] == End(0)
    assert len(found) == 16
    errors = [item.error for item in found if item.error is not None]
    assert 0 < len(errors) < 15
    assert all("cut.mp4" in str(error) for error in errors)
    (only,) = (item for item in read_clips([path], rule, RECIPE) if isinstance(item, End))
    assert str(only.error) == str(errors[0])


def test_views_share_what_they_have_in_common() -> None:
    frames = torch.rand(3, 6, 40, 90) * 255
    views = CropViews(RECIPE, 3)
    for made, transform in zip(views(0, 0, frames), views.transforms(), strict=True):
        torch.testing.assert_close(made, transform(frames), rtol=0, atol=2e-6)
    whole = ClipRecipe(num_frames=4, sampling_rate=1, crop_size=None)
    with pytest.raises(ValueError, match="`views` to be 1 for pictures that are left whole"):
        CropViews(whole, 3)


def test_workers_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    assert [workers_for(count, RECIPE) for count in (0, 1, 2, 100)] == [0, 0, 2, 3]
    monkeypatch.setattr(engine.os, "sched_getaffinity", lambda _: set(range(2)), raising=False)
    assert workers_for(100, RECIPE) == 0
    artefacts = {}
    for runtime in ("openvino", "onnx"):
        artefacts[runtime] = torch.nn.Module()
        artefacts[runtime].info = SimpleNamespace(runtime=runtime)
    assert workers_for(100, RECIPE, model=artefacts["openvino"]) == 2
    assert workers_for(1, RECIPE, model=artefacts["openvino"]) == 0
    assert workers_for(100, RECIPE, model=artefacts["onnx"]) == 0
    monkeypatch.setattr(engine.os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    assert workers_for(100, RECIPE, model=artefacts["openvino"]) == 3
    if Path("/dev/shm").is_dir():
        # room for two workers with four clips each, twice
        room = 2 * 8 * 4 * 3 * 4 * 32 * 32
        monkeypatch.setattr(engine.shutil, "disk_usage", lambda _: SimpleNamespace(free=room))
        assert workers_for(100, RECIPE) == 2
        assert workers_for(100, RECIPE, views=3) == 0


def test_the_model_has_the_threads_that_workers_leave(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as clips are read, also where a caller breaks off."""
    threads = [4]
    here, really_set = os.getpid(), torch.set_num_threads

    def set_threads(number: int) -> None:
        threads.append(number)
        if os.getpid() != here:  # a worker with the threads of its parent waits for them for ever
            really_set(number)

    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", set_threads)
    for workers, left in ((1, 3), (2, 2)):
        found = read_clips(files[:2], ClipWindows(0.5, 2), RECIPE, workers=workers)
        assert isinstance(next(found), Clip)
        assert threads[-1] == left
        found.close()  # type: ignore[attr-defined]
        assert threads[-1] == 4
    next(iter(read_clips(files[:2], ClipWindows(0.5, 2), RECIPE)))
    assert threads[-1] == 4
    with engine._threads_beside(9):
        assert threads[-1] == 1


_PROGRAM = """
import signal, sys, time
from pytorchvideo.data.windows import ClipWindows
from pytorchvideo.inference.clips import read_clips
from pytorchvideo.transforms.clip_recipe import ClipRecipe

# a shell has its background jobs ignore Ctrl+C, which is inherited
signal.signal(signal.SIGINT, signal.default_int_handler)
recipe = ClipRecipe(num_frames=4, sampling_rate=4, frames_per_second=32, side_size=32, crop_size=32)
for item in read_clips(sys.argv[1:] * 999, ClipWindows(0.5, 4), recipe, workers=2):
    print("read", flush=True)
    time.sleep(0.2)
"""


def _group(leader: int) -> list[int]:
    """The processes of a group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            rest = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if rest[0] != "Z" and int(rest[2]) == leader:
            found.append(int(folder.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_program(files: list[Path], number: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *map(str, files[:2])],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "read\n"
        assert len(_group(process.pid)) >= 3
        began = time.monotonic()
        while process.poll() is None:  # Python drops an interrupt that finds it in a `__del__`
            assert time.monotonic() < began + 60
            os.kill(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
        deadline = time.monotonic() + 30
        while left := _group(process.pid):
            assert time.monotonic() < deadline, left
            time.sleep(0.1)
