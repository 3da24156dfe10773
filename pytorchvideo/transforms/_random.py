# SPDX-License-Identifier: Apache-2.0
"""Random numbers from torch's global generator or from a given one."""

import math

import torch
from torch import nn
from torch.utils.data import get_worker_info


class RandomTransform(nn.Module):
    """Base of the transforms that draw random numbers.

    Args:
        generator: where they come from, on the CPU; None is torch's global generator, which a
            ``DataLoader`` seeds differently in each worker. A generator of one's own, which may be
            shared by any number of transforms, is seeded anew in each worker as well: with the sum of
            its seed and the worker's.
    """

    __jit_unused_properties__ = ("generator",)

    def __init__(self, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self._generator = generator
        self._seed = None if generator is None else generator.initial_seed()

    @property
    def generator(self) -> torch.Generator | None:
        """The generator to draw from in this process."""
        worker = get_worker_info()
        if self._generator is not None and self._seed is not None and worker is not None:
            # All workers hold copies in one state, and would draw the same numbers. Transforms that
            # share a generator find it seeded by the first of them.
            seed = (self._seed + worker.seed) % 2**63
            if self._generator.initial_seed() != seed:
                self._generator.manual_seed(seed)
        return self._generator


def uniform(low: float, high: float, generator: torch.Generator | None = None) -> float:
    """A number in ``[low, high)``."""
    drawn = torch.rand((), generator=generator, dtype=torch.float64).item()
    return low + (high - low) * drawn


def happens(probability: float, generator: torch.Generator | None = None) -> bool:
    """True with a probability; one number is drawn whatever it is."""
    return uniform(0, 1, generator) < probability


def integer(low: int, high: int, generator: torch.Generator | None = None) -> int:
    """A whole number in ``[low, high]``, both included."""
    return int(torch.randint(low, high + 1, (1,), generator=generator).item())


def _log_gamma_variate(shape: float, generator: torch.Generator | None) -> float:
    """The logarithm of a number from the gamma distribution.

    Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26 (2000); torch
    has it in public only for its global generator. Logarithms, as numbers of shapes near 0 are
    smaller than any float.
    """
    if shape < 1:
        boost = math.log(1 - uniform(0, 1, generator)) / shape
        return _log_gamma_variate(shape + 1, generator) + boost
    d = shape - 1 / 3
    while True:
        x = torch.randn((), generator=generator, dtype=torch.float64).item()
        v = (1 + x / math.sqrt(9 * d)) ** 3
        bar = math.log(1 - uniform(0, 1, generator))
        if v > 0 and bar < x * x / 2 + d * (1 - v + math.log(v)):
            return math.log(d * v)


def dirichlet(alpha: float, count: int, generator: torch.Generator | None = None) -> list[float]:
    """``count`` shares that sum to 1, from the symmetric Dirichlet distribution."""
    logs = [_log_gamma_variate(alpha, generator) for _ in range(count)]
    return torch.tensor(logs, dtype=torch.float64).softmax(0).tolist()


def beta(alpha: float, generator: torch.Generator | None = None) -> float:
    """A share in [0, 1] from the distribution Beta(alpha, alpha)."""
    return dirichlet(alpha, 2, generator)[0]
