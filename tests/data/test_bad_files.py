# SPDX-License-Identifier: Apache-2.0
"""A data set with a third of bad files trains to the end, says what it left out, and loses nothing on the way."""

import gc
import os
import random
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchvision.transforms import Compose

from pytorchvideo.data import ClipDataset, LabeledVideoDataset, LabeledVideoPaths, make_clip_sampler
from pytorchvideo.data._decode import VideoError, _limits
from pytorchvideo.data._decode._pyav.whole import read_whole
from pytorchvideo.data._reading.skipped import SkipLog, SkippedClip
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.transforms import ApplyTransformToKey, Div255, UniformTemporalSubsample

pytestmark = pytest.mark.filterwarnings(
    "ignore:Skipping:UserWarning", "ignore:This DataLoader will create:UserWarning"
)

SECONDS = 0.8
TRANSFORM = ApplyTransformToKey("video", Compose([UniformTemporalSubsample(4), Div255()]))


def write_without_key_frames(whole: Path, path: Path) -> None:
    with av.open(str(whole)) as source, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None and not packet.is_keyframe:
                packet.stream = stream
                container.mux(packet)


def write_sound_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for start in range(0, 16000, 1024):
            samples = np.zeros((1, 1024), np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_bad_files(folder: Path, index_first: Path, index_last: Path) -> list[str]:
    """One file of each kind of damage, 20 of them cut off somewhere; returns their names."""
    folder.mkdir()
    draw = random.Random(3)
    for i in range(20):
        data = (index_first if i % 2 else index_last).read_bytes()
        (folder / f"cut{i:02d}.mp4").write_bytes(data[: draw.randrange(len(data) - 1)])
    for i in range(5):
        flipped = bytearray(index_first.read_bytes())
        for place in draw.sample(range(len(flipped)), len(flipped) // 20):
            flipped[place] ^= draw.randrange(1, 256)
        (folder / f"flipped{i}.mp4").write_bytes(flipped)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.avi").write_text("This is a text, which is no video.\n" * 100)
    (folder / "page.webm").write_text("<html><body>404 Not Found</body></html>")
    write_sound_only(folder / "sound.mp4")
    write_without_key_frames(index_first, folder / "no key frame.mkv")
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def bad(
    make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str]]:
    options: dict[str, Any] = {"num_frames": 24, "options": {"g": "8"}}
    first = make_video("first.mp4", container_options={"movflags": "faststart"}, **options)
    last = make_video("last.mp4", **options)
    folder = tmp_path_factory.mktemp("bad") / "run"
    return folder, write_bad_files(folder, first, last)


@pytest.fixture(scope="module")
def videos(
    bad: tuple[Path, list[str]], make_video: Callable[..., Path]
) -> tuple[LabeledVideoPaths, set[str]]:
    """30 bad files among 100, in two classes; and the paths of the bad ones."""
    folder, names = bad
    paths = [str(folder / name) for name in names]
    good = make_video("good.mp4", num_frames=24)
    (folder.parent / "good").mkdir()
    for i in range(70):
        os.link(good, folder.parent / "good" / f"{i}.mp4")
    everything = [*paths, *map(str, sorted((folder.parent / "good").iterdir()))]
    random.Random(0).shuffle(everything)
    return LabeledVideoPaths([(p, i % 2) for i, p in enumerate(everything)]), set(paths)


def train(loader: Any) -> int:
    """One epoch of a small model; returns the number of clips."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv3d(3, 4, 3, stride=(1, 8, 8)),
        torch.nn.AdaptiveAvgPool3d(1),
        torch.nn.Flatten(),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    count = 0
    for batch in loader:
        loss = torch.nn.functional.cross_entropy(model(batch["video"]), batch["label"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        count += len(batch["label"])
    return count


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", [LabeledVideoDataset, ClipDataset])
def test_training_ends_and_every_bad_file_is_listed(
    videos: tuple[LabeledVideoPaths, set[str]], kind: Any, workers: int
) -> None:
    listed, bad_paths = videos
    dataset = kind(
        listed, make_clip_sampler("uniform", 0.2), transform=TRANSFORM, decode_audio=False
    )
    clips = train(DataLoader(dataset, batch_size=8, num_workers=workers))
    skipped = {clip.path: clip for clip in dataset.skipped}
    assert set(skipped) == bad_paths
    # What stands before a cut is good: four clips of each sound file, and some of the others.
    assert 4 * 70 <= clips < 4 * 100
    for path, clip in skipped.items():
        assert clip.reason.endswith(".") and "Error" not in clip.reason
        if clip.clip_start_sec is not None:
            assert clip.clip_end_sec == pytest.approx(clip.clip_start_sec + 0.2)
            assert Path(path).name in clip.reason
    unopened = [Path(p).name for p, clip in skipped.items() if clip.clip_start_sec is None]
    assert {"empty.mp4", "text.avi", "page.webm", "sound.mp4"} <= set(unopened)
    assert any(clip.clip_start_sec is not None for clip in skipped.values())


@pytest.mark.serial
@pytest.mark.parametrize("kind", [LabeledVideoDataset, ClipDataset])
def test_bad_files_only_are_one_sentence(bad: tuple[Path, list[str]], kind: Any) -> None:
    folder, _ = bad
    paths = [(str(folder / name), {}) for name in ("empty.mp4", "text.avi", "sound.mp4")]
    dataset = kind(paths, make_clip_sampler("random", 0.2))
    begun = time.monotonic()
    with pytest.raises(
        RuntimeError, match=r"None of the 3 videos could be read\. The first: "
    ) as e:
        list(dataset)
    assert time.monotonic() - begun < 5
    assert "\n" not in str(e.value)
    assert len(dataset.skipped) == 3


@pytest.mark.parametrize("kind", [LabeledVideoDataset, ClipDataset])
def test_an_epoch_that_is_to_raise_names_the_file(
    videos: tuple[LabeledVideoPaths, set[str]], kind: Any
) -> None:
    listed, bad_paths = videos
    dataset = kind(listed, make_clip_sampler("uniform", 0.2), on_error="raise")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what is raised is not warned of
        with pytest.raises(VideoError) as raised:
            list(dataset)
    assert any(Path(path).name in str(raised.value) for path in bad_paths)


def test_a_video_that_wastes_time_is_skipped(
    make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = make_video("slow.mp4", num_frames=240)
    quick = make_video("quick.mp4", num_frames=3)

    class Clock:
        """Time that passes while packets are read."""

        now = 0.0

        def monotonic(self) -> float:
            self.now += 1.0
            return self.now

    monkeypatch.setattr(_limits, "time", Clock())

    class Handler:
        def video_from_path(self, path: str, **options: Any) -> EncodedVideo:
            return EncodedVideo.from_path(path, time_limit_sec=100, **options)

    dataset = LabeledVideoDataset(
        [(str(slow), {}), (str(quick), {})],
        make_clip_sampler("constant_clips_per_video", 9, 1),
        torch.utils.data.SequentialSampler,
    )
    dataset.video_path_handler = Handler()
    assert [sample["video_name"] for sample in dataset] == ["quick.mp4"]
    (clip,) = dataset.skipped
    assert "slow.mp4, clip [0.000, 9.000) s: not read after 100 s" in clip.reason


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts as Linux does")
@pytest.mark.parametrize("kind", [LabeledVideoDataset, ClipDataset])
def test_neither_memory_nor_open_files_grow(
    kind: Any, make_video: Callable[..., Path], bad: tuple[Path, list[str]]
) -> None:
    good = str(make_video("sound.mp4", num_frames=12, height=32, width=32, audio_rate=16000))
    folder, names = bad
    # every third is bad, and every bad one is another path
    paths = [good if i % 3 else str(folder / names[i // 3 % len(names)]) for i in range(500)]
    dataset = kind(
        [(path, {}) for path in paths], make_clip_sampler("constant_clips_per_video", 0.1, 6)
    )
    clips = memory = files = 0
    samples: Any = iter(dataset)
    for sample in samples:
        assert sample["video"].shape[0] == 3
        clips += 1
        if clips == 1000:
            memory, files = resident_bytes(), open_files()
    assert clips >= 2000
    assert open_files() <= files + 1
    # Of the clips since then, 36 kB each, and of what read them, nothing is left but the slack of the allocator.
    assert resident_bytes() - memory < 16 << 20


def test_times_that_a_damaged_number_tells_are_refused(
    make_video: Callable[..., Path], tmp_path: Path
) -> None:
    data = bytearray(make_video("whole.avi", codec="mpeg4").read_bytes())
    scale = data.index(b"strh") + 28  # AVISTREAMHEADER.dwScale, ticks of a frame
    data[scale : scale + 4] = (10**6).to_bytes(4, "little")
    (tmp_path / "slow.avi").write_bytes(data)
    dataset = ClipDataset([(str(tmp_path / "slow.avi"), {})], make_clip_sampler("uniform", 1))
    with pytest.raises(RuntimeError, match=r"slow\.avi should last \d+ s, but has only \d+ bytes"):
        len(dataset)


def test_a_file_cut_between_two_packets_gives_no_short_clip(
    make_video: Callable[..., Path], tmp_path: Path
) -> None:
    whole = make_video(
        "first.mp4",
        num_frames=24,
        options={"g": "8"},
        container_options={"movflags": "faststart"},
    )
    with av.open(str(whole)) as container:
        ends = sorted(p.pos + p.size for p in container.demux(video=0) if p.size)
    cut = tmp_path / "cut.mp4"
    for lost in (1, 2, 5):
        cut.write_bytes(whole.read_bytes()[: ends[-1 - lost]])
        with EncodedVideo.from_path(cut) as video:
            assert video.get_clip(0, 0.2)["video"].shape[1] == 6
            with pytest.raises(VideoError, match=r"cut\.mp4, clip .*: the video is cut off before"):
                video.get_clip(0.6, 0.8)
        with pytest.raises(VideoError, match=r"cut\.mp4 is cut off: its pictures end at 0\.\d+ s"):
            read_whole(cut)


def test_sound_of_many_channels_is_read(tmp_path: Path) -> None:
    levels = np.arange(16, dtype=np.int16) * 1000
    with av.open(str(tmp_path / "many.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16000, layout="hexadecagonal")
        samples = np.tile(levels, 1600)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="hexadecagonal")
        frame.sample_rate, frame.pts = 16000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with EncodedVideo.from_path(tmp_path / "many.mkv", decode_video=False) as video:
        sound = video.get_clip(0, 0.1)["audio"]
    torch.testing.assert_close(sound, torch.full((1600,), levels.mean().item() / 2**15))


def test_threads_share_one_record() -> None:
    log = SkipLog()

    def add(thread: int) -> None:
        for i in range(50):
            log.add(SkippedClip(f"{thread} {i}.mp4", "it is bad."), quietly=True)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    assert len(log.clips()) == 8 * 50
