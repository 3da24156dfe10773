# SPDX-License-Identifier: Apache-2.0
"""The moments of Ego4D, on a miniature of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from pytorchvideo.data.ego4d import Ego4dMomentsDataset
from pytorchvideo.data.ego4d.spectrogram import mel_spectrogram, mfcc

LABELS = {"cook": 1, "wash": 0, "read": 3}


def label(name: str, start: float, end: float) -> dict[str, Any]:
    return {"label": name, "video_start_time": start, "video_end_time": end, "primary": True}


@pytest.fixture(scope="module")
def folder(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of 3 s at 30 fps with sound at 48 kHz; measurements of the first only."""
    root = tmp_path_factory.mktemp("ego4d")
    for uid in ("a", "b"):
        make_video(f"{uid}.mp4", folder=root, num_frames=90, audio_rate=48000)
    metadata = [
        {"video_uid": uid, "duration_sec": 3.0, "s3_path": str(root / f"{uid}.mp4")} for uid in "ab"
    ]
    (root / "ego4d.json").write_text(json.dumps({"videos": metadata}))
    clip = {"clip_uid": "clip", "video_start_sec": 0.0, "video_end_sec": 3.0}
    first = [{"labels": [label("cook", 1.0, 2.0)]}, {"labels": [label("wash", 0.0, 0.25)]}]
    second = [{"labels": [label("read", 2.5, 3.0)]}]
    videos = [
        {"video_uid": "a", "split": "train", "clips": [{**clip, "annotations": first}]},
        {"video_uid": "b", "split": "train", "clips": [{**clip, "annotations": second}]},
        {"video_uid": "gone", "split": "val", "clips": [{**clip, "annotations": first}]},
    ]
    (root / "moments.json").write_text(json.dumps({"videos": videos}))
    (root / "labels.json").write_text(json.dumps(LABELS))
    header = "accl_x,accl_y,accl_z,gyro_x,gyro_y,gyro_z,canonical_timestamp_ms\n"
    rows = [f"{k},1,{-k},0,{k % 3},2,{4 * k}\n" for k in range(750)]
    (root / "a.csv").write_text(header + "".join(rows))
    return root


def make(folder: Path, **kwargs: Any) -> Ego4dMomentsDataset:
    kwargs = {"split": "train", "window_sec": 1, "label_id_map": LABELS, **kwargs}
    return Ego4dMomentsDataset(str(folder / "moments.json"), str(folder / "ego4d.json"), **kwargs)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("imu", [False, True])
def test_samples(folder: Path, workers: int, imu: bool) -> None:
    options: dict[str, Any] = {"imu": True, "imu_path": str(folder)} if imu else {}
    if imu:
        with pytest.warns(UserWarning, match=r"1 of 2 videos is left out\. The first: .*b\.mp4"):
            dataset = make(folder, **options)
        assert [Path(v.path).name for v in dataset.skipped] == ["b.mp4"]
    else:
        dataset = make(folder)
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    for _ in range(2):
        samples = sorted(loader, key=lambda s: s["video_index"])
        wanted = [("cook", 1.0, 2.0), ("wash", 0.0, 1.0), ("read", 2.0, 3.0)][: 2 if imu else 3]
        found = [(s["labels"][0], s["clip_start"], s["clip_end"]) for s in samples]
        assert found == wanted
        for sample in samples:
            assert set(sample) == {
                *("video", "video_name", "video_index", "clip_index", "aug_index", "audio"),
                *("clip_uid", "video_uid", "duration", "clip_video_start_sec"),
                *("clip_video_end_sec", "labels", "label_video_start_sec", "label_video_end_sec"),
                *("video_path", "labels_id", "clip_start", "clip_end", "labels_onehot"),
                "spectrogram",
                *(["imu"] if imu else []),
            }
            assert sample["video"].shape == (3, 30, 224, 224)
            assert sample["video"].dtype == torch.float32
            assert sample["video"].min() >= -2 and sample["video"].max() <= 2.5
            assert sample["labels_id"] == [LABELS[sample["labels"][0]]]
            one_hot = torch.zeros(4)
            one_hot[sample["labels_id"][0]] = 1
            assert torch.equal(sample["labels_onehot"], one_hot)
            audio = sample["audio"]
            assert audio["signal"].ndim == 1
            assert audio["sampling_rate"] == 48000
            torch.testing.assert_close(
                audio["spectrogram"], mel_spectrogram(audio["signal"], 48000)
            )
            assert torch.equal(sample["spectrogram"], audio["spectrogram"])
            assert audio["spectrogram"][:, 40].argmax() <= 10  # a tone of 440 Hz
            if imu:
                assert sample["imu"]["signal"].shape == (250, 6)
                assert sample["imu"]["sampling_rate"] == 250
                assert sample["imu"]["timestamp"][0] == 1000 * sample["clip_start"]
        first = samples[0]
        assert (first["clip_uid"], first["video_uid"], first["duration"]) == ("clip", "a", 3)
        assert (first["label_video_start_sec"], first["label_video_end_sec"]) == (1, 2)
        assert (first["clip_video_start_sec"], first["clip_video_end_sec"]) == (0, 3)
        assert first["video_path"] == str(folder / "a.mp4")
        assert first["video_name"] == "a.mp4"


