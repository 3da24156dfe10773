# SPDX-License-Identifier: Apache-2.0
"""Transforms as a class with a method for each hook."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flash.core.data.io.hooks import TransformHooks
from pytorchvideo._checks import expected

Transform = Callable[..., Any] | None


class InputTransform:
    """What happens to the samples and batches of every stage.

    A method returns a callable, or None for nothing. Each may be written for one stage by putting
    ``train_``, ``val_``, ``test_`` or ``predict_`` before its name, e.g. ``train_per_sample_transform``; the
    method without a stage is for the others. Subclasses may be dataclasses.

    >>> from flash.core.data.transforms import ApplyToKeys
    >>> class Halved(InputTransform):
    ...     def per_sample_transform(self):
    ...         return ApplyToKeys("input", lambda clip: clip / 2)
    ...     def train_per_batch_transform_on_device(self):
    ...         return ApplyToKeys("input", lambda clips: -clips)
    >>> Halved().hooks("train"), Halved().hooks("val")
    (TransformHooks(post_tensor_transform, per_batch_transform_on_device), TransformHooks(post_tensor_transform))
    """

    def per_sample_transform(self) -> Transform:
        """In the loader's worker, on a sample dict."""
        return None

    def collate(self) -> Transform:
        """In the worker, from a list of samples to a batch; on the device after a hook for samples there."""
        return None

    def per_batch_transform(self) -> Transform:
        """In the worker, on a batch."""
        return None

    def per_sample_transform_on_device(self) -> Transform:
        """On the model's device, on a sample, before the samples become a batch."""
        return None

    def per_batch_transform_on_device(self) -> Transform:
        """On the model's device, on a batch."""
        return None

    def hooks(self, stage: str) -> TransformHooks:
        """Returns the hooks of a stage: ``"train"``, ``"val"``, ``"test"`` or ``"predict"``."""
        return TransformHooks({hook: self._made(stage, name) for name, hook in _HOOKS.items()})

    def _made(self, stage: str, name: str) -> Any:
        method = getattr(self, f"{stage}_{name}", None) or getattr(self, name)
        return method()


_HOOKS = {
    "per_sample_transform": "post_tensor_transform",
    "collate": "collate",
    "per_batch_transform": "per_batch_transform",
    "per_sample_transform_on_device": "per_sample_transform_on_device",
    "per_batch_transform_on_device": "per_batch_transform_on_device",
}


def resolve_transform(
    transform: Any, stage: str, kwargs: Mapping[str, Any] | None = None
) -> TransformHooks:
    """Returns the hooks of a stage from any form of a transform.

    Args:
        transform: None, a callable on the sample, a dict of hooks, or an :class:`InputTransform`: an
            instance, the class, or a ``functools.partial`` of the class.
        stage: which methods of an InputTransform count.
        kwargs: arguments for an InputTransform that is not built yet.

    Raises:
        TypeError: for any other form, or ``kwargs`` for what is built already.
        ValueError: for a dict with an unknown key.
    """
    maker = transform.func if isinstance(transform, partial) else transform
    if inspect.isclass(maker):
        if not issubclass(maker, InputTransform):
            advice = "Pass an instance, not the class."
            raise TypeError(expected("transform", "a transform", maker.__name__, advice))
        transform = transform(**(kwargs or {}))
    elif kwargs:
        wanted = "None for a transform that is built already"
        raise TypeError(expected("transform_kwargs", wanted, dict(kwargs)))
    return (
        transform.hooks(stage)
        if isinstance(transform, InputTransform)
        else TransformHooks(transform)
    )
