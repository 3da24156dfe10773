# SPDX-License-Identifier: Apache-2.0
"""HMDB51: split files, paths, labels and tags."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, SequentialSampler

from pytorchvideo.data import Hmdb51, make_clip_sampler
from pytorchvideo.data.hmdb51 import Hmdb51LabeledVideoPaths

# train, test, unused
BRUSH = ["a_brush_hair_u_nm_np1_ba_goo_0.avi", "b_brush_hair_f_cm_np2_fr_bad_1.avi"]
WAVE = ["c_d_wave_h_nm_np1_le_med_2.avi"]


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    (tmp_path / "brush_hair_test_split1.txt").write_text(f"{BRUSH[0]} 1 \n\n{BRUSH[1]} 2 \n")
    (tmp_path / "wave_test_split_1.txt").write_text(f"{WAVE[0]} 1\nother_0.avi 0\n")
    (tmp_path / "wave_test_split2.txt").write_text(f"{WAVE[0]} 2\n")
    (tmp_path / "readme.txt").write_text("not a split")
    return tmp_path


def test_both_patterns_of_file_names_are_read(splits: Path) -> None:
    videos = Hmdb51LabeledVideoPaths.from_dir(splits)
    assert list(videos) == [
        (
            f"brush_hair/{BRUSH[0]}",
            {"label": "brush_hair", "meta_tags": ["u", "nm", "np1", "ba", "goo"]},
        ),
        (f"wave/{WAVE[0]}", {"label": "wave", "meta_tags": ["h", "nm", "np1", "le", "med"]}),
    ]
    assert videos.class_names == ["brush_hair", "wave"]
    videos.path_prefix = "/clips"
    assert videos[1][0] == f"/clips/wave/{WAVE[0]}"


@pytest.mark.parametrize(
    ("split_id", "split_type", "names"),
    [(1, "test", [BRUSH[1]]), (1, "unused", ["other_0.avi"]), (2, "test", WAVE)],
)
def test_split_and_type(splits: Path, split_id: int, split_type: str, names: list[str]) -> None:
    videos = Hmdb51LabeledVideoPaths.from_dir(splits, split_id, split_type)
    assert [Path(path).name for path, _ in videos] == names


def test_errors_are_raised_not_returned(splits: Path, tmp_path: Path) -> None:
    read = Hmdb51LabeledVideoPaths
    with pytest.raises(ValueError, match="`split_id` to be 1, 2 or 3, but got 4"):
        read.from_dir(splits, 4)
    with pytest.raises(ValueError, match="`split_type` to be one of unused, train, test"):
        read.from_dir(splits, 1, "val")
    with pytest.raises(FileNotFoundError, match=r"no file `<action>_test_split3\.txt`"):
        read.from_dir(splits, 3)
    with pytest.raises(NotADirectoryError, match=r"readme\.txt is not a folder"):
        read.from_dir(splits / "readme.txt")
    with pytest.raises(ValueError, match=r"Expected a file .*readme\.txt"):
        read.from_csvs([splits / "readme.txt"])
    with pytest.raises(ValueError, match="list no train video"):
        read.from_dir(splits, 2)
    bad = splits / "run_test_split1.txt"
    bad.write_text("a.avi 1\nb.avi 3\n")
    with pytest.raises(ValueError, match=r"run_test_split1\.txt, line 2: .*'b\.avi 3'"):
        read.from_dir(splits)


@pytest.mark.parametrize("workers", [0, 2])
def test_samples(
    splits: Path, make_video: Callable[..., Path], tmp_path: Path, workers: int
) -> None:
    for path in (f"brush_hair/{BRUSH[0]}", f"wave/{WAVE[0]}"):
        make_video(path, folder=tmp_path, num_frames=30, codec="mpeg4")
    dataset = Hmdb51(
        str(splits),
        make_clip_sampler("uniform", 0.5),
        SequentialSampler,
        video_path_prefix=str(tmp_path),
    )
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    for _ in range(2):
        samples = sorted(loader, key=lambda s: (s["video_index"], s["clip_index"]))
        assert [(s["video_index"], s["clip_index"]) for s in samples] == [
            (0, 0),
            (0, 1),
            (1, 0),
            (1, 1),
        ]
        for sample in samples:
            assert list(sample) == [
                *("video", "video_name", "video_index", "clip_index", "aug_index"),
                *("label", "meta_tags"),
            ]
            assert sample["video"].shape == (3, 15, 48, 64)
            assert sample["video"].dtype == torch.float32
            assert sample["aug_index"] == 0
        assert samples[2]["video_name"] == WAVE[0]
        assert samples[2]["label"] == "wave"
        assert samples[2]["meta_tags"] == ["h", "nm", "np1", "le", "med"]


def test_the_published_names_of_actions_are_found_in_file_names(
    shared_data: Path, tmp_path: Path
) -> None:
    actions = (shared_data / "annotations/hmdb51.txt").read_text().split()
    for action in actions:
        file = tmp_path / f"{action}_test_split1.txt"
        file.write_text(f"title_{action}_u_nm_np1_ba_goo_0.avi 1 \n")
    videos = Hmdb51LabeledVideoPaths.from_dir(tmp_path)
    assert videos.class_names == sorted(actions)
    assert len(videos) == 51
    assert all(info["meta_tags"] == ["u", "nm", "np1", "ba", "goo"] for _, info in videos)
