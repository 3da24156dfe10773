# SPDX-License-Identifier: Apache-2.0
"""Cross-validated scores: nobody scores what he has seen, sources stay together, classes are learnt."""

import pytest
import torch

from pytorchvideo.evaluation import probe
from pytorchvideo.evaluation.probe import cross_validated_scores


def test_separable_classes_are_scored_right() -> None:
    classes = torch.arange(40) % 2
    vectors = torch.randn(40, 3) * 0.2 + classes[:, None]
    scores = cross_validated_scores(vectors, classes, num_classes=3, folds=4)
    assert scores.shape == (40, 3)
    assert torch.allclose(scores.sum(dim=1), torch.ones(40, dtype=torch.float64))
    assert scores.argmax(dim=1).equal(classes)


def test_what_is_scored_was_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = torch.arange(12.0)[:, None]
    classes = torch.arange(12) % 2
    groups = [str(number // 3) for number in range(12)]
    seen = []

    def record(x: torch.Tensor, y: torch.Tensor, out: torch.Tensor, count: int) -> torch.Tensor:
        seen.append((x[:, 0].tolist(), out[:, 0].tolist()))
        return torch.zeros(len(out), count, dtype=torch.float64)

    monkeypatch.setattr(probe, "_linear_logits", record)
    cross_validated_scores(vectors, classes, num_classes=2, groups=groups, folds=4, seed=3)
    assert sorted(number for _, out in seen for number in out) == list(range(12))
    for trained, out in seen:
        assert sorted(trained + out) == list(range(12))
        assert {number // 3 for number in trained}.isdisjoint(number // 3 for number in out)


def test_classes_are_spread_over_the_folds() -> None:
    fold = probe._folds(range(20), [0] * 10 + [1] * 10, 5, seed=0)
    for number in range(5):
        assert fold[:10].tolist().count(number) == fold[10:].tolist().count(number) == 2
    assert not torch.equal(fold, probe._folds(range(20), [0] * 10 + [1] * 10, 5, seed=1))


def test_too_many_folds() -> None:
    vectors, classes = torch.randn(4, 2), torch.tensor([0, 1, 0, 1])
    with pytest.raises(
        ValueError, match=r"`folds` to be in 2..2, as there are 2 sources, but got 3"
    ):
        cross_validated_scores(vectors, classes, num_classes=2, groups=list("aabb"), folds=3)
    with pytest.raises(ValueError, match="of one length"):
        cross_validated_scores(vectors, classes, num_classes=2, groups=["a"], folds=2)
