# SPDX-License-Identifier: Apache-2.0
"""Augmentations by name: closed forms of each operation, the laws of their magnitudes, what they refuse."""

import math
import pickle
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torchvision.transforms.v2 import functional as TVF

from pytorchvideo.transforms import AugmentTransform
from pytorchvideo.transforms.augmentations import (
    OPERATION_NAMES,
    SAMPLING_DEFAULT_HPARAS,
    affine,
)

GREY = 128  # half of white in uint8
FULL = {"sampling_std": 0.0}


def frames(*shape: int, dtype: torch.dtype = torch.uint8) -> torch.Tensor:
    values = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(3))
    return values.to(torch.uint8) if dtype == torch.uint8 else values.to(dtype) / 255


def exact(name: str, level: float, **kwargs: Any) -> AugmentTransform:
    """Always applied, at one level."""
    return AugmentTransform(name, level, prob=1.0, sampling_hparas=FULL, **kwargs)


def either(name: str, level: float, x: torch.Tensor, **kwargs: Any) -> list[torch.Tensor]:
    """The results of both signs, those of -level first; they have to differ."""
    found: dict[float, torch.Tensor] = {}
    transform = exact(name, level, **kwargs)
    for seed in range(12):
        torch.manual_seed(seed)
        out = transform(x)
        found.setdefault(out.double().sum().item(), out)
    assert len(found) == 2
    return list(found.values())


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("AdjustBrightness", TVF.adjust_brightness),
        ("AdjustContrast", TVF.adjust_contrast),
        ("AdjustSaturation", TVF.adjust_saturation),
        ("AdjustSharpness", TVF.adjust_sharpness),
    ],
)
@pytest.mark.parametrize("level", [2, 10])
def test_enhancements_go_both_ways(name: str, kernel: Any, level: float) -> None:
    x = frames(2, 3, 11, 13)
    wanted = [kernel(x, 1 + sign * level / 10 * 0.9) for sign in (-1, 1)]
    for out in either(name, level, x):
        assert any(torch.equal(out, one) for one in wanted)


def test_brightness_is_a_factor() -> None:
    x = torch.full((2, 3, 4, 5), 100, dtype=torch.uint8)
    values = {int(out[0, 0, 0, 0]) for out in either("AdjustBrightness", 5, x)}
    assert values == {55, 145}


def test_rotation() -> None:
    x = frames(2, 3, 20, 20)
    for out in either("Rotate", 10, x):
        assert any(
            torch.equal(out, TVF.rotate(x, degrees, fill=[GREY] * 3)) for degrees in (-30, 30)
        )


@pytest.mark.parametrize(("name", "axis"), [("TranslateX", -1), ("TranslateY", -2)])
def test_translation_moves_by_a_share_of_the_size(name: str, axis: int) -> None:
    # At level 10 by 0.45 of 20 pixels.
    x = frames(2, 3, 20, 20)
    wanted = []
    for shift in (-9, 9):
        moved = torch.full_like(x, GREY)
        inside = slice(max(shift, 0), 20 + min(shift, 0))
        source = slice(max(-shift, 0), 20 + min(-shift, 0))
        moved.transpose(axis, 0)[inside] = x.transpose(axis, 0)[source]
        wanted.append(moved)
    for out in either(name, 10, x):
        assert any(torch.equal(out, one) for one in wanted)


@pytest.mark.parametrize("name", ["ShearX", "ShearY"])
def test_shear_is_that_of_torchvision(name: str) -> None:
    x = frames(2, 3, 24, 24)
    angle = math.degrees(math.atan(0.3))
    for out in either(name, 10, x):
        shears = [[s * angle, 0.0] if name == "ShearX" else [0.0, s * angle] for s in (-1, 1)]
        same = [
            (out == TVF.affine(x, 0, [0, 0], 1.0, shear, fill=[GREY] * 3)).float().mean().item()
            for shear in shears
        ]
        # Pixels half way between two others may fall to either side.
        assert max(same) > 0.97


@pytest.mark.parametrize(("level", "bits"), [(0, 4), (4, 3), (5, 2), (9, 1), (10, 0)])
def test_posterize_keeps_the_upper_bits(level: float, bits: int) -> None:
    x = frames(2, 3, 9, 9)
    assert torch.equal(exact("Posterize", level)(x), x >> (8 - bits) << (8 - bits))


