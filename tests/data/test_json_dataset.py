# SPDX-License-Identifier: Apache-2.0
"""Datasets of one json file, and clips out of annotated stretches."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, SequentialSampler

from pytorchvideo.data import make_clip_sampler
from pytorchvideo.data.json_dataset import (
    UntrimmedClipSampler,
    clip_recognition_dataset,
    clip_recognition_names,
    video_only_dataset,
)


def annotation(start: float, end: float, noun: Any, verb: Any, **unsure: bool) -> dict[str, Any]:
    return {
        "critical_frame_selection_parent_start_sec": start,
        "critical_frame_selection_parent_end_sec": end,
        "taxonomy": {
            **{"noun": noun, "verb": verb, "noun_unsure": False, "verb_unsure": None},
            **unsure,
        },
    }


def document(videos: dict[str, list[dict[str, Any]]]) -> str:
    return json.dumps(
        {name: {"benchmarks": {"forecasting_hands_objects": a}} for name, a in videos.items()}
    )


@pytest.fixture
def folder(tmp_path: Path, make_video: Callable[..., Path]) -> Path:
    for name in ("a.mp4", "b.mp4"):
        make_video(name, folder=tmp_path, num_frames=40, fps=10, options={"g": "1"})
    found = {
        "a.mp4": [
            annotation(1, 2.5, "pan", "take"),
            annotation(0, 1, "cup", "take", noun_unsure=True),
            annotation(0, 1, None, "take"),
        ],
        "b.mp4": [annotation(2, 3, "cup", "wash"), annotation(3, 4, "egg", "take")],
    }
    (tmp_path / "train.json").write_text(document(found))
    return tmp_path


@pytest.mark.parametrize("workers", [0, 2])
def test_clips_of_stretches(folder: Path, workers: int) -> None:
    dataset = clip_recognition_dataset(
        str(folder / "train.json"),
        make_clip_sampler("uniform", Fraction(1, 2)),
        SequentialSampler,
        video_path_prefix=str(folder),
    )
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    for _ in range(2):
        samples = sorted(loader, key=lambda s: (s["video_index"], s["clip_index"]))
        # blue of frame t is 7 t: the frames come from the stretch, all of it
        starts = [s["video"][2, 0, 30:].mean().item() / 7 for s in samples]
        assert starts == pytest.approx([10, 15, 20, 20, 25, 30, 35], abs=0.5)
        assert [s["video_index"] for s in samples] == [0, 0, 0, 1, 1, 2, 2]
        for sample in samples:
            assert list(sample) == [
                *("video", "video_name", "video_index", "clip_index", "aug_index"),
                *("clip_start_sec", "clip_end_sec", "noun_label", "verb_label"),
            ]
            assert sample["video"].shape == (3, 5, 48, 64)
            assert sample["video"].dtype == torch.float32
        last = samples[-1]
        assert (last["video_name"], last["clip_start_sec"], last["clip_end_sec"]) == ("b.mp4", 3, 4)
        labels = [(s["noun_label"], s["verb_label"]) for s in samples]
        assert labels == [(2, 0)] * 3 + [(0, 1)] * 2 + [(1, 0)] * 2


@pytest.mark.slow  # two interpreters
def test_label_ids_do_not_depend_on_the_hash_seed(folder: Path) -> None:
    code = (
        "from pytorchvideo.data.json_dataset import clip_recognition_names as names;"
        f"print(names({str(folder / 'train.json')!r}))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert seen == {"(['cup', 'egg', 'pan'], ['take', 'wash'])\n"}


def test_validation_uses_the_names_of_training(folder: Path) -> None:
    val = folder / "val.json"
    val.write_text(document({"a.mp4": [annotation(0, 1, "pan", "wash")]}))
    nouns, verbs = clip_recognition_names(str(folder / "train.json"))
    assert (nouns, verbs) == (["cup", "egg", "pan"], ["take", "wash"])
    clips = make_clip_sampler("random", 1)

    def make(**names: list[str]) -> Any:
        return clip_recognition_dataset(str(val), clips, video_path_prefix=str(folder), **names)

    (own,), (given,) = make(), make(nouns=nouns, verbs=verbs)
    assert (own["noun_label"], own["verb_label"]) == (0, 0)
    assert (given["noun_label"], given["verb_label"]) == (2, 1)
    with pytest.raises(ValueError, match=r"no 'pan' in `nouns`\. Did you mean pans"):
        make(nouns=["pans"])


def test_video_only(folder: Path) -> None:
    dataset = video_only_dataset(
        str(folder / "train.json"),
        make_clip_sampler("constant_clips_per_video", 1, 1),
        SequentialSampler,
        video_path_prefix=str(folder),
    )
    for _ in range(2):
        samples = list(dataset)
        assert [s["video_name"] for s in samples] == ["a.mp4", "b.mp4"]
        assert list(samples[0]) == [
            *("video", "video_name", "video_index", "clip_index", "aug_index"),
        ]


def test_bad_files(tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    clips = make_clip_sampler("random", 1)
    with pytest.raises(FileNotFoundError, match=r"no file .*bad\.json"):
        video_only_dataset(str(file), clips)
    file.write_text('{\n"a.mp4": }')
    with pytest.raises(ValueError, match=r"bad\.json, line 2: not json"):
        video_only_dataset(str(file), clips)
    for text in ("[]", "{}"):
        file.write_text(text)
        with pytest.raises(ValueError, match=r"expected an object `\{video_name: annotation\}`"):
            video_only_dataset(str(file), clips)
    file.write_text('{"a.mp4": {"benchmarks": {"forecasting_hands_objects": [{}]}}}')
    with pytest.raises(ValueError, match=r"video 'a\.mp4': an annotation cannot be read: KeyError"):
        clip_recognition_dataset(str(file), clips)
    file.write_text(document({"a.mp4": [annotation(0, 1, None, None)]}))
    with pytest.raises(ValueError, match="no annotation with a noun and a verb"):
        clip_recognition_dataset(str(file), clips)


STRETCH = {"clip_start_sec": 10.0, "clip_end_sec": 14.0}


def test_random_clips_are_spread_over_the_stretch() -> None:
    sampler = UntrimmedClipSampler(make_clip_sampler("random", 1))
    starts = [float(sampler(None, 100, STRETCH).clip_start_sec) for _ in range(300)]
    assert 10 <= min(starts) < 10.1
    assert 12.9 < max(starts) <= 13
    several = UntrimmedClipSampler(make_clip_sampler("random_multi", 1, 5))(None, 100, STRETCH)
    assert isinstance(several.clip_start_sec, list)
    assert all(10 <= start <= 13 for start in several.clip_start_sec)
    ends = [start + 1 for start in several.clip_start_sec]
    assert several.clip_end_sec == ends


def test_reset_reaches_the_wrapped_sampler() -> None:
    inner = make_clip_sampler("constant_clips_per_video", 1, 3)
    sampler = UntrimmedClipSampler(inner)
    first = sampler(None, 100, STRETCH)
    second = sampler(first.clip_end_sec, 100, STRETCH)
    assert (first.clip_start_sec, second.clip_start_sec) == (10, Fraction(23, 2))
    sampler.reset()
    assert sampler(None, 100, STRETCH) == first


def test_a_stretch_ends_with_its_video() -> None:
    sampler = UntrimmedClipSampler(make_clip_sampler("uniform", 1))
    clips = [sampler(None, 12, STRETCH)]
    while not clips[-1].is_last_clip:
        clips.append(sampler(clips[-1].clip_end_sec, 12, STRETCH))  # type: ignore[arg-type]
    assert [clip.clip_start_sec for clip in clips] == [10, 11]
