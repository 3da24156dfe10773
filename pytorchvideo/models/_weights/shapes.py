# SPDX-License-Identifier: Apache-2.0
"""Networks without memory, built to learn the names and shapes of their tensors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

# The first random number of a tensor without memory has torch import its compiler: more than a second.
_RANDOM: frozenset[Any] = frozenset(
    {Tensor.normal_, Tensor.uniform_, init.normal_, init.uniform_, init.kaiming_uniform_}
)


class _Unfilled(TorchFunctionMode):
    """Leaves tensors without memory as they are where they would get random numbers."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        tensor = args[0] if args else named.get("tensor")
        if func in _RANDOM and isinstance(tensor, Tensor) and tensor.is_meta:
            return tensor
        return func(*args, **named)


@contextmanager
def shapes_only() -> Iterator[None]:
    """While it lasts, modules are made on the meta device, and soon.

    >>> with shapes_only():
    ...     layer = torch.nn.Linear(10**6, 10**6)
    >>> layer.weight.is_meta
    True
    """
    with torch.device("meta"), _Unfilled():
        yield
