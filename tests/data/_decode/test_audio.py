# SPDX-License-Identifier: Apache-2.0
"""Sound of every layout and sample format."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch

from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._decode._pyav import PyAVDecoder
from pytorchvideo.data.encoded_video import EncodedVideo

RATE, SAMPLES = 8000, 1600
# encoder -> (container, largest error of a sample); packed and planar, 8 to 64 bits, integers and floats
ENCODERS = {
    "pcm_u8": ("mkv", 1 / 128),
    "pcm_s8_planar": ("nut", 1 / 128),
    "pcm_s16le": ("mov", 1e-4),
    "pcm_s16le_planar": ("nut", 1e-4),
    "pcm_s24le_planar": ("nut", 1e-4),
    "pcm_s32le": ("mkv", 1e-4),
    "pcm_s64le": ("nut", 1e-4),
    "pcm_f32le": ("mkv", 1e-4),
    "pcm_f64le": ("mkv", 1e-4),
    "wavpack": ("mkv", 1 / 128),
    "flac": ("mkv", 1e-4),
}
CASES = [
    (encoder, channels)
    for encoder in ENCODERS
    for channels in (1, 2, 3, 7, 8, 9, 16, 33, 64)
    if channels <= 8 or encoder.startswith("pcm")
]


def levels(channels: int) -> np.ndarray:
    """A loudness for each channel, float32 (channels,)."""
    return (0.9 * (1 + np.arange(channels)) / channels * (-1) ** np.arange(channels)).astype("f4")


def write(path: Path, layout: str, loudness: np.ndarray, encoder: str, rate: int = RATE) -> Path:
    """Sound of a constant level in each channel."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=rate, layout=layout)
        packed = np.tile(loudness, SAMPLES)[None]
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("encoder", "channels"), CASES)
def test_every_channel_of_every_format(tmp_path: Path, encoder: str, channels: int) -> None:
    ending, error = ENCODERS[encoder]
    wanted = levels(channels)
    layout = {1: "mono", 2: "stereo", 7: "6.1", 8: "7.1"}.get(channels, f"{channels} channels")
    if encoder == "flac" and channels == 3:
        layout = "3.0"
    path = write(tmp_path / f"sound.{ending}", layout, wanted, encoder)
    decoder = PyAVDecoder(path, "sound", video=False)
    sound = decoder.audio(0.05, 0.15)
    assert sound is not None and sound.data.shape == (channels, RATE // 10)
    assert float((sound.data - torch.from_numpy(wanted)[:, None]).abs().max()) <= error


def test_channels_of_an_order_without_a_name(tmp_path: Path) -> None:
    wanted = levels(3)
    path = write(tmp_path / "odd.wav", "FL+LFE+BC", wanted, "pcm_s16le")
    with EncodedVideo.from_path(path, decode_video=False) as video:
        sound = video.get_clip(0, 1)["audio"]
    assert sound is not None and len(sound) == SAMPLES
    assert float((sound - wanted.mean()).abs().max()) < 1e-4


TAGS = {"6.1": (0x70F, 0x7D0007), "7.1": (0x63F, 0x7E0008)}  # bitmap, and a tag of CoreAudio


@pytest.mark.parametrize("layout", TAGS)
def test_places_that_ffmpeg_lists_one_by_one(tmp_path: Path, layout: str) -> None:
    """Such a list is given back twice by PyAV, which ends the process."""
    wanted = levels(7 if layout == "6.1" else 8)
    data = write(tmp_path / "plain.mov", layout, wanted, "pcm_s16le").read_bytes()
    bitmap, tag = TAGS[layout]
    by_bitmap = (0x10000).to_bytes(4, "big") + bitmap.to_bytes(4, "big")
    assert data.count(by_bitmap) == 1
    (tmp_path / "listed.mov").write_bytes(
        data.replace(by_bitmap, tag.to_bytes(4, "big") + bytes(4))
    )
    for _ in range(3):
        decoder = PyAVDecoder(tmp_path / "listed.mov", "listed.mov", video=False)
        for start in (0, 0.05, 0.1, 0):
            sound = decoder.audio(start, start + 0.05)
            assert sound is not None
            assert float((sound.data - torch.from_numpy(wanted)[:, None]).abs().max()) < 1e-4
        decoder.close()


def test_sound_that_changes_its_rate_is_refused(tmp_path: Path) -> None:
    parts = [
        write(tmp_path / f"{rate}.aac", "mono", np.zeros(1, "f4"), "aac", rate).read_bytes()
        for rate in (16000, 32000)
    ]
    joined = parts[0] * 8 + parts[1]
    with (
        EncodedVideo.from_bytes(joined, "joined.aac", decode_video=False) as video,
        pytest.raises(
            VideoError, match=r"joined\.aac: the sound changes from 16000 to 32000 sampl"
        ),
    ):
        video.get_clip(0, 10)
