# SPDX-License-Identifier: Apache-2.0
"""The head that scores boxes, against closed forms: maps without detail and ramps."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torchvision.ops import RoIPool

from pytorchvideo.models import ResNetRoIHead, create_res_roi_pooling_head

BOXES = torch.tensor([[0, 4, 2, 40, 60], [1, 20, 10, 63, 50], [0, 0, 0, 63, 63]])


def small_head(**kwargs: Any) -> ResNetRoIHead:
    """A head that returns what it pools of each box: one class a channel."""
    arguments: dict[str, Any] = {
        "in_features": 2,
        "out_features": 2,
        "resolution": (7, 7),
        "spatial_scale": 0.25,
        "pool_kernel_size": (2, 1, 1),
        "dropout_rate": 0.0,
    }
    head = create_res_roi_pooling_head(**(arguments | kwargs)).eval()
    with torch.no_grad():
        head.proj.weight.copy_(torch.eye(2))
        head.proj.bias.zero_()
    return head


def test_constant_map() -> None:
    """Of a map that is the same everywhere, every box is that map, averaged over time."""
    x = torch.tensor([[1.0, -2.0], [3.0, 0.5]])[:, :, None, None, None].expand(2, 2, 2, 9, 9)
    x = x * torch.tensor([0.5, 1.5])[:, None, None]
    scores = small_head()(x, BOXES / torch.tensor([1, 2, 2, 2, 2]))
    torch.testing.assert_close(scores, torch.tensor([[1.0, -2.0], [3.0, 0.5], [1.0, -2.0]]))


@given(
    left=st.floats(0, 60),
    top=st.floats(0, 60),
    width=st.floats(8, 60),
    height=st.floats(8, 60),
    index=st.integers(0, 1),
)
def test_linear_ramp(left: float, top: float, width: float, height: float, index: int) -> None:
    """Interpolation is exact on a ramp; the largest of 7 x 7 cells is the last, its mean that of its centre."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    ramps = torch.stack([torch.stack([x, y]), torch.stack([-x, 2 * x + y])])
    maps = ramps[:, :, None].expand(-1, -1, 2, -1, -1)
    box = torch.tensor([[index, left, top, left + width, top + height]])
    scores = small_head()(maps, box)[0]
    # in positions of the map, a quarter of the pixels
    last_x, last_y = (left + width * 6.5 / 7) / 4, (top + height * 6.5 / 7) / 4
    first_x = (left + width * 0.5 / 7) / 4
    wanted = (-first_x, 2 * last_x + last_y) if index else (last_x, last_y)
    torch.testing.assert_close(scores, torch.tensor(wanted), rtol=1e-4, atol=1e-4)


def test_pools_of_ones_own() -> None:
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    maps = torch.stack([x, y])[None, :, None]
    box = torch.tensor([[0, 8.0, 4.0, 40.0, 36.0]])
    mean = small_head(pool=None, pool_spatial=nn.AvgPool2d)(maps, box)
    # the middle of the box, in positions
    torch.testing.assert_close(mean, torch.tensor([[6.0, 5.0]]))
    grid = small_head(pool=None, pool_spatial=None, output_with_global_average=False)(maps, box)
    assert grid.shape == (1, 2, 1, 7, 7)
    torch.testing.assert_close(grid.mean(dim=(2, 3, 4)), torch.tensor([[6.0, 5.0]]))
    adaptive = small_head(pool=nn.AdaptiveAvgPool3d, output_size=(1, 16, 16))
    torch.testing.assert_close(adaptive(maps, box), small_head(pool=None)(maps, box))

    class Largest(nn.Module):
        def __init__(self, output_size: Any, spatial_scale: float, sampling_ratio: int) -> None:
            super().__init__()
            self.pool = RoIPool(output_size, spatial_scale)

        def forward(self, x: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
            return self.pool(x, boxes)

    largest = small_head(pool=None, roi=Largest)(maps, box)
    assert largest.tolist() == [[10.0, 9.0]]


def test_half_precision_leaves_boxes_where_they_are() -> None:
    """In bfloat16 a corner at 1001 pixels would be at 1000."""
    maps = torch.arange(512.0).expand(1, 2, 1, 4, 512) % 2
    box = torch.tensor([[0, 1001 * 2.0, 0, 1001 * 2.0, 4]])
    exact = small_head(pool=None, spatial_scale=0.125)
    wanted = exact(maps, box)
    half = copy.deepcopy(exact).bfloat16()(maps.bfloat16(), box)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), wanted, rtol=0.01, atol=0)
    integers = exact(maps, box.long())
    torch.testing.assert_close(integers, wanted)
    assert exact.double()(maps.double(), box).dtype == torch.float64


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[0, 1, 2, 3, 4]], "`bboxes` to be a tensor of shape .* but got 'list'"),
        (
            torch.zeros(2, 4),
            r"`bboxes` .* x1, y1, x2, y2 .* but got \(2, 4\).*pad\(boxes, \(1, 0\)\)",
        ),
        (torch.zeros(5), r"`bboxes` to be of shape \(N, 5\).* but got \(5,\)"),
        (
            torch.tensor([[0.0, 1, 1, 9, 9], [2, 1, 1, 9, 9]]),
            r"in \[0, 2\), .* but got \[0\.0, 2\.0\]",
        ),
        (torch.tensor([[-1, 1, 1, 9, 9]]), r"`bboxes\[:, 0\]` .* but got \[-1, -1\]"),
        (torch.full((1, 5), torch.nan), r"in \[0, 2\), .* but got \[nan, nan\]"),
    ],
)
def test_wrong_boxes(boxes: Any, message: str) -> None:
    head = small_head()
    for call in (head, head.features):
        with pytest.raises(ValueError, match=message):
            call(torch.rand(2, 2, 2, 4, 4), boxes)


def test_wrong_maps() -> None:
    boxes = torch.tensor([[0.0, 1, 1, 9, 9]])
    with pytest.raises(ValueError, match=r"leaves 3 of 4\. Use shorter clips, or .*num_frames="):
        small_head()(torch.rand(1, 2, 4, 4, 4), boxes)
    with pytest.raises(ValueError, match="leaves 2 of 2"):
        small_head(pool=None)(torch.rand(1, 2, 2, 4, 4), boxes)
    with pytest.raises(ValueError, match=r"at least \(2, 1, 1\) positions \(T, H, W\)"):
        small_head()(torch.rand(1, 2, 1, 4, 4), boxes)
    with pytest.raises(ValueError, match=r"a feature map \(B, C, T, H, W\), but got \(1, 400\)"):
        small_head()(torch.rand(1, 400), boxes)
    with pytest.raises(ValueError, match="`proj` to be a module, but got None"):
        ResNetRoIHead(roi_layer=nn.Identity())


def test_without_boxes_whole_clips_are_scored() -> None:
    head = ResNetRoIHead(
        pool=nn.AvgPool3d((2, 1, 1)), proj=nn.Identity(), output_pool=nn.AdaptiveAvgPool3d(1)
    )
    maps = torch.arange(2 * 3 * 4 * 2 * 2.0).view(2, 3, 4, 2, 2)
    wanted = maps.mean(dim=(2, 3, 4))
    for call in (head, head.features):
        torch.testing.assert_close(call(maps, torch.zeros(0, 5)), wanted)


def test_without_a_classifier_boxes_have_features() -> None:
    head, boxes = small_head(activation=nn.Sigmoid), torch.tensor([[0, 1.0, 1, 9, 9]])
    maps = torch.rand(1, 2, 2, 16, 16)
    head.proj = None
    torch.testing.assert_close(head(maps, boxes), head.features(maps, boxes))
