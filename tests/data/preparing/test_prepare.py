# SPDX-License-Identifier: Apache-2.0
"""``prepare`` as a user calls it: what it writes, what it says, what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import SequentialSampler
from typer.testing import CliRunner

from flash.cli.main import app
from pytorchvideo.data import Kinetics, LabeledVideoDataset, make_clip_sampler
from pytorchvideo.data.preparing.shards import ShardedVideos


@pytest.fixture
def source(make_video: Callable[..., Path], tmp_path: Path) -> Path:
    root = tmp_path / "source"
    for label in ("run", "walk"):
        make_video(f"{label}/0.mp4", folder=root, num_frames=10, audio_rate=16000)
    (root / "run" / "bad [1].mp4").write_text("not a video")
    return root


def prepare(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["prepare", *map(str, arguments)])


QUICK = ("--jobs", 1, "--short-side", 32, "--preset", "ultrafast")


def test_a_folder_is_encoded_and_what_it_cost_is_said(source: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    result = prepare(source, "--out", new, *QUICK)
    assert result.exit_code == 1, result.output
    bad, told = result.stdout.splitlines()
    assert bad.startswith(f"bad: {source / 'run' / 'bad [1].mp4'} cannot be read to its end")
    assert told.startswith("2 videos encoded in ")
    assert ", 0 were there, 1 bad: 0.0 MB became 0.0 MB (" in told
    samples = list(Kinetics(str(new), make_clip_sampler("uniform", 0.3), SequentialSampler))
    assert [(s["label"], s["video"].shape) for s in samples] == [
        (label, (3, 9, 32, 42)) for label in (0, 1)
    ]
    again = prepare(source, "--out", new, *QUICK)
    assert "0 videos encoded in 0 s, 2 were there, 1 bad" in again.stdout
    assert again.stderr == ""
    other = prepare(source, "--out", new, *QUICK, "--gop", 3, "--no-audio")
    assert "prepared with other settings (gop 12 -> 3, audio True -> False)" in other.stderr
    assert "2 videos encoded" in other.stdout


def test_shards_of_the_new_videos_and_of_the_old_ones(source: Path, tmp_path: Path) -> None:
    new, shards = tmp_path / "new", tmp_path / "shards"
    result = prepare(source, "--out", new, "--shards", shards, "--max-count", 1, *QUICK)
    assert "2 videos packed into 2 shards, 0.0 MB" in result.stdout
    dataset = LabeledVideoDataset(
        ShardedVideos(shards), make_clip_sampler("uniform", 0.3), SequentialSampler
    )
    assert {sample["video"].shape for sample in dataset} == {(3, 9, 32, 42)}
    as_they_are = prepare(source, "--shards", tmp_path / "old", "--json")
    found = json.loads(as_they_are.stdout)
    assert (found["packed"], found["shards"], found["encoded"]) == (3, 1, 0)


def test_what_is_refused(source: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    (tmp_path / "shard-000000.tar").write_bytes(b"")
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "bad.mp4").write_text("not a video")
    for arguments, sentence in (
        ((source,), "Expected --out, a folder for the new videos, or --shards"),
        ((source, "--shards", new, "--crf", 3), "--crf is of no use without --out."),
        ((source, "--out", new, "--shards", tmp_path), "holds shards already"),
        ((tmp_path / "flat", "--out", new, "--shards", new), "has no subfolder"),
        ((source, "--out", source / "new"), "holds the other. Choose a folder beside it."),
        ((tmp_path / "none", "--out", new), "none is not a folder"),
        ((source, "--out", new, "--gop", 10**9), "Invalid value for '--gop'"),
    ):
        result = prepare(*arguments)
        assert result.exit_code == 2
        assert sentence in result.stderr
        assert result.stderr.count("\n") == 1
        assert result.stdout == ""
