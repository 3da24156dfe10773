# SPDX-License-Identifier: Apache-2.0
"""Soft targets against PyTorch's own cross-entropy."""

import pytest
import torch
import torch.nn.functional as F

from pytorchvideo.losses import SoftTargetCrossEntropyLoss


def test_class_numbers_and_distributions_equal_pytorch() -> None:
    scores, classes = torch.randn(6, 5), torch.tensor([0, 4, 2, 1, 1, 3])
    loss = SoftTargetCrossEntropyLoss()
    torch.testing.assert_close(loss(scores, classes), F.cross_entropy(scores, classes))
    soft = torch.rand(6, 5).softmax(dim=1)
    torch.testing.assert_close(loss(scores, soft), F.cross_entropy(scores, soft))
    each = SoftTargetCrossEntropyLoss(reduction="none")(scores, soft)
    torch.testing.assert_close(each, F.cross_entropy(scores, soft, reduction="none"))


def test_targets_are_scaled_on_request_only() -> None:
    scores, soft = torch.randn(4, 3), torch.rand(4, 3)
    scaled = SoftTargetCrossEntropyLoss()(scores, 7 * soft)
    torch.testing.assert_close(scaled, SoftTargetCrossEntropyLoss()(scores, soft))
    plain = SoftTargetCrossEntropyLoss(normalize_targets=False)
    torch.testing.assert_close(plain(scores, 7 * soft), 7 * plain(scores, soft))


@pytest.mark.parametrize("ignored", [-100, 255])
def test_ignored_samples_do_not_count(ignored: int) -> None:
    scores, classes = torch.randn(4, 3, requires_grad=True), torch.tensor([1, ignored, 2, ignored])
    loss = SoftTargetCrossEntropyLoss(ignore_index=ignored)(scores, classes)
    torch.testing.assert_close(loss, F.cross_entropy(scores, classes, ignore_index=ignored))
    loss.backward()
    assert scores.grad is not None
    assert not scores.grad[[1, 3]].any()
    nothing = SoftTargetCrossEntropyLoss(ignore_index=ignored)(scores, torch.full((4,), ignored))
    assert nothing.item() == 0


def test_wrong_targets_are_refused() -> None:
    loss = SoftTargetCrossEntropyLoss()
    with pytest.raises(ValueError, match=r"`target` to be of shape \(4, 3\) or \(4,\)"):
        loss(torch.zeros(4, 3), torch.zeros(3, 4))
    with pytest.raises(ValueError, match="classes 0 to 2, but got 3"):
        loss(torch.zeros(4, 3), torch.tensor([0, 1, 2, 3]))
    with pytest.raises(ValueError, match=r"scores \(N, C\)"):
        loss(torch.zeros(4), torch.zeros(4))
    with pytest.raises(ValueError, match="`reduction` to be one of mean, none"):
        SoftTargetCrossEntropyLoss(reduction="sum")  # type: ignore[arg-type]
