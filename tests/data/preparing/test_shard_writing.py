# SPDX-License-Identifier: Apache-2.0
"""Shards whose writing was broken off: refused by readers, finished by the same call, to the same bytes.

That it may be killed at any moment is tested in ``tests/test_faults.py``.
"""

import json
import os
import random
import re
import tarfile
from collections.abc import Generator
from pathlib import Path
from typing import cast

import pytest

from pytorchvideo.data import LabeledVideoPaths, ShardedVideos
from pytorchvideo.data.preparing.shards import PackedVideo, write_shards

Files = dict[str, bytes]


def contents(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def pack(source: Path, target: Path, count: int = 2) -> Generator[PackedVideo, None, None]:
    videos = LabeledVideoPaths.from_path(str(source))
    packed = write_shards(videos, target, max_count=count)
    return cast(Generator[PackedVideo, None, None], packed)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Nine files that are named like videos, of random sizes: packing does not open them."""
    root, draw = tmp_path / "source", random.Random(0)
    for label in ("run", "walk"):
        (root / label).mkdir(parents=True)
        for number in range(5):
            (root / label / f"{number}.mp4").write_bytes(draw.randbytes(draw.randrange(1, 3000)))
    (root / "run" / "3.mp4").write_bytes(b"")  # is left out
    return root


@pytest.fixture
def begun(source: Path, tmp_path: Path) -> Path:
    """Shards of a call that was broken off in the third of five."""
    target = tmp_path / "begun"
    packing = pack(source, target)
    for _ in range(6):
        next(packing)
    packing.close()
    assert sorted(contents(target)) == ["shard-000000.tar", "shard-000001.tar", "unfinished.jsonl"]
    return target


def test_the_same_call_goes_on(source: Path, begun: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"shard-000000.tar has no index.json beside it"):
        ShardedVideos(begun)
    before = {path.name: path.stat().st_ino for path in begun.glob("*.tar")}
    packed = [one for one in pack(source, begun) if not one.reason]
    assert [one.was_there for one in packed] == [True] * 4 + [False] * 5
    assert {name: (begun / name).stat().st_ino for name in before} == before
    assert not any(one.was_there for one in pack(source, tmp_path / "whole"))
    assert contents(begun) == contents(tmp_path / "whole")
    assert sorted(contents(begun)) == ["index.json", *(f"shard-{i:06d}.tar" for i in range(5))]
    assert len(ShardedVideos(begun)) == 9


def test_what_is_not_complete_is_written_anew(source: Path, begun: Path, tmp_path: Path) -> None:
    list(pack(source, tmp_path / "whole"))
    # What a killed call and a crash of the machine leave.
    (begun / ".shard-000002.tar.1-1.part").write_bytes(b"half")
    (begun / "shard-000000.tar").write_bytes(b"cut off")
    (begun / "shard-000002.tar").write_bytes(b"complete, but not in the record")
    with open(begun / "unfinished.jsonl", "a", encoding="utf-8") as record:
        record.write('{"shard": "shard-000002.tar", "by')
    packed = [one for one in pack(source, begun) if not one.reason]
    assert [one.was_there for one in packed] == [False] * 2 + [True] * 2 + [False] * 5
    assert contents(begun) == contents(tmp_path / "whole")


def test_a_call_that_is_broken_off_after_the_index_is_whole(
    source: Path, begun: Path, tmp_path: Path
) -> None:
    record = contents(begun)["unfinished.jsonl"]
    list(pack(source, begun))
    (begun / "unfinished.jsonl").write_bytes(record)
    assert len(ShardedVideos(begun)) == 9
    assert len([one for one in pack(source, begun) if not one.reason]) == 9
    list(pack(source, tmp_path / "whole"))
    assert contents(begun) == contents(tmp_path / "whole")


def test_other_limits_are_refused(source: Path, begun: Path) -> None:
    before = contents(begun)
    with pytest.raises(ValueError, match=r"were begun with max_count=2, but got 3\. Give the same"):
        pack(source, begun, count=3)
    with pytest.raises(ValueError, match=r"were begun with max_bytes=1073741824, but got 5\."):
        write_shards(LabeledVideoPaths.from_path(str(source)), begun, max_bytes=5, max_count=2)
    assert contents(begun) == before


@pytest.mark.parametrize("change", ["bytes", "time", "label", "gone", "fewer", "more"])
def test_other_videos_are_refused(source: Path, begun: Path, change: str) -> None:
    first, sentence = source / "run" / "0.mp4", r"shard-000000.tar does not hold .*0.mp4 as it is"
    if change == "bytes":
        status = first.stat()
        first.write_bytes(first.read_bytes() + b"1")
        os.utime(first, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "time":  # also where the clock went backwards
        os.utime(first, ns=(0, 0))
    elif change == "label":
        (source / "ahead").mkdir()
        (source / "ahead" / "0.mp4").write_bytes(b"1")
    elif change == "gone":
        first.unlink()
        sentence = r"shard-000000.tar does not hold .*1.mp4 as it is now"
    elif change == "fewer":
        for path in source.glob("*/*.mp4"):
            if path not in (first, first.with_name("1.mp4")):
                path.write_bytes(b"")
        sentence = r"shard-000001.tar holds videos that are not among them"
    else:
        (source / "run" / "3.mp4").write_bytes(b"is no longer empty")
        sentence = r"shard-000001.tar does not hold .*3.mp4 as it is now"
    before = contents(begun)
    with pytest.raises(ValueError, match=f"begun with other videos: {sentence}"):
        list(pack(source, begun))
    assert {k: v for k, v in contents(begun).items() if k != "unfinished.jsonl"} == {
        k: v for k, v in before.items() if k != "unfinished.jsonl"
    }
    with pytest.raises(ValueError, match=r"has no index.json beside it"):
        ShardedVideos(begun)


def test_shards_of_another_call_are_left_alone(source: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "shard-000000.tar", "w"):
        pass
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"holds shards already\. Choose another folder"):
        pack(source, tmp_path)
    assert contents(tmp_path) == before
    (tmp_path / "shard-000000.tar").unlink()
    for content in (b'{"a": 1}\n', b"[" * 100_000 + b"\n", b"\xff\n", b"1\n"):
        (tmp_path / "unfinished.jsonl").write_bytes(content)
        with pytest.raises(ValueError, match=r"unfinished.jsonl is not a record of shards"):
            pack(source, tmp_path)


def test_the_index_of_shards_that_are_gone_is_removed_first(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "shards"
    list(pack(source, target))
    for shard in target.glob("*.tar"):
        shard.unlink()
    packing = pack(source, target)
    for _ in range(4):
        next(packing)
    packing.close()
    assert "index.json" not in contents(target)


def test_two_calls_do_not_mix(source: Path, tmp_path: Path) -> None:
    first = pack(source, tmp_path / "shards")
    next(first)
    sentence = re.escape(f"{tmp_path / 'shards'} is being written by process {os.getpid()} on ")
    with pytest.raises(BlockingIOError, match=sentence):
        list(pack(source, tmp_path / "shards"))
    list(first)
    list(pack(source, tmp_path / "whole"))
    assert contents(tmp_path / "shards") == contents(tmp_path / "whole")


def test_the_record_says_what_is_there(source: Path, begun: Path) -> None:
    limits, *shards = map(json.loads, (begun / "unfinished.jsonl").read_text().splitlines())
    assert limits == {"format": 1, "max_bytes": 1 << 30, "max_count": 2}
    assert [shard["bytes"] for shard in shards] == [
        (begun / shard["shard"]).stat().st_size for shard in shards
    ]
    member, size, changed, facts = shards[0]["sources"][0]
    status = (source / "run" / "0.mp4").stat()
    assert (member, size, changed) == ("00000000.mp4", status.st_size, status.st_mtime_ns)
    assert facts["path"] == str(source / "run" / "0.mp4")
