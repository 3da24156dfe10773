# SPDX-License-Identifier: Apache-2.0
"""Videos to click: of each class one, only those that are there, and none outside of the run's data."""

import json
from pathlib import Path

import pytest

from flash.runs.config import RunConfig
from flash.serve.examples import examples_of


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose list of held-out videos names some that are no examples."""
    data, folder = tmp_path / "data", tmp_path / "run"
    for name in ("a/1.mp4", "a/2.mp4", "b/1.webm", "b/2.avi"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(b"video")
    (tmp_path / "secret.mp4").write_bytes(b"video")
    (data / "a/link.mp4").symlink_to(tmp_path / "secret.mp4")
    folder.mkdir()
    names = ["a/1.mp4", "a/2.mp4", "a/gone.mp4", "a/link.mp4", "../secret.mp4"]
    held_out = [(str(data / name), "a") for name in names]
    held_out += [(str(tmp_path / "secret.mp4"), "a"), (str(data / "b/1.webm"), "b")]
    held_out += [(str(data / "b/2.avi"), "b")]
    split = {"labels": ["a", "b"], "train": [], "val": held_out, "how": {}, "skipped": []}
    (folder / "split.json").write_text(json.dumps(split))
    (folder / "config.json").write_text(json.dumps(RunConfig(data=str(data)).to_dict()))
    return folder


def test_examples(run: Path, tmp_path: Path) -> None:
    found = [str(path.relative_to(tmp_path / "data")) for path in examples_of(run)]
    assert found == ["a/1.mp4", "b/1.webm", "a/2.mp4"]
    assert len(examples_of(run, 2)) == 2
    assert examples_of(run, 0) == []


def test_a_list_file_stands_beside_its_videos(run: Path, tmp_path: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    (tmp_path / "data/list.csv").write_text("")
    (run / "config.json").write_text(json.dumps(config | {"data": str(tmp_path / "data/list.csv")}))
    assert len(examples_of(run)) == 3


def test_without_a_split_there_are_none(run: Path) -> None:
    (run / "split.json").unlink()
    assert examples_of(run) == []
