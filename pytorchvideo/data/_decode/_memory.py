# SPDX-License-Identifier: Apache-2.0
"""Reuse of the memory of freed clips.

Eight float frames of 1080p are 190 MB, and the kernel takes as long to hand out so many fresh pages as their conversion
takes, several times as long on a busy virtual machine. So some memory is kept. Huge pages would be faster where they
are at hand, and far slower where they are not.
"""

import weakref

import numpy as np
import torch

_LEAST_BYTES = 1 << 20  # less comes out of memory that the process has anyway
_NUMPY = {torch.uint8: np.uint8, torch.float32: np.float32}


class ClipMemory:
    """Empty tensors, whose memory comes back here when nothing refers to them any more.

    Args:
        kept_bytes: the most to keep of what came back.
    """

    def __init__(self, kept_bytes: int) -> None:
        self._kept_bytes = kept_bytes
        # uint8 (N,) by id, the latest last. Other threads, and the collector of garbage at any line, give back as well:
        # each step on the dict is a single one.
        self._kept: dict[int, np.ndarray] = {}

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """Returns a contiguous tensor of torch.uint8 or torch.float32 with any values."""
        kind = np.dtype(_NUMPY[dtype])
        size = int(np.prod(shape)) * kind.itemsize
        if size < _LEAST_BYTES:
            return torch.empty(shape, dtype=dtype)
        memory = self._take(size)
        if memory is None:
            memory = torch.empty(size, dtype=torch.uint8).numpy()
        array = memory[:size].view(kind).reshape(shape)
        # The tensor keeps this array, and views of the tensor keep its storage.
        weakref.finalize(array, self._give_back, memory).atexit = False
        return torch.from_numpy(array)

    def _take(self, size: int) -> np.ndarray | None:
        """Memory that is large enough, and not too large, the latest first: it may still be in the cache."""
        for name, memory in reversed(list(self._kept.items())):
            if size <= memory.size <= 2 * size and self._kept.pop(name, None) is not None:
                return memory
        return None

    def _give_back(self, memory: np.ndarray) -> None:
        if memory.size > self._kept_bytes:
            return
        self._kept[id(memory)] = memory
        excess = sum(kept.size for kept in list(self._kept.values())) - self._kept_bytes
        for name, kept in list(self._kept.items()):
            if excess <= 0:
                return
            self._kept.pop(name, None)
            excess -= kept.size


clip_memory = ClipMemory(256 << 20)
