# SPDX-License-Identifier: Apache-2.0
"""The colour and blur augmentations of contrastive learning."""

from typing import Any

import pytest
import torch
from torchvision.transforms.v2 import functional as TVF

from pytorchvideo.transforms import ColorJitterVideoSSl, GaussianBlur

NONE: dict[str, Any] = {"p_color_jitter": 0.0, "p_convert_gray": 0.0, "p_gaussian_blur": 0.0}


def frames(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(3))


def test_blur_keeps_the_mean_and_is_a_gaussian() -> None:
    x = torch.zeros(1, 1, 41, 41)
    x[..., 20, 20] = 1
    out = GaussianBlur((2.0, 2.0))(x)[0, 0]
    assert out.sum().item() == pytest.approx(1, abs=1e-5)
    variance = (out.sum(0) * (torch.arange(41) - 20.0) ** 2).sum().item()
    # A Gaussian of variance 4 that is cut off at three standard deviations.
    assert variance == pytest.approx(4, rel=0.04)
    torch.testing.assert_close(out, out.T)


def test_blur_draws_its_width() -> None:
    x = frames(2, 3, 30, 30)
    spreads = {round(GaussianBlur((0.1, 2.0))(x).std().item(), 4) for _ in range(20)}
    assert len(spreads) > 10


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (2, 3, 3, 50), (2, 1, 7, 2)])
def test_blur_of_small_pictures(shape: tuple[int, ...]) -> None:
    assert GaussianBlur((2.0, 2.0))(frames(*shape)).shape == shape


def test_jitter_draws_in_its_ranges() -> None:
    x = torch.full((1, 3, 2, 2), 0.5)
    bright = ColorJitterVideoSSl([0.4, 0, 0], 0.0, **{**NONE, "p_color_jitter": 1.0})
    factors = torch.stack([bright(x).mean() for _ in range(300)]) / 0.5
    assert 0.6 <= factors.min() < 0.65
    assert 1.35 < factors.max() <= 1.4 + 1e-5


def test_each_part_has_its_probability() -> None:
    x = frames(1, 3, 12, 12)
    for part in NONE:
        half = ColorJitterVideoSSl([0.4, 0.4, 0.4], 0.1, **{**NONE, part: 0.5})
        share = sum(not torch.equal(half(x), x) for _ in range(200)) / 200
        assert share == pytest.approx(0.5, abs=0.12), part
        assert torch.equal(ColorJitterVideoSSl([0.4] * 3, 0.1, **NONE)(x), x)


def test_grey_is_that_of_torchvision() -> None:
    x = frames(2, 3, 5, 5)
    grey = ColorJitterVideoSSl([0, 0, 0], 0, **{**NONE, "p_convert_gray": 1.0})(x)
    assert torch.equal(grey, TVF.rgb_to_grayscale(x, 3))


def test_order_of_the_jitter_is_drawn() -> None:
    x = frames(1, 3, 8, 8)

    class First(Exception):
        """Which kernel came first."""

    seen = set()
    jitter = ColorJitterVideoSSl([0.4, 0.4, 0.4], 0.1, **{**NONE, "p_color_jitter": 1.0})
    names = ["adjust_brightness", "adjust_contrast", "adjust_saturation", "adjust_hue"]
    for _ in range(30):
        with pytest.MonkeyPatch.context() as patch:
            for name in names:

                def stop(clip: torch.Tensor, amount: float, name: str = name) -> torch.Tensor:
                    raise First(name)

                patch.setattr(TVF, name, stop)
            with pytest.raises(First) as raised:
                jitter(x)
            seen.add(str(raised.value))
    assert seen == set(names)


def test_values_and_seed() -> None:
    x = frames(2, 3, 9, 9)

    def run(clip: torch.Tensor, max_value: float) -> torch.Tensor:
        generator = torch.Generator().manual_seed(4)
        return ColorJitterVideoSSl(
            [0.4] * 3, 0.1, 1.0, 0.5, max_value=max_value, generator=generator
        )(clip)

    assert torch.equal(run(x, 1.0), run(x, 1.0))
    torch.testing.assert_close(run(x * 255, 255.0), run(x, 1.0) * 255, atol=1e-2, rtol=0)
    levels = (x * 255).to(torch.uint8)
    assert run(levels, 1.0).dtype == torch.uint8


def test_repr_and_wrong_arguments() -> None:
    assert repr(GaussianBlur()) == "GaussianBlur(sigma=(0.1, 2.0))"
    text = repr(ColorJitterVideoSSl([0.4, 0.4, 0.4], 0.1, 0.8, 0.2))
    assert "p_color_jitter=0.8, p_convert_gray=0.2, p_gaussian_blur=0.5" in text
    with pytest.raises(ValueError, match="`sigma` to be"):
        GaussianBlur((2, 1))
    with pytest.raises(ValueError, match="`bri_con_sat` to be three numbers >= 0"):
        ColorJitterVideoSSl([0.4], 0.1, 0.8, 0.2)
    with pytest.raises(ValueError, match=r"`hue` to be in \[0, 0.5\]"):
        ColorJitterVideoSSl([0.4, 0.4, 0.4], 0.6, 0.8, 0.2)
    with pytest.raises(ValueError, match=r"to be in \[0, 1\], but got \(8, 0.2, 0.5\)"):
        ColorJitterVideoSSl([0.4, 0.4, 0.4], 0.1, 8, 0.2)