@pytest.mark.parametrize("level", [0, 3, 10])
def test_solarize_inverts_the_bright(level: float) -> None:
    x = frames(2, 3, 40, 40)
    threshold = 255 * (1 - level / 10) if level else 256
    assert torch.equal(exact("Solarize", level)(x), torch.where(x.int() >= threshold, 255 - x, x))


@pytest.mark.parametrize("name", ["AutoContrast", "Equalize", "Invert"])
def test_operations_without_a_level(name: str) -> None:
    x = frames(2, 3, 40, 40) // 2 + 20
    out = exact(name, 7)(x)
    if name == "Invert":
        assert torch.equal(out, 255 - x)
    else:
        assert int(out.amin()) == 0
        assert int(out.amax()) >= 254  # torchvision truncates


def test_affine_shows_the_input_at_the_mapped_place() -> None:
    x = frames(1, 3, 15, 9)
    matrix = [1.3, 0.2, 1.0, -0.4, 0.8, 2.0]
    out = affine(x, matrix, fill=1)
    a, b, c, d, e, f = matrix
    for row in range(15):
        for column in range(9):
            px, py = column - 4, row - 7
            sx, sy = a * px + b * py + c + 4, d * px + e * py + f + 7
            if abs(sx % 1 - 0.5) < 1e-3 or abs(sy % 1 - 0.5) < 1e-3:
                continue
            inside = -0.5 < sx < 8.5 and -0.5 < sy < 14.5
            wanted = x[..., round(sy), round(sx)] if inside else torch.full((1, 3), 255)
            assert out[..., row, column].tolist() == wanted.tolist(), (row, column)


def test_affine_can_interpolate() -> None:
    x = torch.tensor([0.0, 1.0, 0.0]).expand(1, 1, 3)
    half = affine(x, [1, 0, 0.5, 0, 1, 0], interpolation="bilinear")
    torch.testing.assert_close(half[0, 0], torch.tensor([0.5, 0.5, 0.0]))


@pytest.mark.parametrize("name", ["Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY"])
@pytest.mark.parametrize(
    ("fill", "byte"), [(None, 128), (0.0, 0), ((0.2, 0.2, 0.2), 51), (64, 64), ((1, 1, 1), 255)]
)
def test_fill_is_the_same_colour_in_every_dtype(name: str, fill: Any, byte: int) -> None:
    hparas = None if fill is None else {"fill": fill}
    x = torch.full((2, 3, 24, 24), 200, dtype=torch.uint8)
    out = exact(name, 10, transform_hparas=hparas)(x)
    assert out.unique().tolist() == sorted({byte, 200})
    unit = exact(name, 10, transform_hparas=hparas)(x / 255)
    torch.testing.assert_close(unit.unique() * 255, out.unique().float(), atol=0.51, rtol=0)


def test_fill_per_channel() -> None:
    x = torch.full((1, 3, 8, 8), 9, dtype=torch.uint8)
    out = exact("TranslateX", 10, transform_hparas={"fill": (0.0, 0.4, 1.0)})(x)
    assert [set(channel.unique().tolist()) for channel in out[0]] == [{0, 9}, {9, 102}, {9, 255}]


def test_level_laws() -> None:
    seen: list[float] = []

    def record(clip: torch.Tensor, level: float, **_: Any) -> torch.Tensor:
        seen.append(level)
        return clip

    def own(**kwargs: Any) -> Sequence[float]:
        seen.clear()
        law = AugmentTransform(
            "Mine",
            prob=1.0,
            name_to_transform_func={"Mine": record},
            level_to_arg={"Mine": lambda level, _: (level,)},
            **kwargs,
        )
        for _ in range(300):
            law(torch.zeros(1, 3, 2, 2))
        return seen

    gaussian = torch.tensor(own(magnitude=9, sampling_hparas={"sampling_std": 0.5}))
    assert gaussian.max() == 10
    assert gaussian.median().item() == pytest.approx(9, abs=0.2)
    assert (
        own(magnitude=4, sampling_type="gaussian", sampling_hparas={"sampling_std": 0})
        == [4.0] * 300
    )
    assert set(own(magnitude=4, sampling_type="uniform")) == {0.0, 1.0, 2.0, 3.0, 4.0}
    low = {"sampling_data_type": "float", "sampling_min": 0.1}
    floats = torch.tensor(own(magnitude=3, sampling_type="uniform", sampling_hparas=low))
    assert 0.1 <= floats.min() < 0.3
    assert 2.8 < floats.max() <= 3


