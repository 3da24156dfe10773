# SPDX-License-Identifier: Apache-2.0
"""The clip transforms of torchvision's private module: the same pixels, shapes and errors."""

import warnings
from typing import Any

import pytest
import torch
import torchvision.transforms as tv

import pytorchvideo.transforms as T


def clip(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("size", [6, (5, 8), (11, 14)])
@pytest.mark.parametrize("lead", [(3, 2), (2, 3, 2)])
def test_center_crop(size: Any, lead: tuple[int, ...]) -> None:
    x = clip(*lead, 11, 14)
    assert torch.equal(T.CenterCropVideo(crop_size=size)(x), tv.CenterCrop(size)(x))


def test_random_crop_is_inside_and_reaches_all_places() -> None:
    x = torch.arange(5 * 6.0).view(1, 1, 5, 6).expand(3, 2, 5, 6)
    corners = set()
    for _ in range(150):
        out = T.RandomCropVideo((4, 4))(x)
        assert out.shape == (3, 2, 4, 4)
        assert (out == out[:1, :1]).all()
        assert torch.equal(out - out[..., :1, :1], x[..., :4, :4])
        corners.add(int(out[0, 0, 0, 0]))
    assert corners == {0, 1, 2, 6, 7, 8}


def test_random_resized_crop() -> None:
    x = clip(3, 2, 20, 30)
    assert T.RandomResizedCropVideo(8)(x).shape == (3, 2, 8, 8)
    assert T.RandomResizedCropVideo((6, 9))(x).shape == (3, 2, 6, 9)
    whole = T.RandomResizedCropVideo((20, 30), scale=(1.0, 1.0), ratio=(1.5, 1.5))
    torch.testing.assert_close(whole(x), x)


def test_flip() -> None:
    x = clip(3, 2, 4, 5)
    assert torch.equal(T.RandomHorizontalFlipVideo(1.0)(x), x.flip(-1))
    assert torch.equal(T.RandomHorizontalFlipVideo(0.0)(x), x)
    flips = [not torch.equal(T.RandomHorizontalFlipVideo()(x), x) for _ in range(200)]
    assert sum(flips) / 200 == pytest.approx(0.5, abs=0.12)


def test_normalize() -> None:
    x = clip(3, 2, 4, 5)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    frames = tv.Normalize(mean, std)(x.transpose(0, 1)).transpose(0, 1)
    before = x.clone()
    torch.testing.assert_close(T.NormalizeVideo(mean, std)(x), frames)
    assert torch.equal(x, before)
    T.NormalizeVideo(mean, std, inplace=True)(x)
    torch.testing.assert_close(x, frames)


def test_to_tensor() -> None:
    x = torch.randint(0, 256, (2, 4, 5, 3), dtype=torch.uint8)
    out = T.ToTensorVideo()(x)
    assert out.dtype == torch.float32
    assert out.is_contiguous()
    torch.testing.assert_close(out, x.permute(3, 0, 1, 2) / 255)


@pytest.mark.parametrize(
    "name",
    [
        "CenterCropVideo",
        "NormalizeVideo",
        "RandomCropVideo",
        "RandomHorizontalFlipVideo",
        "RandomResizedCropVideo",
        "ToTensorVideo",
    ],
)
def test_same_as_torchvision_where_it_still_has_them(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pytest.importorskip("torchvision.transforms._transforms_video")
    arguments: dict[str, tuple[Any, ...]] = {
        "CenterCropVideo": (7,),
        "NormalizeVideo": ((0.4,) * 3, (0.2,) * 3),
        "RandomCropVideo": ((11, 14),),
        "RandomHorizontalFlipVideo": (1.0,),
        "RandomResizedCropVideo": ((6, 6), (1.0, 1.0), (14 / 11, 14 / 11)),
        "ToTensorVideo": (),
    }
    x = (clip(2, 4, 5, 3) * 255).to(torch.uint8) if name == "ToTensorVideo" else clip(3, 2, 11, 14)
    ours = getattr(T, name)(*arguments[name])(x)
    torch.testing.assert_close(ours, getattr(theirs, name)(*arguments[name])(x))


def test_repr_and_wrong_arguments() -> None:
    assert repr(T.CenterCropVideo(7)) == "CenterCropVideo(crop_size=(7, 7))"
    assert repr(T.RandomCropVideo((7, 8))) == "RandomCropVideo(size=(7, 8))"
    assert repr(T.RandomHorizontalFlipVideo()) == "RandomHorizontalFlipVideo(p=0.5)"
    assert repr(T.NormalizeVideo((0.4,), (0.2,))) == "NormalizeVideo(mean=(0.4,), std=(0.2,))"
    assert "interpolation_mode='bilinear'" in repr(T.RandomResizedCropVideo(7))
    with pytest.raises(ValueError, match=r"at least 9x9 pixels, but got 8x8\. Scale it up first"):
        T.CenterCropVideo(9)(clip(3, 2, 8, 8))
    with pytest.raises(ValueError, match="at least 9x9 pixels, but got 8x8"):
        T.RandomCropVideo(9)(clip(3, 2, 8, 8))
    with pytest.raises(ValueError, match=r"Expected a clip \(C, T, H, W\) or \(B, C, T, H, W\)"):
        T.CenterCropVideo(2)(clip(3, 8, 8))
    with pytest.raises(ValueError, match=r"`p` to be in \[0, 1\]"):
        T.RandomHorizontalFlipVideo(2)
    with pytest.raises(ValueError, match="`size` to be pixels"):
        T.RandomCropVideo((1, 2, 3))
    with pytest.raises(ValueError, match=r"uint8 clip \(T, H, W, C\), but got torch.float32"):
        T.ToTensorVideo()(clip(2, 8, 8, 3))
