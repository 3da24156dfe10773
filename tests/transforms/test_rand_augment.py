# SPDX-License-Identifier: Apache-2.0
"""RandAugment: which operations it applies, how often, and that a seed repeats it."""

import numpy as np
import pytest
import torch
from PIL import Image

from pytorchvideo.transforms import AugmentTransform, RandAugment
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


def arguments(spec: str) -> dict[str, tuple[float, ...]]:
    """What the operations of a string are given, at the level itself."""
    found = {}
    for one in RandAugment.from_string(spec).transforms:
        _, to_arguments, parameters, _ = one.operation
        found[one.transform_name] = to_arguments(one.magnitude, parameters)
    return found


def test_a_string_of_timm() -> None:
    augment = RandAugment.from_string("rand-m7-n4-mstd0.5-inc1", transform_hparas={"fill": 0.45})
    assert (augment.num_layers, augment.replacement, len(augment.transforms)) == (4, True, 15)
    one = augment.transforms[0]
    assert (one.magnitude, one.prob, one.sampling_hparas) == (7, 0.5, {"sampling_std": 0.5})
    assert one.transform_hparas == {"fill": 0.45}
    few = RandAugment.from_string("rand-n1-p0.3")
    assert (few.num_layers, few.transforms[0].magnitude, few.transforms[0].prob) == (1, 10, 0.3)
    assert few.transforms[0].sampling_hparas == {"sampling_std": 0}


def test_levels_of_timm() -> None:
    """Its formulas: enhance 1 + 0.9 m / 10 (0.1 + 1.8 m / 10), bits 4 - int(4 m / 10) (int(4 m / 10)), and so on."""
    rising, plain = arguments("rand-m7-inc1"), arguments("rand-m7")
    wanted = {"AdjustContrast": (1.63,), "Posterize": (2,), "Solarize": (0.3,), "Rotate": (21.0,)}
    wanted |= {"ShearX": (0.21,), "TranslateY": (0.315,), "SolarizeAdd": (77 / 255,), "Invert": ()}
    for name, value in wanted.items():
        assert rising[name] == pytest.approx(value), name
    others = {"AdjustContrast": (1.36,), "Posterize": (2,), "Solarize": (179 / 255,)}
    for name, value in others.items():
        assert plain[name] == pytest.approx(value), name
    assert {n: v for n, v in plain.items() if n not in others and n[:6] != "Adjust"} == {
        n: v for n, v in rising.items() if n not in others and n[:6] != "Adjust"
    }


def test_solarize_add_is_that_of_pillow() -> None:
    x = frames(2, 3, 9, 9)
    out = AugmentTransform("SolarizeAdd", 7, prob=1.0, sampling_hparas={"sampling_std": 0})(x)
    table = [min(255, value + 77) if value < 128 else value for value in range(256)]
    picture = Image.fromarray(x[0].permute(1, 2, 0).numpy()).point(table * 3)
    assert torch.equal(out[0], torch.from_numpy(np.array(picture)).permute(2, 0, 1))
    as_float = AugmentTransform("SolarizeAdd", 7, prob=1.0, sampling_hparas={"sampling_std": 0})(
        x / 255
    )
    torch.testing.assert_close(as_float * 255, out.float(), atol=1e-3, rtol=0)


def test_operations_of_a_string_may_come_twice() -> None:
    calls: list[str] = []
    augment = recorded(RandAugment.from_string("rand-m1-n15"), calls)
    augment(frames(1, 3, 4, 4))
    assert len(calls) == 15 > len(set(calls))


@pytest.mark.parametrize(
    "spec", ["", "augmix-m3", "rand-m7-w0", "rand-m7-m8", "rand-mstd", "rand-n0"]
)
def test_other_strings_are_refused(spec: str) -> None:
    with pytest.raises(ValueError, match=r"`(spec|num_layers)` to be"):
        RandAugment.from_string(spec)
