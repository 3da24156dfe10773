# SPDX-License-Identifier: Apache-2.0
"""A folder that is encoded anew: the same tree and labels, resumable, the source untouched."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from torch.utils.data import SequentialSampler

from pytorchvideo.data import Kinetics, make_clip_sampler
from pytorchvideo.data.preparing.encode import Preparation, TrainingFormat, _new_names

SMALL = TrainingFormat(short_side=32, preset="ultrafast")


@pytest.fixture
def source(make_video: Callable[..., Path], tmp_path: Path) -> Path:
    """Two classes; one file of each is bad, one has another ending, and there are lists."""
    root = tmp_path / "source"
    for label in ("run", "walk"):
        make_video(f"{label}/0.mp4", folder=root, num_frames=10)
        make_video(f"{label}/1.avi", folder=root, codec="mpeg4", num_frames=12)
        (root / label / "2.mp4").write_text("not a video")
    (root / "notes.txt").write_text("Videos of people,\nwho run or walk\n")
    (root / "train.csv").write_text(
        f"path,label\nrun/1.avi,0\n{root / 'walk' / '1.avi'},1\nrun/2.mp4,0\nelsewhere/3.avi,1\n"
    )
    (root / "run" / "val.txt").write_text("../walk/0.mp4 1\n\n../walk/1.avi 1\n")
    return root


def files(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_new_folder_is_the_old_one_in_another_format(source: Path, tmp_path: Path) -> None:
    before, target = files(source), tmp_path / "new" / "videos"
    done = list(Preparation(source, target, SMALL).run(jobs=1))
    assert files(source) == before
    assert {d.source: d.reason is None for d in done} == {
        f"{label}/{name}": good
        for label in ("run", "walk")
        for name, good in (("0.mp4", True), ("1.avi", True), ("2.mp4", False))
    }
    bad = next(d for d in done if d.source == "run/2.mp4")
    assert "run/2.mp4 cannot be read to its end" in (bad.reason or "")
    assert [*files(target)] == [
        "notes.txt",
        "prepared.jsonl",
        "run/0.mp4",
        "run/1.mp4",
        "run/val.txt",
        "train.csv",
        "walk/0.mp4",
        "walk/1.mp4",
    ]
    for d in done:
        if not d.reason:
            assert d.bytes_before == (source / d.source).stat().st_size
            assert d.bytes_after == (target / d.target).stat().st_size
    assert (target / "train.csv").read_text() == (
        f"path,label\nrun/1.mp4,0\n{target / 'walk' / '1.mp4'},1\nelsewhere/3.avi,1\n"
    )
    assert (target / "run" / "val.txt").read_text() == "../walk/0.mp4 1\n\n../walk/1.mp4 1\n"
    assert (target / "notes.txt").read_text() == (source / "notes.txt").read_text()
    with pytest.warns(UserWarning, match="1 file is left out"):  # run/val.txt
        dataset = Kinetics(str(target), make_clip_sampler("uniform", 0.3), SequentialSampler)
    samples = list(dataset)
    assert [(s["video_name"], s["label"]) for s in samples] == [
        ("0.mp4", 0),
        ("1.mp4", 0),
        ("0.mp4", 1),
        ("1.mp4", 1),
    ]
    assert {s["video"].shape[2:] for s in samples} == {(32, 42)}


def test_a_second_run_does_what_is_left(
    source: Path, tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    target = tmp_path / "new"
    # A run that is broken off after three videos, in the middle of a line of the record.
    begun = Preparation(source, target, SMALL).run(jobs=1)
    first = [next(begun).source for _ in range(3)]
    begun.close()
    with open(target / "prepared.jsonl", "a", encoding="utf-8") as log:
        log.write('{"source": "walk/0.mp4", "targ')
    (target / "run" / "0.mp4").unlink()  # what is gone is made again
    again = Preparation(source, target, SMALL)
    assert not again.changed
    assert [done.source for done in again.finished] == [f for f in first if f != "run/0.mp4"]
    assert len(list(again.run(jobs=1))) == 4
    assert len(again.finished) == 6
    written = files(target)
    assert list(Preparation(source, target, SMALL).run()) == []
    assert {k: v for k, v in files(target).items() if k.endswith(".mp4")} == {
        k: v for k, v in written.items() if k.endswith(".mp4")
    }
    # A video that is new, and one that has changed.
    make_video("walk/3.mp4", folder=source, num_frames=5)
    os.utime(source / "run" / "0.mp4", ns=(0, 0))
    last = Preparation(source, target, SMALL)
    assert sorted(done.source for done in last.run(jobs=1)) == ["run/0.mp4", "walk/3.mp4"]


def test_another_format_is_said_and_done_anew(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "new"
    list(Preparation(source, target, SMALL).run(jobs=1))
    other = Preparation(source, target, TrainingFormat(short_side=16, preset="ultrafast", gop=2))
    assert other.changed == "short_side 32 -> 16, gop 12 -> 2"
    assert not other.finished
    assert len(list(other.run(jobs=1))) == 6
    assert not Preparation(source, target, other.training_format).changed


@pytest.mark.slow
def test_several_processes_do_the_same(source: Path, tmp_path: Path) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    for target, jobs in ((alone, 1), (together, 2)):
        assert len(list(Preparation(source, target, SMALL).run(jobs))) == 6
    for name in files(alone):
        if name.endswith(".mp4"):
            assert (alone / name).read_bytes() == (together / name).read_bytes()


def test_the_source_cannot_be_overwritten(source: Path, tmp_path: Path) -> None:
    for target in (source, source / "new", source.parent):
        with pytest.raises(ValueError, match=r"one of the folders .* holds the other"):
            Preparation(source, target)
    target = tmp_path / "new"
    target.mkdir()
    (target / "walk").symlink_to(source / "walk")
    before = files(source)
    with pytest.raises(ValueError, match=r"walk leads into .*source, which is not to be written"):
        list(Preparation(source, target, SMALL).run(jobs=1))
    assert files(source) == before


def test_wrong_folders(source: Path, tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="Expected a folder of videos"):
        Preparation(tmp_path / "nowhere", tmp_path / "new")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty has no video\. Expected files with the ending"):
        Preparation(tmp_path / "empty", tmp_path / "new")
    (tmp_path / "new").mkdir()
    for content in (b'{"what": 1}\n', b"[" * 100_000 + b"\n", b"\xff\n", b"1\n"):
        (tmp_path / "new" / "prepared.jsonl").write_bytes(content)
        with pytest.raises(ValueError, match="is not a record of prepared videos"):
            Preparation(source, tmp_path / "new")


def test_names_do_not_collide() -> None:
    names = _new_names(["a.avi", "a.avi.mp4", "a.mkv", "a.mp4", "b.MP4", "c.webm"])
    assert list(names.values()) == [
        "a.avi-1.mp4",
        "a.avi.mp4",
        "a.mkv.mp4",
        "a.mp4",
        "b.mp4",
        "c.mp4",
    ]
