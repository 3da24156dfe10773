# SPDX-License-Identifier: Apache-2.0
"""Shards hold what their folder holds: the same samples, wherever they lie and whoever reads them."""

import functools
import http.server
import io
import json
import random
import re
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch
from torch.utils.data import DataLoader, SequentialSampler

from pytorchvideo.data import (
    ClipDataLoader,
    ClipDataset,
    LabeledVideoDataset,
    LabeledVideoPaths,
    ShardedSampler,
    make_clip_sampler,
)
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.preparing.shards import ShardedVideos, expand, write_shards
from pytorchvideo.transforms import ApplyTransformToKey, UniformTemporalSubsample

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

TRANSFORM = ApplyTransformToKey("video", UniformTemporalSubsample(3))


@pytest.fixture(scope="module")
def folder(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("videos")
    for label in ("run", "walk"):
        make_video(f"{label}/0.mp4", folder=root, num_frames=30, audio_rate=16000)
        make_video(f"{label}/a.b c.MKV", folder=root, num_frames=41)
        make_video(f"{label}/2.avi", folder=root, num_frames=50, codec="mpeg4")
    return root


@pytest.fixture(scope="module")
def videos(folder: Path) -> LabeledVideoPaths:
    return LabeledVideoPaths.from_directory(folder)


@pytest.fixture(scope="module")
def shards(videos: LabeledVideoPaths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("shards") / "train"
    packed = list(write_shards(videos, target, max_count=4))
    assert all(one.reason is None for one in packed)
    assert sorted(path.name for path in target.iterdir()) == [
        "index.json",
        "shard-000000.tar",
        "shard-000001.tar",
    ]
    return target


def same(got: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    assert len(got) == len(wanted) > 0
    for a, b in zip(got, wanted, strict=True):
        assert list(a) == list(b)
        for key, value in b.items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(a[key], value), key
            else:
                assert a[key] == value, key


def samples(videos: Any, *sampler: Any, **options: Any) -> list[dict[str, Any]]:
    random.seed(1)
    return list(
        LabeledVideoDataset(videos, make_clip_sampler(*sampler), SequentialSampler, **options)
    )


SAMPLERS = [("uniform", 0.5), ("random", 0.4), ("constant_clips_per_video", 0.3, 2, 2)]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
@pytest.mark.parametrize("transform", [None, TRANSFORM], ids=["all frames", "some frames"])
def test_the_samples_are_those_of_the_folder(
    videos: LabeledVideoPaths, shards: Path, sampler: Any, transform: Any
) -> None:
    sharded = ShardedVideos(shards)
    assert repr(sharded) == "ShardedVideos(6 videos in 2 shards)"
    assert sharded.class_names == videos.class_names == ["run", "walk"]
    same(
        samples(sharded, *sampler, transform=transform),
        samples(videos, *sampler, transform=transform),
    )
    sampler = make_clip_sampler(*sampler)
    same(
        list(ClipDataset(sharded, sampler, transform=transform, seed=3)),
        list(ClipDataset(videos, sampler, transform=transform, seed=3)),
    )


def test_without_an_index_the_tar_is_read(shards: Path, tmp_path: Path) -> None:
    for number, shard in enumerate(sorted(shards.glob("*.tar"))):
        (tmp_path / f"train-{number}.tar").write_bytes(shard.read_bytes())
    indexed, scanned = ShardedVideos(shards), ShardedVideos(tmp_path)
    assert scanned.class_names == indexed.class_names
    assert [v[1] for v in scanned] == [v[1] for v in indexed]  # type: ignore[attr-defined]
    places, others = (
        [place._replace(shard="") for place in one.video_path_handler.places.values()]
        for one in (indexed, scanned)
    )
    assert places == others
    # An index of other shards is not believed.
    text = (shards / "index.json").read_text()
    (tmp_path / "index.json").write_text(text.replace("shard-00000", "train-"))
    with tarfile.open(tmp_path / "train-1.tar", "a") as tar:
        header = tarfile.TarInfo("late.mp4")
        header.size = tarfile.RECORDSIZE
        tar.addfile(header, io.BytesIO(bytes(header.size)))
    assert len(ShardedVideos(tmp_path)) == 7
    (tmp_path / "index.json").write_text("[]")
    assert len(ShardedVideos(tmp_path)) == 7


def test_a_folder_that_is_not_whole_is_refused(shards: Path, tmp_path: Path) -> None:
    names = ["index.json", "shard-000000.tar", "shard-000001.tar"]
    for name in names:
        (tmp_path / name).write_bytes((shards / name).read_bytes())
    # What a copy that was broken off leaves.
    (tmp_path / "shard-000001.tar").unlink()
    sentence = r"lacks 1 of the 2 shards that its index.json lists, the first of them shard-000001"
    for folder in (tmp_path, [tmp_path / "shard-000000.tar", str(tmp_path)]):
        with pytest.raises(ValueError, match=sentence):
            ShardedVideos(folder)
    assert len(ShardedVideos(tmp_path / "*.tar")) == 4
    assert len(ShardedVideos(tmp_path / "shard-000000.tar")) == 4
    (tmp_path / names[2]).write_bytes((shards / names[2]).read_bytes()[:-10240])
    with pytest.raises(ValueError, match=r"shard-000001.tar is cut off: it has \d+ of \d+ bytes"):
        ShardedVideos(tmp_path)
    (tmp_path / "index.json").unlink()
    for place in (tmp_path, tmp_path / "*.tar", tmp_path / "shard-{000000..000001}.tar"):
        with pytest.raises(ValueError, match=r"has no index.json beside it.* again, which goes on"):
            ShardedVideos(place)


def test_a_wrong_index_is_found_out(shards: Path, tmp_path: Path) -> None:
    (tmp_path / "index.json").write_bytes((shards / "index.json").read_bytes())
    for shard in shards.glob("*.tar"):
        # a shard of the same size, in which everything has moved by a block
        data = shard.read_bytes()
        (tmp_path / shard.name).write_bytes(bytes(512) + data[:-512])
    memory = fsspec.filesystem("memory")
    for path in tmp_path.iterdir():
        memory.pipe(f"/moved/{path.name}", path.read_bytes())
    try:
        for place in (str(tmp_path), "memory://moved"):
            dataset = LabeledVideoDataset(
                ShardedVideos(place), make_clip_sampler("random", 0.4), on_error="raise"
            )
            with pytest.raises(
                VideoError, match=r"tar does not hold \d+\.\w+ where its index says"
            ):
                list(dataset)
    finally:
        memory.rm("/moved", recursive=True)


class Files(http.server.SimpleHTTPRequestHandler):
    """A server of files that knows ranges, unless told otherwise; it says nothing."""

    knows_ranges = True

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if not self.knows_ranges or asked is None or not path.is_file():
            super().do_GET()
            return
        first, last = map(int, asked.groups())
        data = path.read_bytes()[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(data)))
        self.send_header(
            "Content-Range", f"bytes {first}-{first + len(data) - 1}/{path.stat().st_size}"
        )
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(params=[True, False], ids=["ranges", "no ranges"])
def served(shards: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    kind = type("Handler", (Files,), {"knows_ranges": request.param})
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(kind, directory=str(shards))
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_shards_on_a_web_server(served: str, videos: LabeledVideoPaths) -> None:
    pytest.importorskip("aiohttp")
    sharded = ShardedVideos(served + "/shard-{000000..000001}.tar")
    assert sharded[0][0] == f"{served}/shard-000000.tar/00000000.mp4"
    same(samples(sharded, "uniform", 0.5), samples(videos, "uniform", 0.5))
    dataset = LabeledVideoDataset(sharded, make_clip_sampler("random", 0.4), SequentialSampler)
    names = [s["video_name"] for s in DataLoader(dataset, batch_size=None, num_workers=2)]
    assert sorted(names) == sorted(Path(videos[i][0]).name for i in range(6))
    with pytest.raises(FileNotFoundError, match=r"There is no shard http://.*/shard-000009\.tar"):
        ShardedVideos(f"{served}/shard-000009.tar")


def test_shards_in_memory(shards: Path, videos: LabeledVideoPaths) -> None:
    memory = fsspec.filesystem("memory")
    for path in shards.iterdir():
        memory.pipe(f"/bucket/train/{path.name}", path.read_bytes())
    try:
        for pattern in ("memory://bucket/train", "memory://bucket/train/*.tar"):
            sharded = ShardedVideos(pattern)
            assert sharded[5][0] == "memory:///bucket/train/shard-000001.tar/00000005.mkv"
            same(samples(sharded, "uniform", 0.5), samples(videos, "uniform", 0.5))
        memory.pipe("/bucket/train/shard-000001.tar", b"gone")
        dataset = LabeledVideoDataset(sharded, make_clip_sampler("random", 0.4))
        with pytest.warns(UserWarning, match=r"shard-000001\.tar does not hold 0000000"):
            assert len(list(dataset)) == 4
        assert len(dataset.skipped) == 2
    finally:
        memory.rm("/bucket", recursive=True)


def keys(batches: Any) -> list[tuple[int, int]]:
    return [
        (int(v), int(c))
        for batch in batches
        for v, c in zip(batch["video_index"], batch["clip_index"], strict=True)
    ]


def indices_only(sample: dict[str, Any]) -> dict[str, Any]:
    return {key: sample[key] for key in ("video_index", "clip_index")}


EVERY = [(video, clip) for video in range(6) for clip in range(3)]


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_exactly_once_over_ranks_and_workers(shards: Path, workers: int) -> None:
    clips = make_clip_sampler("constant_clips_per_video", 0.1, 3)
    for ranks in (1, 2, 3):
        datasets = [
            LabeledVideoDataset(
                ShardedVideos(shards),
                clips,
                functools.partial(ShardedSampler, num_replicas=ranks, rank=rank),
                indices_only,
            )
            for rank in range(ranks)
        ]
        loaders = [DataLoader(one, 2, num_workers=workers) for one in datasets]
        assert sorted(key for loader in loaders for key in keys(loader)) == EVERY


def test_an_epoch_resumes_to_the_batch(shards: Path) -> None:
    def loader() -> ClipDataLoader:
        clips = make_clip_sampler("constant_clips_per_video", 0.1, 3)
        dataset = ClipDataset(ShardedVideos(shards), clips, transform=indices_only)
        return ClipDataLoader(dataset, 4, shuffle=True, num_workers=2)

    whole = keys(loader())
    assert sorted(whole) == EVERY
    begun = loader()
    batches = iter(begun)
    head = keys(next(batches) for _ in range(2))
    resumed = loader()
    resumed.load_state_dict(json.loads(json.dumps(begun.state_dict())))
    assert head + keys(resumed) == whole


@pytest.mark.filterwarnings("ignore:Skipping:UserWarning")
def test_bad_videos_are_skipped_and_listed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    good = str(folder / "run" / "0.mp4")
    paths = ["missing.mp4", str(tmp_path / "text.mp4"), good, str(tmp_path / "empty.mp4")]
    listed = LabeledVideoPaths([(path, None) for path in paths])
    packed = list(write_shards(listed, tmp_path / "shards"))
    reasons = [one.reason or "" for one in packed]
    assert "missing.mp4 cannot be opened: no such file" in reasons[0]
    assert "empty (0 bytes)" in reasons[3]
    assert [one.size for one in packed] == [0, 11, Path(good).stat().st_size, 0]
    dataset = LabeledVideoDataset(
        ShardedVideos(tmp_path / "shards"), make_clip_sampler("random", 0.4)
    )
    (sample,) = dataset
    assert (sample["video_name"], sample["label"]) == ("0.mp4", -1)
    (skipped,) = dataset.skipped
    text = str(tmp_path / "shards" / "shard-000000.tar" / "00000001.mp4")
    assert skipped.path == text
    assert "text.mp4 is not a readable video" in skipped.reason
    known = LabeledVideoDataset(
        ShardedVideos(tmp_path / "shards"), make_clip_sampler("random", 0.4), quarantine=[text]
    )
    assert len(list(known)) == 1
    assert known.skipped[0].reason == "it is in the quarantine list."


def test_durations_are_kept_until_a_shard_changes(shards: Path, tmp_path: Path) -> None:
    clips, cache = make_clip_sampler("uniform", 0.5), tmp_path / "durations.json"
    assert len(ClipDataset(ShardedVideos(shards), clips, durations_cache=cache)) == 14
    kept = json.loads(cache.read_text())
    shard = shards / "shard-000000.tar"
    stamp = [shard.stat().st_size, shard.stat().st_mtime_ns]
    assert kept[f"{shard}/00000000.mp4"][:2] == stamp


def test_the_format_is_that_of_webdataset(videos: LabeledVideoPaths, shards: Path) -> None:
    with tarfile.open(shards / "shard-000000.tar") as tar:
        members = tar.getmembers()
        assert [member.name for member in members[:3]] == [
            "00000000.mp4",
            "00000000.cls",
            "00000000.json",
        ]
        first = tar.extractfile(members[0])
        assert first is not None
        assert first.read() == Path(videos[0][0]).read_bytes()
    # Samples stand together, and their keys end at the first dot.
    keys = [member.name.partition(".")[0] for member in members]
    assert keys == sorted(keys)
    assert all(keys.count(key) == 3 for key in keys)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # files left open
def test_webdataset_reads_them(videos: LabeledVideoPaths, shards: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    urls = str(shards / "shard-{000000..000001}.tar")
    read = list(webdataset.WebDataset(urls, shardshuffle=False).decode())
    assert [sample["cls"] for sample in read] == [videos[i][1]["label"] for i in range(6)]
    for i, sample in enumerate(read):
        path = Path(videos[i][0])
        assert sample[path.suffix[1:].lower()] == path.read_bytes()
        assert sample["json"]["video_name"] == path.name
        assert sample["json"]["class_name"] == path.parent.name


def test_the_same_videos_give_the_same_bytes(
    videos: LabeledVideoPaths, shards: Path, tmp_path: Path
) -> None:
    list(write_shards(videos, tmp_path / "again", max_count=4))
    for path in shards.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_limits(videos: LabeledVideoPaths, tmp_path: Path) -> None:
    packed = list(write_shards(videos, tmp_path / "one", max_bytes=1))
    assert [one.shard for one in packed] == [f"shard-{i:06d}.tar" for i in range(6)]
    with pytest.raises(ValueError, match="one holds shards already"):
        write_shards(videos, tmp_path / "one")
    with pytest.raises(ValueError, match="Expected `max_count` to be >= 1, but got 0"):
        write_shards(videos, tmp_path / "two", max_count=0)
    assert not (tmp_path / "two").exists()


def tar_of(path: Path, members: dict[str, bytes]) -> str:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return str(path)


def test_shards_of_others(folder: Path, tmp_path: Path) -> None:
    video = (folder / "run" / "0.mp4").read_bytes()
    shard = tar_of(
        tmp_path / "others.tar",
        {
            "x/001.jpg": b"no video",
            "x/001.cls": b"7",
            "x/002.rgb.mp4": video,
            "x/002.cls": b"5",
            "y/002.MP4": video,
            "y/002.json": b'{"label": 2, "more": [1]}',
            "z.mp4": video,
        },
    )
    sharded = ShardedVideos(shard)
    assert sharded.class_names is None
    assert [sharded[i] for i in range(3)] == [
        (f"{shard}/x/002.rgb.mp4", {"label": 5}),
        (f"{shard}/y/002.MP4", {"label": 2}),
        (f"{shard}/z.mp4", {"label": -1}),
    ]
    assert len(samples(sharded, "uniform", 1)) == 3


def test_what_is_no_shard(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no shard '.*nowhere'\. Expected a tar"):
        ShardedVideos(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"There is no shard .*none\.tar"):
        ShardedVideos(tmp_path / "none.tar")
    (tmp_path / "text.tar").write_text("not a tar file" * 100)
    with pytest.raises(ValueError, match=r"text\.tar is not a shard of samples"):
        ShardedVideos(tmp_path / "text.tar")
    with pytest.raises(ValueError, match="hold no video"):
        ShardedVideos(tar_of(tmp_path / "text only.tar", {"a.txt": b"text"}))
    with pytest.raises(ValueError, match=r"class of a\.mp4 to be a whole number, but got 'run'"):
        ShardedVideos(tar_of(tmp_path / "words.tar", {"a.mp4": b"", "a.cls": b'"run"'}))


def test_patterns() -> None:
    assert expand("{a,b}-{8..10}.tar") == [f"{x}-{i}.tar" for x in "ab" for i in (8, 9, 10)]
    assert expand("plain.tar") == ["plain.tar"]
