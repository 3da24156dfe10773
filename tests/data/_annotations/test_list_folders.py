# SPDX-License-Identifier: Apache-2.0
"""Folders of lists as DATA of commands."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import torch
from PIL import Image

from flash.runs.outline import outline
from flash.runs.sources import list_labelled, read_labelled, read_sources
from pytorchvideo._list_folders import lists_in
from pytorchvideo.data import LabeledVideoPaths
from pytorchvideo.data.frame_video import FrameVideo
from pytorchvideo.data.preparing.check import videos_of
from pytorchvideo.data.windows import ClipWindows
from pytorchvideo.evaluation.labelled import labelled_videos
from pytorchvideo.inference.clips import Clip, End, read_clips
from pytorchvideo.transforms.clip_recipe import ClipRecipe


@pytest.fixture(scope="module")
def lists(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``train.csv``, ``val.csv`` and ``test.csv`` of two videos each, which lie elsewhere."""
    videos, folder = tmp_path_factory.mktemp("videos"), tmp_path_factory.mktemp("lists")
    for split in ("train", "val", "test"):
        rows = [
            f"{make_video(f'{split}{label}.mp4', folder=videos, num_frames=4, fps=10)} {label}\n"
            for label in (0, 1)
        ]
        (folder / f"{split}.csv").write_text("".join(rows))
    return folder


def names(paths: object) -> list[str]:
    return [Path(str(path)).name for path in paths]  # type: ignore[attr-defined]


def test_each_command_reads_its_list(lists: Path) -> None:
    sources = read_sources(str(lists))
    assert names(p for p, _ in sources.train) == ["train0.mp4", "train1.mp4"]
    assert names(p for p, _ in sources.val) == ["val0.mp4", "val1.mp4"]
    assert sources.how["split"] == "as given: the lists train.csv and val.csv"
    tested = read_labelled(str(lists), ["a", "b"])
    assert names(p for p, _ in tested.items) == ["test0.mp4", "test1.mp4"]
    assert names(labelled_videos(lists, ["a", "b"]).paths) == ["test0.mp4", "test1.mp4"]
    assert len(list_labelled(str(lists))) == 4
    assert len(list(videos_of(str(lists)))) == 6
    assert outline(str(lists)) == f"videos of the lists train.csv, val.csv, test.csv in {lists}"
    assert names(v for v, _ in LabeledVideoPaths.from_path(lists, split="validation")) == [
        "val0.mp4",
        "val1.mp4",
    ]


def test_lists_beside_classes_do_not_count(lists: Path, tmp_path: Path) -> None:
    (tmp_path / "val.csv").write_text("a.mp4 0\n")
    assert set(lists_in(tmp_path)) == {"val"}
    (tmp_path / "run").mkdir()  # a folder per class, and a list of some of them
    assert lists_in(tmp_path) == {}
    (tmp_path / "train.csv").write_text("a.mp4 0\n")
    assert set(lists_in(tmp_path)) == {"train", "val"}
    (tmp_path / "train").mkdir()
    assert lists_in(tmp_path) == {}


def test_which_list_has_to_be_said(lists: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has the lists train\.csv, val\.csv, test\.csv\. Say"):
        LabeledVideoPaths.from_path(lists)
    with pytest.raises(ValueError, match="`split` to be a list of train"):
        LabeledVideoPaths.from_path(lists, split="all")
    (tmp_path / "test.csv").write_text((lists / "test.csv").read_text())
    with pytest.raises(FileNotFoundError, match=r"has test\.csv, and no train\.csv"):
        read_sources(str(tmp_path))


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PySlowFast's list of the frames of four videos, beside their folders."""
    folder = tmp_path_factory.mktemp("frames")
    lines = ["original_vido_id video_id frame_id path labels"]
    for number, name in enumerate("abcd"):
        (folder / name).mkdir()
        for frame in range(6):
            path = f"{name}/{frame:03d}.png"
            Image.new("RGB", (32, 24), (40 * number, 0, 20 * frame)).save(folder / path)
            lines.append(f'{name} {number} {frame} {path} "{number % 2}"')
    (folder / "single.csv").write_text("\n".join(lines))
    (folder / "several.csv").write_text("\n".join(lines) + '\na 0 6 a/005.png "12,3"\n')
    (folder / "none.csv").write_text("\n".join(lines).replace('"0"', '""'))
    return folder


def test_lists_of_frames_are_lists_of_their_folders(frames: Path) -> None:
    single = LabeledVideoPaths.from_csv(frames / "single.csv")
    assert [single[n] for n in range(4)] == [
        (str(frames / name), {"label": n % 2}) for n, name in enumerate("abcd")
    ]
    several = LabeledVideoPaths.from_csv(frames / "several.csv")
    assert several.targets() == [[0, 3, 12], [1], [0], [1]]  # those of all frames
    assert LabeledVideoPaths.from_csv(frames / "none.csv").targets() == [None, 1, None, 1]
    sources = read_sources(str(frames / "single.csv"), val_split=0.5)
    assert len(sources.train) == len(sources.val) == 2 and not sources.skipped


def test_folders_of_frames_have_clips(frames: Path) -> None:
    """By windows of time, as commands read, the frames are those of the reader of folders."""
    recipe = ClipRecipe(num_frames=2, sampling_rate=1, side_size=24, crop_size=24)
    folder = str(frames / "b")
    empty = str(frames.parent)
    rule = ClipWindows(recipe.clip_duration_sec, clips=2)
    found = list(read_clips([folder, empty], rule, recipe, views=lambda *given: [given[-1]]))
    clips = [item for item in found if isinstance(item, Clip)]
    with closing(FrameVideo.from_directory(folder)) as video:
        for clip, numbers in zip(clips, ([0, 1], [4, 5]), strict=True):
            assert torch.equal(clip.views[0], video.get_frames(indices=numbers).data)
    assert isinstance(found[-1], End) and isinstance(found[-1].error, IsADirectoryError)
