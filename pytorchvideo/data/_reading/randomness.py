# SPDX-License-Identifier: Apache-2.0
"""Random numbers from named seeds, without global state."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch


@contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Makes Python's, numpy's and torch's random numbers a function of ``numbers`` for a while.

    Args:
        numbers: whole numbers >= 0, such as a seed, an epoch and an index.

    >>> with seeded(0, 3):
    ...     first = random.random()
    >>> with seeded(0, 3):
    ...     first == random.random()
    True
    """
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002


class Worker(NamedTuple):
    """A worker of a ``DataLoader``: its number, how many there are, and its seed of this loader."""

    id: int
    num_workers: int
    seed: int

    @property
    def base_seed(self) -> int:
        """The same in all workers of a loader."""
        return self.seed - self.id


def current_worker() -> Worker | None:
    """Returns the worker that this process is, None outside of workers.

    ``torch.utils.data.get_worker_info`` is looked up at each call, so that tests may replace it; what they put in its
    place need not have a seed.
    """
    info = torch.utils.data.get_worker_info()
    if info is None:
        return None
    seed = getattr(info, "seed", None)
    if not isinstance(seed, int):
        seed = torch.initial_seed() + info.id
    return Worker(info.id, info.num_workers, seed)
