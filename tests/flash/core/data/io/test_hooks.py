# SPDX-License-Identifier: Apache-2.0
"""Dicts of transforms: order, place, and what is refused."""

from typing import Any

import pytest
import torch

from flash.core.data.io.hooks import HOOK_NAMES, TransformHooks, collate_samples


def tracer(calls: list[str], name: str) -> Any:
    def hook(value: Any) -> Any:
        calls.append(name)
        return collate_samples(value) if name == "collate" else value

    return hook


def run(hooks: TransformHooks, samples: list[dict[str, Any]]) -> Any:
    """What dataset, loader and device do one after the other."""
    if hooks.sample_transform is not None:
        samples = [hooks.sample_transform(sample) for sample in samples]
    return hooks.on_device(hooks.collate(samples))


def test_order_of_all_hooks() -> None:
    calls: list[str] = []
    names = [name for name in HOOK_NAMES if name != "per_sample_transform_on_device"]
    run(TransformHooks({name: tracer(calls, name) for name in names}), [{"label": 1}])
    assert calls == [
        "pre_tensor_transform",
        "to_tensor_transform",
        "post_tensor_transform",
        "collate",
        "per_batch_transform",
        "per_batch_transform_on_device",
    ]


def test_samples_for_the_device_are_collated_after_their_hook() -> None:
    calls: list[str] = []
    names = ("per_sample_transform_on_device", "collate", "per_batch_transform_on_device")
    hooks = TransformHooks({name: tracer(calls, name) for name in names})
    assert hooks.collate([{"label": 1}, {"label": 2}]) == [{"label": 1}, {"label": 2}]
    batch = run(hooks, [{"label": 1}, {"label": 2}])
    assert calls == ["per_sample_transform_on_device"] * 2 + [
        "collate",
        "per_batch_transform_on_device",
    ]
    assert batch["label"].tolist() == [1, 2]


def test_a_callable_is_a_sample_transform_and_passes_through_unwrapped() -> None:
    def transform(sample: dict[str, Any]) -> dict[str, Any]:
        return {**sample, "seen": 1}

    # unwrapped, so that the dataset can look into it
    assert TransformHooks(transform).sample_transform is transform
    assert TransformHooks({"post_tensor_transform": transform}).sample_transform is transform
    assert TransformHooks(None).sample_transform is None
    assert run(TransformHooks(transform), [{"label": 0}])["seen"].tolist() == [1]


def test_none_as_a_hook_is_no_hook() -> None:
    assert TransformHooks({"post_tensor_transform": None}).sample_transform is None


@pytest.mark.parametrize("name", ["per_sample_transform", "post_tensor", "load_sample"])
def test_unknown_key_names_the_allowed_ones(name: str) -> None:
    with pytest.raises(ValueError, match=rf"per_batch_transform_on_device, but got '{name}'"):
        TransformHooks({name: len})


def test_other_kinds_are_refused() -> None:
    with pytest.raises(TypeError, match="a callable or a dict with keys of pre_tensor_transform"):
        TransformHooks([len])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="'collate' to be callable, but got int"):
        TransformHooks({"collate": 3})  # type: ignore[dict-item]


def test_batch_hook_before_the_batch_exists_is_refused() -> None:
    with pytest.raises(ValueError, match="only one of `per_batch_transform` and"):
        TransformHooks({"per_batch_transform": len, "per_sample_transform_on_device": len})


def test_collate_stacks_tensors_and_keeps_texts() -> None:
    samples = [
        {"video": torch.full((3, 2, 4, 4), float(i)), "label": i, "video_name": f"{i}"}
        for i in (1, 2)
    ]
    batch = collate_samples(samples)
    assert batch["video"].shape == (2, 3, 2, 4, 4)
    assert batch["video"][:, 0, 0, 0, 0].tolist() == [1, 2]
    assert batch["label"].dtype == torch.int64
    assert batch["video_name"] == ["1", "2"]


def test_collate_flattens_several_clips_of_a_video() -> None:
    batch = collate_samples([[{"label": 1}, {"label": 1}], [{"label": 0}, {"label": 0}]])
    assert batch["label"].tolist() == [1, 1, 0, 0]


def test_sounds_of_different_lengths_or_missing_stay_a_list() -> None:
    batch = collate_samples(
        [{"audio": torch.zeros(3), "label": 0}, {"audio": torch.zeros(5), "label": 1}]
    )
    assert [sound.shape[0] for sound in batch["audio"]] == [3, 5]
    batch = collate_samples([{"label": 0, "audio": torch.zeros(3)}, {"label": 1}])
    assert len(batch["audio"]) == 1


def test_clips_of_different_sizes_are_named() -> None:
    samples = [{"video": torch.zeros(3, n, 4, 4), "video_name": f"{n}.mp4"} for n in (2, 5)]
    with pytest.raises(ValueError, match=r"2.mp4 \(3, 2, 4, 4\), 5.mp4 \(3, 5, 4, 4\)"):
        collate_samples(samples)