def test_own_tables_come_before_ours_and_are_not_changed() -> None:
    tables: dict[str, Any] = {
        "transform_max_paras": {"AdjustBrightness": (1.0, 0.5)},
        "level_to_arg": {"AdjustBrightness": lambda level, paras: (paras[0] + level * paras[1],)},
        "transform_hparas": {"fill": 0.0},
        "sampling_hparas": {"sampling_std": 0.0},
    }
    before = {name: dict(table) for name, table in tables.items()}
    x = torch.full((1, 3, 2, 2), 20, dtype=torch.uint8)
    out = AugmentTransform("AdjustBrightness", 4, prob=1.0, **tables)(x)
    assert out.unique().tolist() == [60]
    assert tables == before


def test_probability_is_a_share_of_the_clips() -> None:
    x = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    half = AugmentTransform("Invert", prob=0.5)
    share = sum(bool(half(x).any()) for _ in range(400)) / 400
    assert share == pytest.approx(0.5, abs=0.1)
    assert AugmentTransform("Invert", prob=0.0)(x) is x


@pytest.mark.parametrize("name", OPERATION_NAMES)
def test_white_may_be_255(name: str) -> None:
    x = frames(2, 3, 12, 12, dtype=torch.float32)
    torch.manual_seed(1)
    unit = exact(name, 6)(x)
    torch.manual_seed(1)
    levels = exact(name, 6, max_value=255)(x * 255)
    torch.testing.assert_close(levels / 255, unit, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", OPERATION_NAMES)
def test_repr_and_pickle(name: str) -> None:
    transform = exact(name, 6)
    assert repr(transform).startswith(f"AugmentTransform('{name}', magnitude=6, prob=1.0, ")
    x = frames(1, 3, 6, 6)
    torch.manual_seed(1)
    wanted = transform(x)
    torch.manual_seed(1)
    assert torch.equal(pickle.loads(pickle.dumps(transform))(x), wanted)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match=r"got 'ShareX'\. Did you mean ShearX"):
        AugmentTransform("ShareX")
    with pytest.raises(ValueError, match=r"`magnitude` to be in \[0, 10\], but got 11"):
        AugmentTransform("Invert", magnitude=11)
    with pytest.raises(ValueError, match=r"`prob` to be in \[0, 1\]"):
        AugmentTransform("Invert", prob=2)
    with pytest.raises(ValueError, match="`max_value` to be > 0"):
        AugmentTransform("Invert", max_value=0)
    with pytest.raises(ValueError, match="`sampling_type` to be one of gaussian, uniform"):
        AugmentTransform("Invert", sampling_type="normal")
    with pytest.raises(ValueError, match="`sampling_hparas` to be one of sampling_std"):
        AugmentTransform("Invert", sampling_hparas={"std": 1})
    assert AugmentTransform("Invert", sampling_hparas=SAMPLING_DEFAULT_HPARAS).sampling_hparas == {
        "sampling_std": 0.5
    }
    both = AugmentTransform(
        "Invert", sampling_type="uniform", sampling_hparas={"sampling_std": 2, "sampling_min": 3}
    )
    assert both.sampling_hparas == {"sampling_data_type": "int", "sampling_min": 3}
    with pytest.raises(ValueError, match="six numbers a, b, c, d, e, f"):
        affine(torch.zeros(3, 4, 4), [1, 0, 0])
    with pytest.raises(ValueError, match="`interpolation` to be one of nearest, bilinear"):
        affine(torch.zeros(3, 4, 4), [1, 0, 0, 0, 1, 0], interpolation="bicubic")
    with pytest.raises(ValueError, match="`fill` to be one value or 3 of them"):
        affine(torch.zeros(3, 4, 4), [1, 0, 0, 0, 1, 0], fill=(0.1, 0.2))
    with pytest.raises(ValueError, match="8-bit levels, above 1 and up to 255"):
        affine(torch.zeros(3, 4, 4), [1, 0, 0, 0, 1, 0], fill=300)


def test_wrong_clips() -> None:
    invert = AugmentTransform("Invert")
    with pytest.raises(
        ValueError, match=r"got shape \(3, 8, 4, 4\). Wrap the transform in OnFrames"
    ):
        invert(torch.zeros(3, 8, 4, 4))
    with pytest.raises(ValueError, match="`clip` to be uint8 or float, but got torch"):
        invert(torch.zeros(8, 3, 4, 4, dtype=torch.long))
    with pytest.raises(ValueError, match=r"float clip in 0..1, .* is 200. Use max_value=255"):
        invert(torch.full((8, 3, 4, 4), 200.0))
