# SPDX-License-Identifier: Apache-2.0
"""Random numbers for transforms: their distributions, and whose generator they come from."""

import copy
import math
import pickle

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from pytorchvideo.transforms import _random


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("alpha", [0.05, 0.4, 1.0, 3.0])
def test_beta_has_its_moments(alpha: float) -> None:
    generator = seeded(1)
    drawn = torch.tensor([_random.beta(alpha, generator) for _ in range(3000)])
    assert ((drawn >= 0) & (drawn <= 1)).all()
    variance = 1 / (4 * (2 * alpha + 1))
    assert drawn.mean().item() == pytest.approx(0.5, abs=4 * math.sqrt(variance / 3000))
    assert drawn.var().item() == pytest.approx(variance, rel=0.1)


def test_dirichlet_has_its_moments() -> None:
    generator, alpha, count = seeded(2), 0.7, 4
    drawn = torch.tensor([_random.dirichlet(alpha, count, generator) for _ in range(3000)])
    torch.testing.assert_close(drawn.sum(1), torch.ones(3000))
    torch.testing.assert_close(drawn.mean(0), torch.full((count,), 1 / count), atol=0.02, rtol=0)
    variance = (count - 1) / (count**2 * (count * alpha + 1))
    torch.testing.assert_close(drawn.var(0), torch.full((count,), variance), atol=0, rtol=0.1)


def test_limits() -> None:
    generator = seeded(3)
    assert {_random.integer(2, 4, generator) for _ in range(60)} == {2, 3, 4}
    assert all(-1 <= _random.uniform(-1, 2, generator) < 2 for _ in range(60))
    assert not any(_random.happens(0.0, generator) for _ in range(60))
    assert all(_random.happens(1.0, generator) for _ in range(60))


def test_global_generator_is_the_default() -> None:
    torch.manual_seed(5)
    first = [_random.uniform(0, 1), _random.integer(0, 9), _random.beta(0.8)]
    torch.manual_seed(5)
    assert [_random.uniform(0, 1), _random.integer(0, 9), _random.beta(0.8)] == first
    generator = seeded(5)
    state = torch.get_rng_state()
    assert _random.uniform(0, 1, generator) == first[0]
    assert torch.equal(torch.get_rng_state(), state)


class Draw(_random.RandomTransform):
    """Adds what it draws to a list."""

    def forward(self, x: list[float]) -> list[float]:
        return [*x, _random.uniform(0, 1, self.generator)]


class Drawn(Dataset[list[float]]):
    """Twice the same transform on every item, with one generator."""

    def __init__(self, generator: torch.Generator | None) -> None:
        self.transform = torch.nn.Sequential(Draw(generator), Draw(generator))

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> list[float]:
        return list(self.transform([]))


def epoch(generator: torch.Generator | None, seed: int) -> list[list[float]]:
    loader = DataLoader(Drawn(generator), batch_size=None, num_workers=2, generator=seeded(seed))
    return list(loader)


@pytest.mark.parametrize("own", [True, False])
def test_workers_differ_and_a_seed_repeats_them(own: bool) -> None:
    def generator() -> torch.Generator | None:
        return seeded(9) if own else None

    first = epoch(generator(), 0)
    assert len({number for pair in first for number in pair}) == 8
    assert epoch(generator(), 0) == first
    assert epoch(generator(), 1) != first


def test_own_generator_counts_in_workers() -> None:
    assert epoch(seeded(9), 0) != epoch(seeded(10), 0)


def test_copies_go_on_from_the_same_state() -> None:
    draw = Draw(seeded(4))
    draw([])
    others = [copy.deepcopy(draw), pickle.loads(pickle.dumps(draw))]
    expected = draw([])
    for other in others:
        assert other([]) == expected
