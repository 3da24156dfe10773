# SPDX-License-Identifier: Apache-2.0
"""Precise BN against one pass over all values at once."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pytorchvideo.layers import SubBatchNorm3d, update_bn_stats
from pytorchvideo.models._registry import create_model


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv3d(3, 4, 3),
        nn.BatchNorm3d(4),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Conv3d(4, 2, 1),
        nn.BatchNorm3d(2),
    )


def batches(sizes: tuple[int, ...] = (2, 4, 3)) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    # far from 0, where squares of means cannot be subtracted in float32
    return [1000 + torch.randn(n, 3, 4, 6, 6, generator=generator) for n in sizes]


def by_hand(model: nn.Sequential, data: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Mean and variance (C,) of all that each BatchNorm takes, batch by batch in float64, then at once."""
    double = copy.deepcopy(model).double().eval()
    seen: dict[int, list[Tensor]] = {}
    for clips in data:
        x = clips.double()
        for place, layer in enumerate(double):
            if isinstance(layer, nn.BatchNorm3d):
                seen.setdefault(place, []).append(x)
                layer.train()
            x = layer(x)
    values = [torch.cat(inputs).transpose(0, 1).flatten(1) for inputs in seen.values()]
    return [(v.mean(dim=1), v.var(dim=1)) for v in values]


def test_equals_one_pass_over_all_values() -> None:
    model, data = network(), batches()
    assert update_bn_stats(model, data) == 3
    norms = [layer for layer in model if isinstance(layer, nn.BatchNorm3d)]
    for norm, (mean, var) in zip(norms, by_hand(model, data), strict=True):
        torch.testing.assert_close(norm.running_mean, mean.float(), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(norm.running_var, var.float(), rtol=1e-3, atol=1e-6)


def test_everything_else_stays() -> None:
    model = network()
    model[1].momentum = None
    model[5].eval()
    model[1].running_mean.fill_(float("nan"))  # what a momentum of 1 alone would keep
    before, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    state = torch.get_rng_state()
    assert update_bn_stats(model, batches(), 2) == 2
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in model.modules()] == modes
    assert (model[1].momentum, model[5].momentum) == (None, 0.1)
    assert not model[1]._forward_hooks
    after = model.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed == {f"{n}.running_{stat}" for n in (1, 5) for stat in ("mean", "var")}
    assert all(value.isfinite().all() for value in after.values())


def test_layers_that_are_left_out_stay() -> None:
    model = network()
    update_bn_stats(model, batches(), norms={model[5]})
    assert torch.equal(model[1].running_mean, torch.zeros(4))
    assert not torch.equal(model[5].running_mean, torch.zeros(2))
    frozen = nn.BatchNorm3d(3, track_running_stats=False)
    assert update_bn_stats(frozen, batches()) == 0
    with pytest.raises(ValueError, match="Expected `num_iters` to be >= 1"):
        update_bn_stats(model, batches(), 0)


def test_an_error_leaves_the_old_statistics() -> None:
    model = network()
    before = copy.deepcopy(model.state_dict())

    def broken() -> Any:
        yield batches()[0]
        raise OSError("no clip")

    with pytest.raises(OSError, match="no clip"):
        update_bn_stats(model, broken())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model[1].momentum == 0.1
    # nor do no batches change anything
    assert update_bn_stats(model, []) == 0
    assert torch.equal(model[1].running_var, before["1.running_var"])


def test_evaluation_then_answers_as_training_does() -> None:
    """A network of the zoo, whose norms in evaluation become part of its convolutions."""
    model = create_model("x3d_xs", num_frames=4, crop_size=32, num_classes=2).train()
    model.blocks[5].dropout.p = 0.0
    clips = torch.randn(8, 3, 4, 32, 32)
    with torch.no_grad():
        update_bn_stats(model, [clips])
        trained = model(clips)
        evaluated = model.eval()(clips)
    # the variance of a batch is the biased one in training
    torch.testing.assert_close(evaluated, trained, rtol=0.05, atol=0.05)


def test_norms_of_parts_of_a_batch_get_the_statistics_of_all_parts() -> None:
    plain, parts = nn.BatchNorm3d(3), SubBatchNorm3d(3, num_splits=2)
    for norm in (plain, parts):
        assert update_bn_stats(norm, batches((4, 8))) == 2
        norm.train().eval()  # where parts are merged
    torch.testing.assert_close(parts.running_mean, plain.running_mean)
    torch.testing.assert_close(parts.running_var, plain.running_var, rtol=0.01, atol=0)


def stats_of_a_rank(rank: int, world_size: int) -> list[Tensor]:
    model, data = network(), batches()
    update_bn_stats(model, data[:1] if rank else data[1:])
    return [model[1].running_mean, model[5].running_var]


def test_two_processes_get_the_statistics_of_both(run_ranks: Any) -> None:
    first, second = run_ranks("stats_of_a_rank", 2)
    model = network()
    update_bn_stats(model, batches())
    for one, other, whole in zip(
        first, second, (model[1].running_mean, model[5].running_var), strict=True
    ):
        assert torch.equal(one, other)
        torch.testing.assert_close(one, whole)
