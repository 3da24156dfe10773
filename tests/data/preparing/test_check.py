# SPDX-License-Identifier: Apache-2.0
"""``check``: good files pass, bad ones are named with a reason, nothing is read twice or kept."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flash.cli.main import app
from pytorchvideo.data import labeled_video_dataset, make_clip_sampler
from pytorchvideo.data.preparing.check import check_video, scan, videos_of

MakeVideo = Callable[..., Path]


def test_good_video_is_counted(make_video: MakeVideo) -> None:
    found = check_video(str(make_video("good.mp4", num_frames=25, fps=25, audio_rate=16000)))
    assert found.good
    assert (found.frames, found.width, found.height, found.codec) == (25, 64, 48, "h264")
    assert found.seconds == pytest.approx(1.0)
    assert found.has_audio


def test_what_is_odd_about_a_good_video_is_said(make_video: MakeVideo, tmp_path: Path) -> None:
    part = make_video("part.ts", num_frames=40).read_bytes()
    (tmp_path / "joined.ts").write_bytes(part + part)
    make_video("plain.ts", folder=tmp_path, num_frames=40)
    result = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert result.exit_code == 0
    assert "joined.ts: its time stamps start again" in result.output
    assert "2 videos, 0 bad, 1 odd" in result.output
    found = check_video(str(tmp_path / "joined.ts"))
    assert found.good and found.frames == 80 and found.seconds == pytest.approx(80 / 30)
    assert check_video(str(tmp_path / "plain.ts")).finding is None


def test_cut_off_file_is_bad(make_video: MakeVideo, tmp_path: Path) -> None:
    # the index first, so that the file still opens after its end is lost
    whole = make_video("whole.mp4", num_frames=90, audio_rate=16000)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    found = check_video(str(cut))
    assert not found.good
    assert "cut.mp4 is not a readable video" in (found.reason or "")


def test_damaged_middle_is_bad(make_video: MakeVideo, tmp_path: Path) -> None:
    whole = bytearray(make_video("middle.mkv", num_frames=90).read_bytes())
    cut = tmp_path / "middle.mp4"
    cut.write_bytes(bytes(whole[: len(whole) // 3]))
    found = check_video(str(cut))
    # a Matroska file has no index to lose: what is there plays, and the rest is missing
    assert found.frames < 90


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "is empty"), (b"this is a text, not a video\n" * 40, "is not a readable video")],
)
def test_no_video_is_bad(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    assert reason in (check_video(str(path)).reason or "")


def test_missing_file_and_directory_are_bad(tmp_path: Path) -> None:
    assert "There is no video file" in (check_video(str(tmp_path / "a.mp4")).reason or "")
    assert "is a directory" in (check_video(str(tmp_path)).reason or "")


def test_folder_is_read_at_any_depth(make_video: MakeVideo, tmp_path: Path) -> None:
    make_video("a.mp4", folder=tmp_path / "x" / "y")
    make_video("b.mp4", folder=tmp_path / "x")
    (tmp_path / "x" / "notes.txt").write_text("not a video")
    (tmp_path / "bad.mp4").write_text("no video")
    report = tmp_path / "out" / "report.json"
    with pytest.warns(UserWarning, match=r"1 file is left out, since .*: 1 x \.txt"):
        found = scan(str(tmp_path), out=report, jobs=2)
    assert [Path(entry.path).name for entry in found] == ["bad.mp4", "b.mp4", "a.mp4"]
    assert [entry.good for entry in found] == [False, True, True]
    written = json.loads(report.read_text())
    assert [entry["good"] for entry in written] == [False, True, True]
    assert "not a readable video" in written[0]["reason"]


def test_datasets_take_the_quarantine_list(make_video: MakeVideo, tmp_path: Path) -> None:
    make_video("a/good.mp4", folder=tmp_path / "set")
    (tmp_path / "set" / "a" / "bad one.mp4").write_text("no video")
    listed = tmp_path / "lists" / "bad.txt"
    result = CliRunner().invoke(app, ["check", str(tmp_path / "set"), "--quarantine", str(listed)])
    assert result.exit_code == 1
    path, reason = listed.read_text().rstrip("\n").split("\t")
    assert path == str(tmp_path / "set" / "a" / "bad one.mp4")
    assert "not a readable video" in reason
    # No warning: the file is known to be bad, and is not opened.
    dataset = labeled_video_dataset(
        str(tmp_path / "set"), make_clip_sampler("random", 0.5), quarantine=listed
    )
    assert [sample["video_name"] for sample in dataset] == ["good.mp4"]
    assert [clip.path for clip in dataset.skipped] == [path]


def test_a_list_that_cannot_be_written_is_known_before_the_scan(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = make_video("one.mp4", folder=tmp_path)
    monkeypatch.setattr(
        "pytorchvideo.data.preparing.check.check_video", lambda path: pytest.fail("it was read")
    )
    for option in ("--quarantine", "--out"):
        result = CliRunner().invoke(app, ["check", str(video), option, str(video / "bad.txt")])
        assert result.exit_code == 2
        assert f"Expected a folder, but {video} is a file." in result.stderr


def test_list_file_and_single_video(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video("one.mp4", folder=tmp_path)
    assert list(videos_of(str(path))) == [str(path)]
    (tmp_path / "list.txt").write_text(f"{path} 0\nmissing.mp4 1\n")
    found = scan(str(tmp_path / "list.txt"))
    assert [entry.good for entry in found] == [True, False]


def test_nothing_to_check(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no video"):
        scan(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no file and no folder"):
        scan(str(tmp_path / "nowhere"))
    (tmp_path / "list.txt").write_text("gone.mp4 0\n")
    with pytest.raises(FileNotFoundError, match="No video"):
        scan(str(tmp_path / "list.txt"))


@pytest.mark.slow
def test_real_clips(shared_data: Path) -> None:
    found = scan(str(shared_data / "clips"))
    assert len(found) == 43
    assert [Path(entry.path).name for entry in found if not entry.good] == ["decord_corrupted.mp4"]
