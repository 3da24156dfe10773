# SPDX-License-Identifier: Apache-2.0
"""The ``sampler`` argument of datasets."""

import inspect
from functools import partial
from typing import Any

from torch.utils.data import Sampler


def sampler_of(sampler: Any, data: Any) -> Any:
    """Returns the sampler that an argument means for some data.

    Args:
        sampler: a class of samplers, or another callable, which gets the data; ``functools.partial`` of a class that
            has all that it asks for, such as WeightedRandomSampler with its weights, which does not; or a sampler.
        data: what is ordered.

    >>> from torch.utils.data import SequentialSampler, SubsetRandomSampler
    >>> list(sampler_of(SequentialSampler, "ab"))
    [0, 1]
    >>> list(sampler_of(partial(SubsetRandomSampler, [1]), "ab"))
    [1]
    """
    if isinstance(sampler, Sampler) or not callable(sampler):
        return sampler
    return sampler() if isinstance(sampler, partial) and _is_complete(sampler) else sampler(data)


def _is_complete(sampler: partial[Any]) -> bool:
    """Whether the class of a partial asks for nothing more."""
    made = sampler.func
    if not inspect.isclass(made) or not issubclass(made, Sampler):
        return False
    parameters = inspect.signature(sampler).parameters.values()
    named = (p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
    return all(p.default is not p.empty for p in named)
