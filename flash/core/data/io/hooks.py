# SPDX-License-Identifier: Apache-2.0
"""Transform hooks as a dict: the stages of a sample's way to the model.

::

    in the loader's worker, per sample     pre_tensor_transform, to_tensor_transform, post_tensor_transform
    in the loader's worker, per batch      collate, per_batch_transform
    on the model's device, per sample      per_sample_transform_on_device (then collate)
    on the model's device, per batch       per_batch_transform_on_device

``flash.core.data.io.input_transform.InputTransform`` is the same as a class.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import default_collate
from torchvision.transforms import Compose

from flash.core.data.io.input import Sample
from flash.core.data.transforms import ApplyToKeys, in_own_names
from pytorchvideo._checks import near_names
from pytorchvideo.transforms import ApplyTransformToKey
from pytorchvideo.transforms._pipeline import steps

SAMPLE_HOOKS = ("pre_tensor_transform", "to_tensor_transform", "post_tensor_transform")
#: Every key that a dict of transforms may have.
HOOK_NAMES = (
    *SAMPLE_HOOKS,
    "collate",
    "per_batch_transform",
    "per_sample_transform_on_device",
    "per_batch_transform_on_device",
)


def collate_samples(samples: Sequence[Any]) -> Sample:
    """Joins sample dicts into one batch dict: tensors stacked, numbers as tensors, the rest as lists.

    Samples that are lists of dicts (several clips of one video) are flattened first. Sounds of
    different lengths stay a list, since padding them is the model's decision.

    Raises:
        ValueError: if the clips of the batch differ in shape.

    >>> batch = collate_samples([{"video": torch.zeros(3, 2, 4, 4), "label": 1, "video_name": "a.mp4"}])
    >>> batch["video"].shape, batch["label"], batch["video_name"]
    (torch.Size([1, 3, 2, 4, 4]), tensor([1]), ['a.mp4'])
    """
    flat = _flat(samples)
    batch = Sample()
    for key in flat[0]:
        values = [sample[key] for sample in flat if key in sample]
        # a sound that only some of the videos have cannot be a tensor either
        batch[key] = values if len(values) != len(flat) else _join(key, values, flat)
    return batch


def _flat(samples: Sequence[Any]) -> list[Sample]:
    """The samples one by one, by either name of their entries."""
    flat: list[Sample] = []
    for sample in samples:
        flat.extend(map(Sample, sample) if isinstance(sample, list) else [Sample(sample)])
    return flat


def _join(key: str, values: list[Any], samples: Sequence[Mapping[str, Any]]) -> Any:
    first = values[0]
    if isinstance(first, torch.Tensor):
        shapes = {tuple(value.shape) for value in values}
        if len(shapes) > 1 and key == "audio":
            return values
        if len(shapes) > 1:
            names = [str(sample.get("video_name", "?")) for sample in samples]
            listing = ", ".join(f"{n} {tuple(v.shape)}" for n, v in zip(names, values, strict=True))
            raise ValueError(
                f"Expected every {key!r} of a batch to have one shape, but got {listing}. Use a "
                "transform that subsamples and crops to a fixed size, or batch_size=1."
            )
    if isinstance(first, (str, type(None))):
        return values
    return default_collate(values)


class TransformHooks:
    """The hooks of one stage, checked once.

    Args:
        transform: None (samples pass through), one callable on the sample dict, or a dict with
            keys of ``HOOK_NAMES``.

    Raises:
        TypeError: for anything else, or a hook that cannot be called.
        ValueError: for an unknown key, and for ``per_batch_transform`` together with
            ``per_sample_transform_on_device``: the one needs the batch before the other could make it.
    """

    def __init__(self, transform: Callable[..., Any] | Mapping[str, Any] | None = None) -> None:
        if transform is None:
            hooks: dict[str, Callable[..., Any]] = {}
        elif isinstance(transform, Mapping):
            hooks = {
                name: _checked(name, hook) for name, hook in transform.items() if hook is not None
            }
        elif callable(transform):
            hooks = {"post_tensor_transform": transform}
        else:
            raise TypeError(
                "Expected a transform to be a callable or a dict with keys of "
                f"{', '.join(HOOK_NAMES)}, but got {type(transform).__name__}."
            )
        if "per_batch_transform" in hooks and "per_sample_transform_on_device" in hooks:
            raise ValueError(
                "Expected only one of `per_batch_transform` and `per_sample_transform_on_device`, but got "
                "both: samples that are transformed on the device are joined to a batch only after that."
            )
        self._hooks = hooks
        self._has_checked_range = False

    @property
    def collates_on_device(self) -> bool:
        """Whether batches are put together on the device instead of in the worker."""
        return "per_sample_transform_on_device" in self._hooks

    @property
    def sample_transform(self) -> Callable[..., Any] | None:
        """The pre, to and post hooks in this order, which the dataset applies to each sample."""
        hooks = [in_own_names(self._hooks[name]) for name in SAMPLE_HOOKS if name in self._hooks]
        if len(hooks) < 2:
            return hooks[0] if hooks else None
        return Compose(hooks)

    def collate(self, samples: Sequence[Any]) -> Any:
        """The loader's ``collate_fn``: a batch, or the samples as they are for the device's hooks."""
        if self.collates_on_device:
            return _flat(samples)
        batch = self._hooks.get("collate", collate_samples)(samples)
        return self._apply("per_batch_transform", batch)

    def on_device(self, batch: Any) -> Any:
        """The device's hooks, after the transfer."""
        if self.collates_on_device:
            samples = [self._apply("per_sample_transform_on_device", sample) for sample in batch]
            batch = self._hooks.get("collate", collate_samples)(samples)
        hook = self._hooks.get("per_batch_transform_on_device")
        if hook is not None and not self._has_checked_range:
            self._has_checked_range = True
            _warn_of_range(hook, batch)
        return self._apply("per_batch_transform_on_device", batch)

    def _apply(self, name: str, value: Any) -> Any:
        result = self._hooks[name](value) if name in self._hooks else value
        return Sample(result) if type(result) is dict else result

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._hooks)})"


def _checked(name: str, hook: Any) -> Callable[..., Any]:
    if name not in HOOK_NAMES:
        raise ValueError(
            f"Expected the keys of a transform dict to be among {', '.join(HOOK_NAMES)}, but got {name!r}. "
            f"{near_names(str(name), HOOK_NAMES)}"
        )
    if not callable(hook):
        raise TypeError(
            f"Expected the hook {name!r} to be callable, but got {type(hook).__name__}."
        )
    return hook


def _warn_of_range(hook: Callable[..., Any], batch: Any) -> None:
    """Warns if clips in 0..255 come to kornia, which clamps them to 0..1: nearly all of a clip is then white."""
    clips = batch.get("video") if isinstance(batch, Mapping) else None
    if not isinstance(clips, torch.Tensor) or not _begins_with_kornia(hook):
        return
    brightest = float(clips.max())
    if brightest > 2:
        warnings.warn(
            f"Clips with values up to {brightest:g} come to kornia, whose augmentations take 0..1 and clamp the "
            "rest. Put pytorchvideo.transforms.Div255() into the transform of the samples.",
            stacklevel=2,
        )


def _begins_with_kornia(transform: Any) -> bool:
    while True:
        if isinstance(transform, (ApplyToKeys, ApplyTransformToKey)):
            transform = transform.transform
            continue
        parts = steps(transform)
        if not parts or parts[0] is transform:
            return type(transform).__module__.startswith("kornia.")
        transform = parts[0]