@pytest.mark.parametrize("split", ["val", "test"])
def test_pictures_are_normalised_in_every_split(folder: Path, tmp_path: Path, split: str) -> None:
    moments = json.loads((folder / "moments.json").read_text())
    for video in moments["videos"][:2]:
        video["split"] = split
    del moments["videos"][2]
    (tmp_path / "moments.json").write_text(json.dumps(moments))
    arguments = (str(tmp_path / "moments.json"), str(folder / "ego4d.json"), split)
    dataset = Ego4dMomentsDataset(*arguments, window_sec=1, label_id_map=LABELS)
    samples = [list(dataset), list(dataset)]
    for first, second in zip(*samples, strict=True):
        assert first["video"].shape == (3, 30, 224, 224)
        assert first["video"].max() < 2.5  # 255 / 255 becomes 2.44
        assert first["video"].min() < -1.5
        assert torch.equal(first["video"], second["video"])


def test_choice_of_labels_videos_paths_and_sound(folder: Path) -> None:
    path = str(folder / "labels.json")
    dataset = make(folder, filtered_labels=["read"], label_id_map=None, label_id_map_path=path)
    assert [s["labels"] for s in dataset] == [["read"]]
    dataset = make(folder, eligible_video_uids=["a"], audio_transform_type="mfcc")
    sample = next(iter(dataset))
    torch.testing.assert_close(sample["spectrogram"], mfcc(sample["audio"]["signal"], 48000))
    assert [s["video_uid"] for s in dataset] == ["a", "a"]
    swapped = make(folder, video_path_override=lambda uid: str(folder / "b.mp4"))
    assert {s["video_name"] for s in swapped} == {"b.mp4"}
    plain = make(folder, decode_audio=False, window_sec=0, transform=lambda sample: sample)
    sample = next(iter(plain))
    assert "audio" not in sample and "spectrogram" not in sample
    assert sample["video"].shape == (3, 30, 48, 64)
    assert sample["video"].max() > 200


def test_clips_that_cannot_be_used_are_listed(folder: Path, tmp_path: Path) -> None:
    dataset = make(folder, window_sec=5)
    with pytest.warns(UserWarning, match="a clip has 90 frames, not 150") as caught:
        assert list(dataset) == []
    assert len(caught) == 2  # one for each file
    assert {clip.clip_end_sec for clip in dataset.skipped} == {5}
    lines = (folder / "a.csv").read_text().splitlines(keepends=True)
    (tmp_path / "a.csv").write_text("".join(lines[:150]))
    options: dict[str, Any] = {"imu": True, "imu_path": str(tmp_path), "eligible_video_uids": "a"}
    with pytest.warns(UserWarning, match="a clip has 0 rows of measurements, not 200 at least"):
        assert list(make(folder, **options)) == []
    with pytest.raises(RuntimeError, match=r"a\.mp4, 1 to 2 s: a clip has 0 rows"):
        list(make(folder, on_error="raise", **options))
    (tmp_path / "a.csv").write_text("accl_x\n1\n")
    with pytest.warns(UserWarning, match="expected a header with the columns"):
        assert list(make(folder, **options)) == []


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"split": None}, "`split` to be one of train, val, test, but got 'None'"),
        ({"label_id_map": None}, "one of `label_id_map` and `label_id_map_path`"),
        ({"label_id_map_path": "x"}, "one of `label_id_map` and `label_id_map_path`"),
        ({"audio_transform_type": "wavelet"}, "`audio_transform_type` to be one of melspectrogram"),
        ({"imu": True}, "Expected `imu_path`"),
        ({"label_id_map": {"cok": 0}}, "The label 'cook' has no id. Did you mean cok"),
        ({"filtered_labels": ["fly"]}, "no label that is to be used in the split 'train'"),
        ({"split": "val"}, "has no video gone, which"),
    ],
)
def test_wrong_arguments(folder: Path, changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        make(folder, **changes)


def test_bad_annotations(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "moments.json"
    file.write_text('{"videos": [{"video_uid": "a"}]}')
    for arguments in ((file, folder / "ego4d.json"), (folder / "moments.json", file)):
        annotations, metadata = map(str, arguments)
        if metadata == str(file):
            file.write_text('{"clips": []}')
        with pytest.raises(ValueError, match=r"moments\.json: .*KeyError"):
            Ego4dMomentsDataset(annotations, metadata, "train", label_id_map=LABELS)
