# SPDX-License-Identifier: Apache-2.0
"""torchcodec gives what PyAV gives, errors too; what it cannot do is said. See test_agreement.py for more files."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pytorchvideo.data._decode import VideoError, _torchcodec
from pytorchvideo.data.encoded_video import EncodedVideo

B_FRAMES = {"bf": "3", "g": "12", "keyint_min": "12", "sc_threshold": "0"}


def get_torchcodec() -> None:
    pytest.importorskip("torchcodec.decoders", exc_type=(ImportError, RuntimeError))


def outcome(path: Path, decoder: str, start: float, end: float, **options: Any) -> Any:
    """A clip, or the words of its error."""
    with EncodedVideo.from_path(path, decoder=decoder, **options) as video:
        try:
            return video.get_clip(start, end)
        except VideoError as error:
            return str(error)


def test_a_damaged_file_is_the_same_error(
    make_video: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    get_torchcodec()
    whole = make_video(
        "faststart.mp4",
        num_frames=120,
        options={"g": "10"},
        container_options={"movflags": "faststart"},
    )
    data = bytearray(whole.read_bytes())
    data[len(data) * 2 // 3 :] = bytes(len(data) - len(data) * 2 // 3)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(data)
    good = [outcome(bad, decoder, 0, 1)["video"] for decoder in ("pyav", "torchcodec")]
    assert torch.equal(good[0], good[1])
    errors = {outcome(bad, decoder, 3.5, 4) for decoder in ("pyav", "torchcodec")}
    assert len(errors) == 1 and "bad.mp4, clip [3.500, 4.000) s: the video is" in errors.pop()


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_damage_elsewhere_is_none_of_a_clip(
    make_video: Callable[..., Path], tmp_path: Path, place: str, ending: str
) -> None:
    """Neither an index that cannot be read to its end nor a bad first frame keeps the other clips from being read."""
    get_torchcodec()
    header_first = {"movflags": "faststart"} if ending == "mp4" else {}
    whole = make_video(
        f"groups.{ending}",
        num_frames=120,
        options={"g": "15", "sc_threshold": "0"},
        container_options=header_first,
    )
    data = bytearray(whole.read_bytes())
    middle = len(data) // 3 if place == "first" else len(data) * 3 // 4
    data[middle : middle + len(data) // 12] = b"\xff" * (len(data) // 12)
    bad = tmp_path / f"bad.{ending}"
    bad.write_bytes(data)
    for start in (0, 0.5, 1.5, 2, 2.5):
        ours, theirs = (
            outcome(bad, decoder, start, start + 0.4, dtype=torch.uint8)
            for decoder in ("torchcodec", "pyav")
        )
        assert isinstance(ours, str) == isinstance(theirs, str)
        if isinstance(ours, str):
            continue
        assert (ours["video"] is None) == (theirs["video"] is None)  # Matroska passes over damage
        if ours["video"] is not None:
            assert torch.equal(ours["video"], theirs["video"])


def test_a_closed_video_is_not_opened_again(make_video: Callable[..., Path]) -> None:
    get_torchcodec()
    video = EncodedVideo.from_path(
        make_video("base.mp4", num_frames=48, options=B_FRAMES), decoder="torchcodec"
    )
    video.get_clip(0, 1)
    video.close()
    video.close()
    assert video._decoder._video is None  # type: ignore[attr-defined]


@pytest.mark.parametrize("source", ["path", "bytes", "file"])
def test_clips_with_sound_in_any_order_are_those_of_pyav(
    make_video: Callable[..., Path], source: str
) -> None:
    """From one file object both libraries read in turns."""
    get_torchcodec()
    path = make_video("sound.mkv", num_frames=90, audio_rate=16000, options=B_FRAMES)

    def clips(decoder: str) -> list[dict[str, Any]]:
        options = {"decoder": decoder}
        with path.open("rb") as file:
            if source == "path":
                video = EncodedVideo.from_path(path, **options)
            elif source == "bytes":
                video = EncodedVideo.from_bytes(path.read_bytes(), **options)
            else:
                video = EncodedVideo(file, **options)
            with video:
                windows = [(2, 3), (0, 1), (0.5, 1.2), (1.2, 1.9), (2.9, 9)]
                return [video.get_clip(a, b, lambda i: i[::2]) for a, b in windows]

    for ours, theirs in zip(clips("torchcodec"), clips("pyav"), strict=True):
        assert ours["video"].is_contiguous() and ours["video"].dtype == torch.float32
        assert torch.equal(ours["video"], theirs["video"])
        assert torch.equal(ours["audio"], theirs["audio"])


def test_scaled_frames_are_those_of_pyav(make_video: Callable[..., Path]) -> None:
    get_torchcodec()
    path = make_video("base.mp4", num_frames=48, options=B_FRAMES)
    small = []
    for decoder in ("pyav", "torchcodec"):
        with EncodedVideo.from_path(path, decoder=decoder) as video:
            small.append(video.get_clip(0, 1, resize=lambda height, width: (24, 32))["video"])
    assert small[0] is not None and small[0].shape[2:] == (24, 32)
    assert torch.equal(small[0], small[1])


def test_another_ffmpeg_that_converts_differently_is_noticed(
    make_video: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    get_torchcodec()
    path = make_video("base.mp4", num_frames=48, options=B_FRAMES)
    real = _torchcodec.video_decoder()

    class Brighter:
        def __init__(self, *args: Any, **options: Any) -> None:
            self.video = real(*args, **options)

        def get_frames_at(self, indices: list[int]) -> Any:
            batch = self.video.get_frames_at(indices)
            batch.data.clamp_(max=254).add_(1)
            return batch

    monkeypatch.setattr(_torchcodec, "_agrees", {})
    monkeypatch.setattr(_torchcodec, "video_decoder", lambda: Brighter)
    with caplog.at_level(logging.INFO, "pytorchvideo"):
        clip = outcome(path, "torchcodec", 0, 1, dtype=torch.uint8)["video"]
    assert torch.equal(clip, outcome(path, "pyav", 0, 1, dtype=torch.uint8)["video"])
    assert "base.mp4 is read by PyAV: pictures differ" in caplog.text


def test_without_torchcodec_the_error_names_the_extra(
    make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video("base.mp4", num_frames=48, options=B_FRAMES)
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", None)
    with pytest.raises(ImportError, match=r"pip install 'pytorchvideo\[torchcodec\]'"):
        EncodedVideo.from_path(path, decoder="torchcodec")
    EncodedVideo.from_path(path, decoder="auto").close()


def test_devices_that_cannot_decode_are_refused(
    make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video("base.mp4", num_frames=48, options=B_FRAMES)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("pytorchvideo.data._reading.readers.video_decoder", lambda: None)
    with pytest.raises(RuntimeError, match=r"device='cuda' needs an NVIDIA GPU.*none here"):
        EncodedVideo.from_path(path, decoder="torchcodec", device="cuda")
    with pytest.raises(ValueError, match=r"`device` to be 'cpu' for decoder='pyav'.*'cuda:1'"):
        EncodedVideo.from_path(path, device="cuda:1")
    with pytest.raises(ValueError, match="`device` to be 'cpu' or 'cuda', but got 'meta'"):
        EncodedVideo.from_path(path, decoder="torchcodec", device="meta")


def test_a_device_reaches_torchcodec_and_frames_stay_there(
    make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a GPU that is not there: its frames are those of the "meta" device, which have no pixels."""
    path = make_video("base.mp4", num_frames=48, options=B_FRAMES)
    asked: list[tuple[Any, ...]] = []

    class OnDevice:
        def __init__(self, file: str, *, device: torch.device, **_: Any) -> None:
            asked.append((file, device))

        def get_frames_at(self, indices: list[int]) -> Any:
            class Batch:
                data = torch.empty(len(indices), 3, 48, 64, dtype=torch.uint8, device="meta")
                pts_seconds = torch.tensor(indices, dtype=torch.float64) / 30

            return Batch

    meta = torch.device("meta")
    monkeypatch.setattr(_torchcodec, "video_decoder", lambda: OnDevice)
    monkeypatch.setattr("pytorchvideo.data._reading.readers.video_decoder", lambda: OnDevice)
    monkeypatch.setattr(
        "pytorchvideo.data._reading.readers.check_device", lambda device, decoder: meta
    )
    with EncodedVideo.from_path(path, decoder="torchcodec", device="cuda") as video:
        clip = video.get_clip(0, 1)["video"]
        scaled = video.get_clip(0, 1, resize=lambda height, width: (24, 32))["video"]
    assert asked == [(f"file:{path}", meta)]
    assert clip is not None and clip.device == meta
    assert clip.shape == (3, 30, 48, 64) and clip.dtype == torch.float32
    assert scaled is not None and scaled.device == meta  # PyAV scales, and what it gives is moved


def test_frames_decoded_on_a_gpu_are_close_to_those_of_the_cpu(
    make_video: Callable[..., Path],
) -> None:
    get_torchcodec()
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    path = make_video("for_gpu.mp4", num_frames=30, height=240, width=320)
    with EncodedVideo.from_path(path, decoder="torchcodec", device="cuda") as video:
        clip = video.get_clip(0, 1)["video"]
    assert clip is not None and clip.device.type == "cuda"
    on_cpu = outcome(path, "pyav", 0, 1)["video"]
    assert (clip.cpu() - on_cpu).abs().mean() < 3


def test_a_damaged_real_clip_is_the_same_error(shared_data: Path) -> None:
    get_torchcodec()
    path = shared_data / "clips" / "decord_corrupted.mp4"
    errors = {outcome(path, decoder, 0, 5) for decoder in ("pyav", "torchcodec")}
    assert len(errors) == 1
    assert "corrupted.mp4, clip [0.000, 5.000) s: the video is damaged" in errors.pop()
