# SPDX-License-Identifier: Apache-2.0
"""AugMix: a mean of chains and the clip, with shares that sum to one."""

import pytest
import torch

from pytorchvideo.transforms import AugMix


def frames(*shape: int) -> torch.Tensor:
    values = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(3))
    return values.to(torch.uint8)


class Constant:
    """An operation with a known result."""

    def __init__(self, value: float) -> None:
        self.value = value
        self.calls = 0

    def augment(self, clip: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return torch.full_like(clip, self.value)


def replaced(transform: AugMix, value: float) -> Constant:
    """Puts one operation in the place of all."""
    constant = Constant(value)
    transform.transforms = [constant] * len(transform.transforms)  # type: ignore[list-item]
    return constant


def test_shares_sum_to_one() -> None:
    transform = AugMix(width=4)
    replaced(transform, 0.75)
    for _ in range(20):
        torch.testing.assert_close(
            transform(torch.full((2, 3, 4, 4), 0.75)), torch.full((2, 3, 4, 4), 0.75)
        )


def test_share_of_the_chains_has_its_mean() -> None:
    transform = AugMix(alpha=2.0)
    replaced(transform, 1.0)
    shares = torch.stack([transform(torch.zeros(1, 3, 2, 2))[0, 0, 0, 0] for _ in range(400)])
    assert shares.mean().item() == pytest.approx(0.5, abs=0.05)
    assert shares.var().item() == pytest.approx(1 / 20, abs=0.015)


@pytest.mark.parametrize(("depth", "calls"), [(1, {3}), (5, {15}), (-1, set(range(3, 10)))])
def test_depth(depth: int, calls: set[int]) -> None:
    seen = set()
    for _ in range(120):
        transform = AugMix(width=3, depth=depth)
        constant = replaced(transform, 0)
        transform(frames(1, 3, 2, 2))
        seen.add(constant.calls)
    assert seen == calls


def test_operations_and_levels() -> None:
    names = [t.transform_name for t in AugMix().transforms]
    assert len(names) == 13
    assert "Invert" not in names
    brightness = AugMix(magnitude=10).transforms[0]
    x = torch.full((1, 3, 2, 2), 100, dtype=torch.uint8)
    factors = torch.stack([brightness(x)[0, 0, 0, 0] for _ in range(300)]) / 100
    assert 0.1 <= factors.min() < 0.2
    assert 1.8 < factors.max() <= 1.9
    translate = next(t for t in AugMix(magnitude=10).transforms if t.transform_name == "TranslateX")
    assert translate.operation.parameters == (0.0, 1 / 3)
    assert translate.operation.either_sign


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_shape_and_dtype_stay(dtype: torch.dtype) -> None:
    x = frames(3, 3, 17, 23).to(dtype)
    x = x if dtype == torch.uint8 else x / 255
    before = x.clone()
    for _ in range(10):
        out = AugMix(magnitude=10)(x)
        assert out.dtype == dtype
        assert out.shape == x.shape
        assert torch.equal(x, before)


def test_uint8_and_levels_in_float_agree() -> None:
    # The operations of both are those of torchvision, which rounds uint8 to whole levels.
    x = frames(2, 3, 16, 16)
    for seed in range(8):
        torch.manual_seed(seed)
        out = AugMix()(x)
        torch.manual_seed(seed)
        levels = AugMix(max_value=255)(x.float())
        assert (out.float() - levels).abs().mean() < 2


def test_a_seed_repeats_it() -> None:
    x = frames(2, 3, 9, 9)
    runs = []
    for _ in range(2):
        transform = AugMix(generator=torch.Generator().manual_seed(3))
        runs.append([transform(x) for _ in range(4)])
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_repr_and_wrong_arguments() -> None:
    assert repr(AugMix()).startswith("AugMix(alpha=1.0, width=3, depth=-1, magnitude=3, ")
    for magnitude in (0, 11, 2.5):
        with pytest.raises(ValueError, match=r"`magnitude` to be a whole number in 1\.\.10"):
            AugMix(magnitude=magnitude)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`alpha` to be > 0"):
        AugMix(alpha=0)
    with pytest.raises(ValueError, match="`width` to be >= 1 chain"):
        AugMix(width=0)
    with pytest.raises(ValueError, match="`depth` to be >= 1, or -1 for 1 to 3"):
        AugMix(depth=0)
