# SPDX-License-Identifier: Apache-2.0
"""Folders of shards whose index, or what stands beside a video, somebody made to be wrong."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pytorchvideo.data.preparing.shard_index import parse_index
from pytorchvideo.data.preparing.shards import ShardedVideos

SHARD = {"bytes": 2048, "samples": [["0.mp4", 512, 4, 0, "a.mp4"]]}
INDEX = {"class_names": ["run"], "shards": {"a.tar": SHARD}}


def test_an_index() -> None:
    assert parse_index(json.dumps(INDEX).encode(), "index.json") == INDEX
    assert parse_index(json.dumps({**INDEX, "class_names": None}).encode(), "index.json")


@pytest.mark.parametrize(
    "change",
    [
        {"class_names": "run"},
        {"class_names": [1]},
        {"shards": []},
        {"shards": {"a.tar": []}},
        {"shards": {"a.tar": {"samples": []}}},
        {"shards": {"a.tar": {**SHARD, "bytes": "2048"}}},
        {"shards": {"a.tar": {**SHARD, "samples": 3}}},
        {"shards": {"a.tar": {**SHARD, "samples": [["0.mp4", 512, 4, 0]]}}},
        {"shards": {"a.tar": {**SHARD, "samples": [["0.mp4", -1, 4, 0, "a"]]}}},
        {"shards": {"a.tar": {**SHARD, "samples": [["0.mp4", 0, -4, 0, "a"]]}}},
        {"shards": {"a.tar": {**SHARD, "samples": [["0.mp4", 512, 1 << 40, 0, "a"]]}}},
        {"shards": {"a.tar": {**SHARD, "samples": [["0.mp4", 512, 4, "run", "a"]]}}},
    ],
)
def test_an_index_that_is_wrong(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"index\.json is not the index of shards"):
        parse_index(json.dumps({**INDEX, **change}).encode(), "index.json")


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff", b"{", b'{"a": 1, "a": 2}'])
@pytest.mark.parametrize("ending", ["json", "cls"])
def test_a_text_beside_a_video_that_is_no_json(tmp_path: Path, content: bytes, ending: str) -> None:
    with pytest.raises(ValueError, match=r"^index\.json"):
        parse_index(content, "index.json")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, data in (("0.mp4", b"video"), (f"0.{ending}", content)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    with pytest.raises(ValueError, match=r"a\.tar is not a shard of samples: 0\."):
        ShardedVideos(tmp_path / "a.tar")
