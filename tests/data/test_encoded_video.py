# SPDX-License-Identifier: Apache-2.0
"""Video files as users open them."""

import io
import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.encoded_video_pyav import EncodedVideoPyAV


@pytest.fixture
def path(make_video: Callable[..., Path]) -> Path:
    """Two seconds, 30 frames a second, with a tone of 16 kHz."""
    return make_video("two_seconds.mp4", num_frames=60, audio_rate=16000)


def test_clip_is_a_dict_of_float_tensors(path: Path) -> None:
    with EncodedVideo.from_path(path) as video:
        clip = video.get_clip(0, 1)
    assert list(clip) == ["video", "audio"]
    frames, sound = clip["video"], clip["audio"]
    assert frames is not None and sound is not None
    assert frames.shape == (3, 30, 48, 64)
    assert frames.dtype == torch.float32 and frames.is_contiguous()
    assert float(frames.min()) >= 0 and 250 < float(frames.max()) <= 255
    assert sound.shape == (16000,) and sound.dtype == torch.float32


def test_headers(path: Path) -> None:
    with EncodedVideo.from_path(str(path)) as video:
        assert video.name == "two_seconds.mp4"
        assert (
            2 <= video.duration < Fraction(22, 10)
        )  # the last packet of sound ends a little later
        assert video.rate == 30
        assert video.pix_fmt == "yuv420p"
        assert video.bit_rate is not None and video.bit_rate > 0
        assert video.audio_rate == 16000
        assert "two_seconds.mp4" in repr(video) and "64x48 h264" in repr(video)
    with EncodedVideo.from_path(path, decode_audio=False) as video:
        assert video.duration == 2


def test_consecutive_clips_share_no_frame_and_lose_none(path: Path) -> None:
    with EncodedVideo.from_path(path, decode_audio=False) as video:
        whole = video.get_clip(0, 2)["video"]
        edges = [0, 0.1, Fraction(1, 3), 0.5, 1.2345, 2]
        parts = [video.get_clip(a, b)["video"] for a, b in itertools.pairwise(edges)]
    assert whole is not None
    assert torch.equal(torch.cat([part for part in parts if part is not None], dim=1), whole)


def test_an_end_after_the_video_is_cut(path: Path) -> None:
    with EncodedVideo.from_path(path, decode_audio=False) as video:
        frames = video.get_clip(1.5, 100)["video"]
        everything = video.get_clip(0, float("inf"))["video"]
    assert frames is not None and frames.shape[1] == 15
    assert everything is not None and everything.shape[1] == 60


def test_frame_filter_picks_frames_of_the_clip(path: Path) -> None:
    asked = []

    def every_tenth(indices: list[int]) -> list[int]:
        asked.append(indices)
        return indices[::10]

    with EncodedVideo.from_path(path, decode_audio=False) as video:
        whole = video.get_clip(0.5, 1.5)["video"]
        picked = video.get_clip(0.5, 1.5, every_tenth)["video"]
    assert asked == [list(range(30))]
    assert whole is not None and picked is not None
    assert torch.equal(picked, whole[:, ::10])


def test_without_audio_and_without_video(path: Path) -> None:
    with EncodedVideo.from_path(path, decode_audio=False) as video:
        assert video.get_clip(0, 1)["audio"] is None
    with EncodedVideo.from_path(path, decode_video=False) as video:
        clip = video.get_clip(0, 1)
        assert clip["video"] is None
        assert clip["audio"] is not None
    silent = EncodedVideo.from_path(
        path.with_name(path.name), decode_video=False, decode_audio=False
    )
    assert silent.get_clip(0, 1) == {"video": None, "audio": None}
    silent.close()


def test_from_bytes_and_from_a_file_object_equal_from_path(path: Path) -> None:
    clips = []
    with path.open("rb") as file:
        readers = [
            EncodedVideo.from_path(path),
            EncodedVideo.from_bytes(path.read_bytes(), "b"),
            EncodedVideo(file),
            EncodedVideoPyAV(io.BytesIO(path.read_bytes()), "c", True, True),
        ]
        assert [reader.name for reader in readers] == [
            "two_seconds.mp4",
            "b",
            "two_seconds.mp4",
            "c",
        ]
        clips = [reader.get_clip(0.5, 1.5) for reader in readers]
        for reader in readers:
            reader.close()
    for clip in clips[1:]:
        for key in ("video", "audio"):
            assert torch.equal(clip[key], clips[0][key])  # type: ignore[arg-type]


