# SPDX-License-Identifier: Apache-2.0
"""Transforms as classes, partials, dicts and callables: the same hooks; entries by either name."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.transforms import Compose

from flash.core.data.io.hooks import TransformHooks, collate_samples
from flash.core.data.io.input import DataKeys, Sample
from flash.core.data.io.input_transform import InputTransform, resolve_transform
from flash.core.data.transforms import ApplyToKeys, in_own_names
from pytorchvideo.transforms import ApplyTransformToKey, UniformTemporalSubsample
from pytorchvideo.transforms._pushdown import temporal_frame_filter


@dataclass
class Added(InputTransform):
    """Adds a number of its own at each place, which shows where a sample has been."""

    scale: int = 1

    def per_sample_transform(self) -> Any:
        return ApplyToKeys(DataKeys.INPUT, lambda x: x + self.scale)

    def train_per_sample_transform(self) -> Any:
        return ApplyToKeys("input", lambda x: x + 2 * self.scale)

    def per_batch_transform(self) -> Any:
        return ApplyToKeys("video", lambda x: x + 10)

    def val_per_batch_transform_on_device(self) -> Any:
        return ApplyToKeys(DataKeys.INPUT, lambda x: x + 100)

    def predict_collate(self) -> Any:
        return lambda samples: {"input": torch.stack([s["input"] for s in samples]) + 1000}


def run(hooks: TransformHooks) -> Any:
    samples = [Sample(video=torch.zeros(1), label=0)]
    if hooks.sample_transform is not None:
        samples = [hooks.sample_transform(sample) for sample in samples]
    return hooks.on_device(hooks.collate(samples))["input"].item()


@pytest.mark.parametrize(
    ("stage", "sum_"), [("train", 12), ("val", 111), ("test", 11), ("predict", 1011)]
)
def test_methods_of_a_stage_go_before_the_others(stage: str, sum_: int) -> None:
    assert run(resolve_transform(Added(), stage)) == sum_
    assert run(resolve_transform(Added, stage)) == sum_
    assert run(resolve_transform(partial(Added, scale=1), stage)) == sum_


def test_arguments_of_what_is_not_built() -> None:
    assert run(resolve_transform(Added, "train", {"scale": 3})) == 16
    assert run(resolve_transform(partial(Added, scale=5), "train", {"scale": 3})) == 16
    with pytest.raises(TypeError, match="`transform_kwargs` to be None"):
        resolve_transform(Added(), "train", {"scale": 3})
    with pytest.raises(TypeError, match="unexpected keyword argument 'size'"):
        resolve_transform(Added, "train", {"size": 3})


def test_samples_on_the_device() -> None:
    class OnDevice(InputTransform):
        def per_sample_transform_on_device(self) -> Any:
            return ApplyToKeys("input", lambda x: x + 1)

        def per_batch_transform_on_device(self) -> Any:
            return ApplyToKeys("input", lambda x: 2 * x)

    assert run(resolve_transform(OnDevice(), "test")) == 2

    class Both(OnDevice):
        def per_batch_transform(self) -> Any:
            return str

    with pytest.raises(ValueError, match="only one of `per_batch_transform` and"):
        resolve_transform(Both(), "test")


@pytest.mark.parametrize(
    ("transform", "match"),
    [
        (["no"], "a callable or a dict with keys of pre_tensor_transform"),
        ("default", "a callable or a dict with keys of pre_tensor_transform"),
        (Compose, "Pass an instance, not the class"),
    ],
)
def test_what_is_no_transform(transform: Any, match: str) -> None:
    with pytest.raises(TypeError, match=match):
        resolve_transform(transform, "train")


def test_a_method_must_return_a_callable() -> None:
    class Wrong(InputTransform):
        def per_sample_transform(self) -> Any:
            return 3

    with pytest.raises(TypeError, match="'post_tensor_transform' to be callable, but got int"):
        resolve_transform(Wrong(), "train")


def test_a_partial_of_a_function_is_a_callable() -> None:
    def add(sample: Any, number: int) -> Any:
        return {**sample, "input": sample["input"] + number}

    # a plain dict with both names: the one that was just added counts
    assert run(resolve_transform(partial(add, number=7), "train")) == 7


def test_keys_one_by_one_and_together() -> None:
    sample = {"video": 3, "label": 1}
    assert ApplyToKeys("input", lambda x: x + 1, str)(sample) == {"video": "4", "label": 1}
    swapped = ApplyToKeys([DataKeys.INPUT, DataKeys.TARGET], lambda values: values[::-1])(sample)
    assert swapped == {"video": 1, "label": 3}
    assert ApplyToKeys("target", str)({"video": 3}) == {"video": 3}  # as in predict data
    with pytest.raises(KeyError, match="'audio' in the sample, but it has"):
        ApplyToKeys("audio", str)(sample)


@pytest.mark.parametrize(
    "transform",
    [
        ApplyToKeys(DataKeys.INPUT, UniformTemporalSubsample(2), nn.Identity()),
        Compose([ApplyToKeys("video", UniformTemporalSubsample(2)), lambda sample: sample]),
        ApplyTransformToKey("input", UniformTemporalSubsample(2)),
    ],
)
def test_the_dataset_recognises_the_beginning_by_either_name(transform: Any) -> None:
    named = TransformHooks(transform).sample_transform
    keep = temporal_frame_filter(named)
    assert keep is not None and keep([0, 1, 2, 3]) == [0, 3]
    clip = torch.arange(4.0).view(1, 4, 1, 1)
    assert named(Sample(video=clip))["video"].flatten().tolist() == [0, 3]


def test_what_needs_no_change_stays_itself() -> None:
    transform = Compose([ApplyTransformToKey("video", abs), ApplyToKeys("label", abs)])
    assert in_own_names(transform) is transform


def test_clips_in_255_that_come_to_kornia_are_told_of_once() -> None:
    kornia = pytest.importorskip("kornia.augmentation")
    jitter = kornia.VideoSequential(
        kornia.ColorJitter(0.1, 0.1, 0.1, 0.1), data_format="BCTHW", same_on_frame=True
    )
    batch = collate_samples([{"video": torch.full((3, 2, 4, 4), 200.0)}])
    hooks = TransformHooks({"per_batch_transform_on_device": ApplyTransformToKey("video", jitter)})
    with pytest.warns(UserWarning, match="values up to 200 come to kornia"):
        hooks.on_device(batch.copy())
    hooks.on_device(batch.copy())
    scaled = Compose([lambda x: x / 255, jitter])
    for hook in (ApplyToKeys("input", scaled), Compose([])):
        TransformHooks({"per_batch_transform_on_device": hook}).on_device(batch.copy())
