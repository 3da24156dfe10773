# SPDX-License-Identifier: Apache-2.0
"""The demo's videos are what they claim to be: real files, and classes that one frame does not tell apart."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from flash.cli.kept import make_room
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.synthetic import (
    MOTIONS,
    available_encoders,
    motion_frames,
    write_demo_videos,
    write_motion_video,
)


def bright_share(frame: np.ndarray) -> float:
    """The share of a frame that shapes cover: they are lighter than any texture."""
    return float((frame.min(axis=2) > 145).mean())


def frames_of(label: str, seed: int) -> np.ndarray:
    return np.stack(list(motion_frames(label, np.random.default_rng(seed), size=(10, 64, 48))))


@pytest.mark.parametrize(("label", "sign"), [("growing", 1), ("shrinking", -1)])
def test_sizes_change_one_way(label: str, sign: int) -> None:
    for seed in range(5):
        shares = [bright_share(frame) for frame in frames_of(label, seed)]
        assert sign * (shares[-1] - shares[0]) > 0.05


@pytest.mark.parametrize(("label", "sign"), [("falling", 1), ("rising", -1)])
def test_shapes_move_one_way(label: str, sign: int) -> None:
    for seed in range(5):
        frames = frames_of(label, seed)
        covered = (frames.min(axis=3) > 145).astype(float)  # (T, H, W)
        profiles = covered.sum(axis=2)  # (T, H)
        # the shift of rows that best maps each frame on the next one, on the torus
        shifts = []
        for before, after in itertools.pairwise(profiles):
            scores = [np.dot(np.roll(before, k), after) for k in range(-8, 9)]
            shifts.append(int(np.argmax(scores)) - 8)
        assert sign * np.median(shifts) > 0, (label, seed, shifts)


def test_one_frame_says_nothing_about_direction() -> None:
    # the middle frames of opposite motions have the same distribution of covered area
    area = {
        label: np.array([bright_share(frames_of(label, seed)[10]) for seed in range(40)])
        for label in MOTIONS
    }
    for one, other in (("growing", "shrinking"), ("rising", "falling")):
        error = np.sqrt(area[one].var() / 40 + area[other].var() / 40)
        assert abs(area[one].mean() - area[other].mean()) < 3 * error


def test_video_is_written_with_pictures_and_sound(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    for encoder in available_encoders():
        write_motion_video(
            path, "rising", np.random.default_rng(0), encoder=encoder, size=(10, 64, 48)
        )
        with EncodedVideo.from_path(path) as video:
            clip = video.get_clip(0, video.duration)
        assert clip["video"] is not None
        assert clip["audio"] is not None
        assert tuple(clip["video"].shape) == (3, 20, 48, 64), encoder
        assert abs(len(clip["audio"]) - 32000) < 2100  # AAC's frames are 1024 samples
        assert [entry.name for entry in tmp_path.iterdir()] == ["clip.mp4"]


def test_set_has_two_parts_several_codecs_and_one_unseen_clip(tmp_path: Path) -> None:
    seen: list[tuple[Path, int]] = []
    files = write_demo_videos(
        tmp_path,
        train_per_class=4,
        val_per_class=1,
        seed=3,
        on_written=lambda p, n: seen.append((p, n)),
    )
    assert sorted(p.name for p in files.train.iterdir()) == list(MOTIONS)
    assert Counter(p.parent.name for p in files.train.rglob("*.mp4")) == dict.fromkeys(MOTIONS, 4)
    assert Counter(p.parent.name for p in files.val.rglob("*.mp4")) == dict.fromkeys(MOTIONS, 1)
    assert files.unseen.is_file()
    assert files.unseen_label in MOTIONS
    assert len(seen) == seen[0][1] == 21
    codecs = set()
    for path in files.train.rglob("*.mp4"):
        with EncodedVideo.from_path(path, decode_audio=False) as video:
            codecs.add(repr(video).split()[-3])
    assert len(codecs) == len(available_encoders())


def test_same_seed_gives_same_frames() -> None:
    assert np.array_equal(frames_of("rising", 1), frames_of("rising", 1))
    assert not np.array_equal(frames_of("rising", 1), frames_of("rising", 2))


def test_foreign_folders_are_not_removed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "precious.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not of a demo"):
        make_room(tmp_path)
    assert (tmp_path / "data" / "precious.txt").exists()


def test_earlier_demo_makes_room(tmp_path: Path) -> None:
    make_room(tmp_path)
    (tmp_path / "data").mkdir()
    make_room(tmp_path)
    assert not (tmp_path / "data").exists()