def test_remote_files_come_through_fsspec(path: Path) -> None:
    with EncodedVideo.from_path(f"file://{path}", decode_audio=False) as video:
        frames = video.get_clip(0, 1)["video"]
        assert video.name == path.name
    assert frames is not None and frames.shape[1] == 30


def test_names_of_decoders(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("auto", "decord", "decord"):
        EncodedVideo.from_path(path, decoder=name).close()
    assert sum("decord" in record.message for record in caplog.records) <= 1
    with pytest.raises(ValueError, match="Expected `decoder` to be one of auto, pyav"):
        EncodedVideo.from_path(path, decoder="opencv")


def test_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no video file .*nowhere\.mp4"):
        EncodedVideo.from_path(tmp_path / "nowhere.mp4")
    with pytest.raises(IsADirectoryError, match=r"is a directory.*FrameVideo\.from_directory"):
        EncodedVideo.from_path(tmp_path)
    empty, text = tmp_path / "empty.mp4", tmp_path / "text.mp4"
    empty.touch()
    text.write_text("this is no video\n" * 50)
    with pytest.raises(VideoError, match=r"empty\.mp4 is empty \(0 bytes\)"):
        EncodedVideo.from_path(empty)
    with pytest.raises(RuntimeError, match=r"text\.mp4 is not a readable video: invalid data"):
        EncodedVideo.from_path(text)
    with pytest.raises(VideoError, match=r"some name is empty"):
        EncodedVideo.from_bytes(b"", "some name")


def test_a_truncated_file_is_named(path: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(path.read_bytes()[:2000])  # its index stands at the end
    with pytest.raises(VideoError, match=r"cut\.mp4 is not a readable video"):
        EncodedVideo.from_path(cut)


@pytest.mark.parametrize("window", [(2, 3), (99, 100), (1, 1), (1, 0.5), (-2, -1), (-1, 0)])
def test_a_window_without_frames_is_none(path: Path, window: tuple[float, float]) -> None:
    with EncodedVideo.from_path(path) as video:
        assert video.get_clip(*window) == {"video": None, "audio": None}
        with pytest.raises(ValueError, match="Expected `start_sec` to be seconds"):
            video.get_clip(float("nan"), 1)


@pytest.mark.parametrize("start", [-1e-6, -0.5, np.float32(-1e-7), torch.tensor(-1)])
def test_a_start_before_zero_is_cut(path: Path, start: Any) -> None:
    with EncodedVideo.from_path(path) as video:
        cut, whole = video.get_clip(start, 0.5), video.get_clip(0, 0.5)
    assert all(torch.equal(cut[key], whole[key]) for key in ("video", "audio"))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [float, np.float32, torch.tensor, lambda x: Fraction(float(x))])
def test_clips_of_n_frames_have_n_frames(path: Path, kind: Callable[[float], Any]) -> None:
    with EncodedVideo.from_path(path, decode_audio=False, dtype=torch.uint8) as video:
        found = [video.get_clip(0, kind(n / 30))["video"] for n in range(1, 60)]
    assert [clip.shape[1] for clip in found if clip is not None] == list(range(1, 60))


def test_memory_holds_the_wanted_frames_only(make_video: Callable[..., Path]) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (90, 240, 320, 3), np.uint8)
    path = make_video("memory.mp4", frames=pictures, options={"g": "30"})
    held = []
    with EncodedVideo.from_path(path, decode_audio=False) as video:
        video.get_clip(
            0,
            3,
            lambda indices: indices[:: len(indices) // 4][:4],
            resize=lambda height, width: held.append(1) or (height, width),  # type: ignore[func-returns-value]
        )
    assert len(held) == 4


def test_frames_scaled_while_they_are_converted(make_video: Callable[..., Path]) -> None:
    asked = []

    def halve(height: int, width: int) -> tuple[int, int]:
        asked.append((height, width))
        return height // 2, width // 2

    with EncodedVideo.from_path(make_video("large.mp4", height=96, width=130)) as video:
        whole = video.get_clip(0, 1)["video"]
        small = video.get_clip(0, 1, lambda indices: indices[::10], resize=halve)["video"]
        same = video.get_clip(0, 1, resize=lambda height, width: (height, width))["video"]
    assert whole is not None and small is not None and same is not None
    assert set(asked) == {(96, 130)}
    assert small.shape == (3, 3, 48, 65)
    assert torch.equal(same, whole)
    mean_of_four = torch.nn.functional.avg_pool2d(whole[:, ::10], 2)
    assert (small - mean_of_four).abs().mean() < 2


def test_uint8_on_request_is_the_same_picture(path: Path) -> None:
    with EncodedVideo.from_path(path, decode_audio=False) as video:
        floats = video.get_clip(0.5, 1)["video"]
    with EncodedVideo.from_path(path, decode_audio=False, dtype=torch.uint8) as video:
        bytes_ = video.get_clip(0.5, 1)["video"]
    assert floats is not None and bytes_ is not None
    assert bytes_.dtype == torch.uint8 and bytes_.is_contiguous()
    assert torch.equal(bytes_.float(), floats)
    with pytest.raises(ValueError, match=r"Expected `dtype` to be torch\.float32 or torch\.uint8"):
        EncodedVideo.from_path(path, dtype=torch.float16)


def test_a_clip_has_a_time_limit(path: Path) -> None:
    with (
        EncodedVideo.from_path(path, time_limit_sec=1e-9) as video,
        pytest.raises(VideoError, match=r"two_seconds\.mp4, clip .* the time limit of a clip"),
    ):
        video.get_clip(0, 1)
    with pytest.raises(ValueError, match="Expected `time_limit_sec` to be > 0 seconds"):
        EncodedVideo.from_path(path, time_limit_sec=0)


def test_single_frames_by_index_and_by_time(path: Path) -> None:
    with EncodedVideo.from_path(path, decode_audio=False, dtype=torch.uint8) as video:
        whole = video.get_clip(0, 2)["video"]
        assert whole is not None
        assert len(video) == 60
        frames = video.get_frames(indices=[59, 0, 30, 30, -2])
        assert frames.indices == [59, 0, 30, 30, 58]
        assert torch.equal(frames.data, whole[:, frames.indices])
        assert torch.equal(frames.pts_sec, torch.tensor(frames.indices).double() / 30)
        times = video.get_frames(timestamps_sec=[0, 0.51, 1.999, Fraction(1, 30)])
        assert times.indices == [0, 15, 59, 1]
        assert torch.equal(video[-1], whole[:, 59])
        assert bool(video) and sum(1 for _ in video) == 60


@pytest.mark.parametrize(
    "kind",
    [np.array, torch.tensor, tuple, lambda n: [np.int16(i) for i in n], lambda n: map(float, n)],
)
def test_indices_are_numbers_of_any_kind(path: Path, kind: Callable[[list[int]], Any]) -> None:
    with EncodedVideo.from_path(path, decode_audio=False, dtype=torch.uint8) as video:
        frames = video.get_frames(indices=kind([59, 0, -1]))
        assert frames.indices == [59, 0, 59]
        assert all(type(i) is int for i in frames.indices)
        assert torch.equal(video[np.int64(59)], frames.data[:, 0])
        assert torch.equal(video[torch.tensor(59)], frames.data[:, 0])
        times = video.get_frames(timestamps_sec=np.array([0.1, 1.5], np.float32))
        assert times.indices == [3, 45] and video.get_frames(indices=np.int64(7)).indices == [7]
        with pytest.raises(
            ValueError, match=r"Expected `indices` to be whole numbers, but got 2\.5"
        ):
            video.get_frames(indices=[2.5])


def test_frames_outside_of_the_video_are_refused(path: Path) -> None:
    with EncodedVideo.from_path(path, decode_audio=False) as video:
        with pytest.raises(IndexError, match=r"two_seconds\.mp4 has 60 frames.* no frame 60"):
            video[60]
        with pytest.raises(ValueError, match="beyond the end"):
            video.get_frames(timestamps_sec=[2.5])
        with pytest.raises(ValueError, match="exactly one of `indices` and `timestamps_sec`"):
            video.get_frames()
        with pytest.raises(ValueError, match="at least one frame"):
            video.get_frames(indices=[])


def test_the_time_of_a_frame_finds_it_again(path: Path) -> None:
    """0.3 as a float lies before 3/10, where the frame is."""
    with EncodedVideo.from_path(path, decode_audio=False) as video:
        for k in (9, 18, 36, 57):
            assert video.get_frames(timestamps_sec=[k / 30]).indices == [k]
