# SPDX-License-Identifier: Apache-2.0
"""Near-duplicates: clips of one recording look alike after scaling and compression, others do not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pytorchvideo.data.near_duplicates import (
    ALIKE,
    frame_hashes,
    name_of_source,
    nearest,
    recordings,
    shared_sources,
    similar_share,
)
from pytorchvideo.data.synthetic import MOTIONS, motion_frames

MakeVideo = Callable[..., Path]
SEEDS = (0, 2)


def scene(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.stack(list(motion_frames(MOTIONS[seed % 4], generator, size=(8, 128, 96))))


@pytest.fixture(scope="module")
def hashes(make_video: MakeVideo) -> list[np.ndarray]:
    """Both halves of recordings: the second halves have half of the size."""
    found = []
    for seed in SEEDS:
        frames = scene(seed)
        half = len(frames) // 2
        small = frames[half - 1 :].reshape(-1, 48, 2, 64, 2, 3).mean(axis=(2, 4)).astype(np.uint8)
        for name, part in (("a", frames[:half]), ("b", small)):
            path = make_video(f"dup{seed}{name}.mp4", frames=part, fps=8, options={"crf": "20"})
            found.append(frame_hashes(path))
    return found


def test_halves_of_a_recording_find_each_other(hashes: list[np.ndarray]) -> None:
    first, second = hashes[::2], hashes[1::2]
    for place, (index, distance) in enumerate(nearest(second, first)):
        assert index == place
        assert distance <= ALIKE
    for place in range(len(SEEDS)):
        ((_, distance),) = nearest([second[place]], [h for i, h in enumerate(first) if i != place])
        assert distance > ALIKE


def test_recordings_go_by_way_of_others(hashes: list[np.ndarray]) -> None:
    numbers = recordings([*hashes, np.zeros((0, 32), np.uint8)])
    assert numbers == [0, 0, 2, 2, 4]
    a, b, c = (np.zeros((1, 32), np.uint8) for _ in range(3))
    b[:, :3], c[:, :6] = 255, 255  # 24 bits from one to the next, 48 from the first to the last
    assert recordings([a, c]) == [0, 1]
    assert recordings([a, c, b]) == [0, 0, 0]


def test_share_of_pairs_that_look_alike(hashes: list[np.ndarray]) -> None:
    assert similar_share(hashes[::2]) == 0
    assert similar_share([hashes[0]] * 5) == 1
    assert similar_share([]) == similar_share(hashes[:1]) == 0


def test_blank_frames_are_like_nothing(make_video: MakeVideo, tmp_path: Path) -> None:
    black = make_video("black.mp4", frames=np.zeros((6, 48, 64, 3), np.uint8))
    assert frame_hashes(black).shape == (0, 32)
    assert frame_hashes(tmp_path / "missing.mp4").shape == (0, 32)
    (tmp_path / "text.mp4").write_text("no video")
    assert frame_hashes(tmp_path / "text.mp4").shape == (0, 32)
    assert nearest([frame_hashes(black)], [frame_hashes(black)]) == [(-1, 1.0)]


def test_distance_by_hand() -> None:
    one = np.zeros((1, 32), np.uint8)
    other = np.zeros((2, 32), np.uint8)
    other[:, 0], other[1, 1] = 0b101, 1
    assert nearest([one], [np.full((1, 32), 255, np.uint8), other]) == [(1, 2 / 256)]


def test_names_of_sources() -> None:
    names = [
        "April_09_brush_hair_u_nm_np1_ba_goo_0.avi",
        "source0_3.mp4",
        "abc12def.mp4",
        "fi001.mp4",
    ]
    assert [name_of_source(f"x/{name}") for name in names] == [
        "April_09_brush_hair_u_nm_np1_ba_goo",
        "source0",
        None,
        None,
    ]
    val, train = ["a/cam1_2.mp4", "a/cam3_1.mp4"], ["b/cam1_1.mp4", "b/cam1_3.mp4", "b/one_1.mp4"]
    assert shared_sources(val, train) == {"cam1": (1, 2)}
