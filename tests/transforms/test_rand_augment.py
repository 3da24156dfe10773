# SPDX-License-Identifier: Apache-2.0
"""RandAugment: which operations it applies, how often, and that a seed repeats it."""

import pytest
import torch

from pytorchvideo.transforms import RandAugment
from pytorchvideo.transforms.augmentations import OPERATION_NAMES


def frames(*shape: int) -> torch.Tensor:
    values = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(3))
    return values.to(torch.uint8)


def recorded(transform: RandAugment, calls: list[str]) -> RandAugment:
    """The same with operations that write down their name."""

    class Record:
        def __init__(self, name: str) -> None:
            self.name = name

        def augment(self, clip: torch.Tensor) -> torch.Tensor:
            calls.append(self.name)
            return clip

    transform.transforms = [Record(t.transform_name) for t in transform.transforms]  # type: ignore[misc]
    return transform


def test_layers_differ_and_all_operations_come() -> None:
    calls: list[str] = []
    transform = recorded(RandAugment(num_layers=4), calls)
    for _ in range(60):
        calls.clear()
        transform(frames(1, 3, 4, 4))
        assert len(set(calls)) == len(calls) == 4
    everything: list[str] = []
    recorded(RandAugment(num_layers=14), everything)(frames(1, 3, 4, 4))
    assert sorted(everything) == sorted(OPERATION_NAMES)


def test_each_layer_has_its_probability() -> None:
    # Inversions of black, alone among the operations at level 0, change every clip that they meet.
    x = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    transform = RandAugment(
        magnitude=0, num_layers=14, prob=0.25, sampling_hparas={"sampling_std": 0}
    )
    changed = sum(bool(transform(x).any()) for _ in range(300)) / 300
    assert changed == pytest.approx(0.25, abs=0.08)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_shape_and_dtype_stay(dtype: torch.dtype) -> None:
    x = frames(3, 3, 17, 23).to(dtype)
    x = x if dtype == torch.uint8 else x / 255
    before = x.clone()
    for _ in range(20):
        out = RandAugment(num_layers=4, prob=1.0)(x)
        assert out.dtype == dtype
        assert out.shape == x.shape
        assert 0 <= out.min() <= out.max() <= (255 if dtype == torch.uint8 else 1 + 1e-6)
        assert torch.equal(x, before)


def test_a_seed_repeats_it() -> None:
    x = frames(2, 3, 9, 9)

    def run(generator: torch.Generator | None) -> list[torch.Tensor]:
        transform = RandAugment(num_layers=4, prob=1.0, generator=generator)
        return [transform(x) for _ in range(5)]

    own = [run(torch.Generator().manual_seed(3)) for _ in range(2)]
    torch.manual_seed(3)
    for first, second, third in zip(*own, run(None), strict=True):
        assert torch.equal(first, second)
        assert torch.equal(first, third)


def test_fill_is_passed_on() -> None:
    x = torch.full((1, 3, 40, 40), 255, dtype=torch.uint8)
    transform = RandAugment(9, 14, 1.0, transform_hparas={"fill": (0.0, 0.0, 0.0)})
    moves = [t for t in transform.transforms if t.transform_name in ("Rotate", "TranslateX")]
    assert all(t(x).unique().tolist() == [0, 255] for t in moves)


def test_repr_and_wrong_arguments() -> None:
    text = repr(RandAugment(magnitude=7, num_layers=4))
    assert text.startswith("RandAugment(num_layers=4, magnitude=7, prob=0.5, ")
    with pytest.raises(ValueError, match="`num_layers` to be between 1 and 14, but got 15"):
        RandAugment(num_layers=15)
    with pytest.raises(ValueError, match=r"Use max_value=255"):
        RandAugment()(torch.full((2, 3, 4, 4), 255.0))
