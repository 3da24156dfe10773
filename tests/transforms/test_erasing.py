# SPDX-License-Identifier: Apache-2.0
"""Random erasing: where the rectangles are, how large, what is in them, and what stays."""

from typing import Any

import pytest
import torch

from pytorchvideo.transforms import RandomErasing


def ones(*shape: int) -> torch.Tensor:
    return torch.ones(shape)


def test_one_rectangle_of_zeros_in_all_frames() -> None:
    areas, aspects = [], []
    x = ones(3, 3, 60, 80)
    for _ in range(150):
        out = RandomErasing(probability=1.0)(x)
        erased = out == 0
        assert (erased | (out == 1)).all()
        assert (erased == erased[:1, :1]).all()
        rows, columns = erased[0, 0].any(1), erased[0, 0].any(0)
        assert torch.equal(erased[0, 0], rows[:, None] & columns)
        h, w = int(rows.sum()), int(columns.sum())
        areas.append(h * w / (60 * 80))
        aspects.append(h / w)
    assert (x == 1).all()
    # Sides are whole pixels.
    assert 0.015 < min(areas) < 0.06
    assert 0.28 < max(areas) < 0.36
    assert 0.27 < min(aspects) < 0.45
    assert 2.2 < max(aspects) < 3.7


@pytest.mark.parametrize("mode", ["rand", "pixel"])
def test_noise(mode: str) -> None:
    x = torch.full((4, 3, 40, 40), 9.0)
    colours = []
    for _ in range(40):
        out = RandomErasing(probability=1.0, mode=mode)(x)
        assert (out == out[:1]).all()
        inside = out[0][:, out[0, 0] != 9]
        assert inside.shape[1] > 20
        assert (inside.std(1) == 0).all() if mode == "rand" else (inside.std(1) > 0.5).all()
        colours.append(inside[:, 0])
    values = torch.stack(colours)
    assert values.mean().item() == pytest.approx(0, abs=0.4)
    assert values.std().item() == pytest.approx(1, abs=0.25)


def test_probability_is_of_clips_or_of_frames() -> None:
    x = ones(6, 1, 20, 20)

    def erased(cube: bool) -> list[int]:
        transform = RandomErasing(probability=0.5, cube=cube)
        return [int((transform(x) == 0).flatten(1).any(1).sum()) for _ in range(80)]

    assert set(erased(cube=True)) == {0, 6}
    counts = erased(cube=False)
    assert len(set(counts)) > 3
    assert sum(counts) / (6 * 80) == pytest.approx(0.5, abs=0.12)


def test_frames_of_their_own_differ() -> None:
    out = RandomErasing(probability=1.0, cube=False)(ones(6, 3, 40, 40))
    assert len({tuple(frame.flatten().tolist()) for frame in out}) > 1


@pytest.mark.parametrize(("splits", "clean"), [(0, 0), (1, 0), (2, 4), (3, 2)])
def test_splits_leave_the_first_frames(splits: int, clean: int) -> None:
    out = RandomErasing(probability=1.0, num_splits=splits)(ones(8, 3, 20, 20))
    assert (out[:clean] == 1).all()
    assert all(bool((frame == 0).any()) for frame in out[clean:])


def test_counts_share_the_area() -> None:
    # Five rectangles of a fifth each, which may overlap.
    few = RandomErasing(probability=1.0, min_area=0.25, max_area=0.25, min_count=5, max_count=5)
    for _ in range(20):
        assert 0.04 < (few(ones(1, 1, 60, 60)) == 0).float().mean() <= 0.29


def test_too_large_a_rectangle_is_left_out() -> None:
    whole = RandomErasing(probability=1.0, min_area=1.0, max_area=1.0)
    assert (whole(ones(2, 3, 10, 10)) == 1).all()


def test_zeros_in_uint8_and_the_seed() -> None:
    x = torch.full((2, 3, 20, 20), 7, dtype=torch.uint8)
    runs = [
        RandomErasing(probability=1.0, generator=torch.Generator().manual_seed(2))(x)
        for _ in range(2)
    ]
    assert torch.equal(*runs)
    assert runs[0].dtype == torch.uint8
    assert runs[0].unique().tolist() == [0, 7]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probability": 2}, r"`probability` to be in \[0, 1\]"),
        ({"min_area": 0.5}, "`min_area, max_area` to be 0 < min <= max <= 1"),
        ({"min_aspect": 0}, "`min_aspect, max_aspect` to be 0 < min <= max"),
        ({"min_aspect": 2}, "`min_aspect, max_aspect` to be 0 < min <= max"),
        ({"min_count": 3, "max_count": 2}, "`min_count, max_count` to be 1 <= min <= max"),
        ({"mode": "noise"}, "`mode` to be one of const, rand, pixel"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandomErasing(**arguments)


def test_wrong_clips() -> None:
    with pytest.raises(ValueError, match=r"`x` to be a clip \(T, C, H, W\), but got \(3, 4, 4\)"):
        RandomErasing()(ones(3, 4, 4))
    with pytest.raises(ValueError, match='`x` to be float for mode="rand", but got torch'):
        RandomErasing(mode="rand")(ones(2, 3, 4, 4).to(torch.uint8))
    assert repr(RandomErasing()).startswith("RandomErasing(probability=0.5, areas=(0.02, 0.33")
