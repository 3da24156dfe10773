# SPDX-License-Identifier: Apache-2.0
"""The back ends agree with each other and with a plain decode in display order; what torchcodec cannot do is said."""

import itertools
import logging
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
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


def copied(source: Path, path: Path, *, shift_sec: float = 0, times: Any = None) -> Path:
    """The packets of a video in another container, later by a shift; ``times`` maps packet number and pts to a pts."""
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = container.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for number, packet in enumerate(container.demux(stream)):
            if not packet.size:
                continue
            shift = round(shift_sec / packet.time_base)
            if times is not None:
                packet.pts = times(number, packet.pts)
                packet.dts = min(packet.dts, packet.pts)
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            packet.stream = copy
            out.mux(packet)
    return path


def ten_bits(source: Path, path: Path) -> Path:
    """The frames of a video in H.264 with ten bits a sample."""
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"g": "12"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        for frame in container.decode(video=0):
            out.mux(stream.encode(frame.reformat(format="yuv420p10le")))
        out.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def odd(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Name -> a video of 48 frames whose container, codec or size is out of the ordinary."""
    folder = tmp_path_factory.mktemp("odd")
    plain = make_video("base.mp4", num_frames=48, options=B_FRAMES)
    no_b = make_video("no_b.mp4", num_frames=48, options={"bf": "0", "g": "12"})

    def uneven(number: int, pts: int) -> int:
        return (
            pts + (number * number % 5) * 60
        )  # every frame keeps its place, and none its distance

    makers: dict[str, Callable[[], Path]] = {
        "b_frames.mp4": lambda: plain,
        "edit_list.mp4": lambda: copied(plain, folder / "edit_list.mp4", shift_sec=-0.7),
        "late.mp4": lambda: copied(plain, folder / "late.mp4", shift_sec=3.5),
        "late.mkv": lambda: copied(plain, folder / "late.mkv", shift_sec=3.5),
        "late.ts": lambda: copied(plain, folder / "late.ts", shift_sec=3.5),
        "variable_rate.mp4": lambda: copied(no_b, folder / "variable_rate.mp4", times=uneven),
        "odd_size.webm": lambda: make_video(
            "odd_size.webm", num_frames=48, height=49, width=63, codec="libvpx-vp9"
        ),
        "odd_width.webm": lambda: make_video(
            "odd_width.webm", num_frames=48, width=63, codec="libvpx-vp9"
        ),
        "ten_bits.mp4": lambda: ten_bits(plain, folder / "ten_bits.mp4"),
        "b_frames.avi": lambda: make_video(
            "b_frames.avi", num_frames=48, codec="mpeg4", options={"bf": "2", "g": "12"}
        ),
        "mpeg2.mpg": lambda: make_video(
            "mpeg2.mpg", num_frames=48, codec="mpeg2video", options={"bf": "2"}
        ),
        "vp9.webm": lambda: make_video("vp9.webm", num_frames=48, codec="libvpx-vp9"),
        "hevc.mkv": lambda: make_video(
            "hevc.mkv", num_frames=48, codec="libx265", options={"x265-params": "log-level=none"}
        ),
        "no_duration.mkv": lambda: make_video(
            "no_duration.mkv", num_frames=48, container_options={"live": "1"}
        ),
        "fragments.mp4": lambda: make_video(
            "fragments.mp4",
            num_frames=48,
            audio_rate=16000,
            container_options={"movflags": "frag_keyframe+empty_moov"},
        ),
    }
    return makers


ODD = [
    "b_frames.avi",
    "b_frames.mp4",
    "edit_list.mp4",
    "fragments.mp4",
    "hevc.mkv",
    "late.mkv",
    "late.mp4",
    "late.ts",
    "mpeg2.mpg",
    "no_duration.mkv",
    "odd_size.webm",
    "odd_width.webm",
    "ten_bits.mp4",
    "variable_rate.mp4",
    "vp9.webm",
]
READ_BY_TORCHCODEC = {
    "b_frames.mp4",
    "edit_list.mp4",
    "fragments.mp4",
    "hevc.mkv",
    "late.mkv",
    "late.mp4",
    "variable_rate.mp4",
    "vp9.webm",
}


def plain_decode(path: Path) -> Iterator[tuple[np.ndarray, int]]:
    """Upright frames in the order in which FFmpeg shows them, with their own times in ticks."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams.video if not s.disposition & 1024)
        for frame in container.decode(stream):
            picture = frame.to_ndarray(format="rgb24")
            yield np.rot90(picture, round(frame.rotation / 90) % 4), frame.pts


def check_agreement(
    path: Path, decoder: str, shown: list[tuple[np.ndarray, int]], whole: bool
) -> None:
    """Compares clips, sparse clips and single frames with a plain decode, the whole or the beginning of one."""
    pictures = np.stack([picture for picture, _ in shown])
    with EncodedVideo.from_path(
        path, decoder=decoder, decode_audio=False, dtype=torch.uint8
    ) as video:
        index = video.frame_index
        assert index is not None
        # the times of the last ones of a beginning may stand before some that were not read
        count = len(shown) if whole else len(shown) * 2 // 3
        ticks = sorted(pts for _, pts in shown)[:count]
        assert index.pts.tolist()[:count] == ticks
        times = [(t - ticks[0]) * index.time_base for t in ticks]
        assert [index.time(i) for i in range(count)] == times
        middle, end = count // 3, times[-1] + Fraction(1, 10**9)
        for first, step in ((middle, 1), (0, max(1, count // 5)), (middle, 3)):
            clip = video.get_clip(times[first], end, lambda i, s=step: i[::s])["video"]
            assert clip is not None
            wanted = pictures[first:count:step]
            assert np.array_equal(clip.permute(1, 2, 3, 0).numpy(), wanted), (first, step)
        places = [count - 1, 0, middle, middle]
        single = video.get_frames(indices=places)
        assert np.array_equal(single.data.permute(1, 2, 3, 0).numpy(), pictures[places])
        assert single.pts_sec.tolist() == [float(times[i]) for i in places]
        if whole:
            assert len(video) == len(shown)


@pytest.mark.parametrize("decoder", ["pyav", "torchcodec"])
@pytest.mark.parametrize("name", ODD)
def test_odd_containers_equal_a_plain_decode(
    odd: Any, name: str, decoder: str, caplog: pytest.LogCaptureFixture
) -> None:
    if decoder == "torchcodec":
        get_torchcodec()
    path = odd[name]()
    with caplog.at_level(logging.INFO, "pytorchvideo"):
        check_agreement(path, decoder, list(plain_decode(path)), whole=True)
    if decoder == "torchcodec":
        assert ("is read by PyAV" in caplog.text) == (name not in READ_BY_TORCHCODEC)
        assert caplog.text.count("is read by PyAV") <= 1


@pytest.mark.slow
def test_real_clips_equal_a_plain_decode(shared_data: Path) -> None:
    """Codecs, containers and rates as they come; every frame of files whose times must be put right."""
    get_torchcodec()
    seen = 0
    for path in sorted((shared_data / "clips").iterdir()):
        if path.name == "decord_corrupted.mp4":
            errors = {outcome(path, decoder, 0, 5) for decoder in ("pyav", "torchcodec")}
            assert len(errors) == 1
            assert "corrupted.mp4, clip [0.000, 5.000) s: the video is damaged" in errors.pop()
            continue
        with EncodedVideo.from_path(path, decode_audio=False) as video:
            assert video.frame_index is not None
            whole, trusted = len(video) <= 30, video.frame_index.is_trusted
        shown = list(itertools.islice(plain_decode(path), 30 if trusted else None))
        check_agreement(path, "pyav", shown, whole or not trusted)
        if trusted:
            check_agreement(path, "torchcodec", shown, whole)
        else:  # torchcodec hands them over
            check_agreement(path, "torchcodec", shown[:30], False)
        seen += 1
    assert seen >= 40


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
        if not isinstance(ours, str):
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
    monkeypatch.setattr("pytorchvideo.data.encoded_video.video_decoder", lambda: None)
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
    monkeypatch.setattr("pytorchvideo.data.encoded_video.video_decoder", lambda: OnDevice)
    monkeypatch.setattr(
        "pytorchvideo.data.encoded_video.check_device", lambda device, decoder: meta
    )
    with EncodedVideo.from_path(path, decoder="torchcodec", device="cuda") as video:
        clip = video.get_clip(0, 1)["video"]
        scaled = video.get_clip(0, 1, resize=lambda height, width: (24, 32))["video"]
    assert asked == [(str(path), meta)]
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
