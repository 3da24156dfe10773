# SPDX-License-Identifier: Apache-2.0
"""``DrawnVideo``: its times, its text, and what becomes of it when it is never closed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo.data.captioned_video import DrawnVideo, draw_lines
from pytorchvideo.data.encoded_video import EncodedVideo

GREY = np.full((97, 161, 3), 128, np.uint8)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_size_and_times_are_those_of_the_pictures(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"drawn.{ending}"
    times = [0.0, 0.04, 0.2, 0.24, 0.6]
    drawn = DrawnVideo(path)
    for time in times:
        drawn.write(GREY, time)
    drawn.close()
    drawn.close()
    drawn.write(GREY, 1.0)
    with EncodedVideo.from_path(path, dtype=torch.uint8) as video:
        index = video.frame_index
        assert index is not None
        assert [float(time) for time in index.times] == pytest.approx(times, abs=1e-3)
        clip = video.get_clip(0, video.duration)["video"]
    assert clip is not None
    assert clip.shape == (3, 5, 96, 160)  # even, as H.264 has colours for every other pixel


def test_text_is_on_the_pictures_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "drawn.mp4"
    drawn = DrawnVideo(path)
    for number in range(6):
        if number == 2:
            drawn.lines = ["archery  93%"]
        if number == 4:
            drawn.lines = ["bowling  64%"]
        drawn.write(GREY, number / 10)
    drawn.close()
    with EncodedVideo.from_path(path) as video:
        clip = video.get_clip(0, video.duration)["video"]
    assert clip is not None
    top, rest = clip[:, :, :14].mean(dim=0), clip[:, :, 32:]
    assert torch.allclose(rest, torch.full_like(rest, 128), atol=3)
    assert torch.allclose(top[:2], torch.full_like(top[:2], 128), atol=3)
    for first in (2, 4):  # white on dark
        assert top[first].min() < 70
        assert top[first].max() > 200
        assert torch.allclose(top[first], top[first + 1], atol=8)
    assert not torch.allclose(top[2], top[4], atol=60)


def test_a_file_that_is_not_finished_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "drawn.mp4"
    drawn = DrawnVideo(path)
    for number in range(200):
        drawn.write(GREY, number / 25)
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(path.read_bytes())
    drawn.close()
    with EncodedVideo.from_path(copy) as video:
        assert float(video.duration) > 2
        assert video.get_clip(0, 0.2)["video"] is not None


def test_pictures_of_another_size_take_that_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "drawn.mp4"
    drawn = DrawnVideo(path)
    drawn.lines = ["a"]
    drawn.write(GREY, 0.0)
    drawn.write(np.zeros((40, 60, 3), np.uint8), 0.1)
    drawn.close()
    with EncodedVideo.from_path(path) as video:
        assert len(video) == 2


def test_where_it_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Expected `path` to be a file that ends in \.mp4 or"):
        DrawnVideo(tmp_path / "a.gif")
    drawn = DrawnVideo(tmp_path / "nowhere" / "a.mp4")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        drawn.write(GREY, 0.0)
    drawn.close()


@given(
    st.integers(16, 300),
    st.integers(16, 300),
    st.lists(st.text(st.characters(max_codepoint=0x17F), max_size=60), min_size=1, max_size=8),
)
def test_the_band_fits_into_every_picture(width: int, height: int, lines: list[str]) -> None:
    band = draw_lines(lines, width, height)
    assert band.mode == "RGBA"
    assert band.width == width
    assert band.height <= max(16, height // 2 + height // 18)


def test_lines_that_are_too_long_keep_their_ends() -> None:
    """The score of a label stays when its middle is left out: only there two long lines differ."""
    long = "playing the didgeridoo in front of a very large house"
    one, other = (np.asarray(draw_lines([f"{long}  {score}%"], 120, 90)) for score in (91, 47))
    differs = np.flatnonzero((one != other).any(axis=(0, 2)))
    assert len(differs)
    assert differs.min() > 80
