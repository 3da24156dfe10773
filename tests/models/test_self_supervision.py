# SPDX-License-Identifier: Apache-2.0
"""BYOL, SimCLR and the memory bank: closed forms, toy tasks, and two processes against one with the whole batch."""

import copy
import logging
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from pytorchvideo.layers import NaiveSyncBatchNorm1d
from pytorchvideo.models import BYOL, MemoryBank, SimCLR


def seeded(build: Any, seed: int = 5) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def views(batch: int = 8, seed: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    clips = torch.randn(batch, 6, generator=generator)
    noise = torch.randn(2, batch, 6, generator=generator)
    return clips + 0.1 * noise[0], clips + 0.1 * noise[1]


def encoder() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))


def byol(**kwargs: Any) -> BYOL:
    return seeded(lambda: BYOL(encoder(), feature_dim=4, predictor_inner=16, **kwargs))


def simclr() -> SimCLR:
    return seeded(lambda: SimCLR(nn.Linear(16, 4), nn.Linear(6, 16), temperature=0.5))


def bank(**kwargs: Any) -> MemoryBank:
    sizes = {"bank_size": 32, "dim": 4, "neg_size": 16} | kwargs
    return seeded(lambda: MemoryBank(nn.Linear(6, 16), nn.Linear(16, 4), **sizes))


# Several processes


def in_two_ranks(rank: int, world_size: int) -> dict[str, Any]:
    """One step of every model with half of the batch."""
    x1, x2 = (x.chunk(world_size)[rank] for x in views())
    answer: dict[str, Any] = {}
    model = DistributedDataParallel(simclr())
    answer["simclr loss"] = model(x1, x2).detach()
    model(x1, x2).backward()
    answer["simclr"] = {name: p.grad for name, p in model.module.named_parameters()}
    learner = seeded(lambda: BYOL(nn.Linear(6, 4), feature_dim=4, predictor_inner=16))
    model = DistributedDataParallel(learner)
    loss = model(x1, x2)
    loss.backward()
    answer["byol loss"] = loss.detach()
    answer["byol"] = {name: p.grad for name, p in learner.predictor.named_parameters()}
    memory = bank()
    memory(x1, torch.arange(rank * 4, rank * 4 + 4))
    answer["memory"] = memory.memory
    return answer


@pytest.fixture(scope="module")
def ranks(run_ranks: Callable[[str, int], list[Any]]) -> list[Any]:
    return run_ranks("in_two_ranks", 2)


@pytest.mark.slow
def test_simclr_in_two_processes_is_one_with_the_whole_batch(ranks: list[Any]) -> None:
    model = simclr()
    loss = model(*views())
    loss.backward()
    torch.testing.assert_close(sum(r["simclr loss"] for r in ranks) / 2, loss.detach())
    for name, parameter in model.named_parameters():
        for answer in ranks:
            torch.testing.assert_close(answer["simclr"][name], parameter.grad, rtol=1e-4, atol=1e-6)


def test_byol_in_two_processes_is_one_with_the_whole_batch(ranks: list[Any]) -> None:
    """The default norm shares its statistics on CPUs too."""
    model = seeded(lambda: BYOL(nn.Linear(6, 4), feature_dim=4, predictor_inner=16))
    loss = model(*views())
    loss.backward()
    torch.testing.assert_close(sum(r["byol loss"] for r in ranks) / 2, loss.detach())
    for name, parameter in model.predictor.named_parameters():
        for answer in ranks:
            torch.testing.assert_close(answer["byol"][name], parameter.grad, rtol=1e-4, atol=1e-6)


def test_all_processes_have_one_memory(ranks: list[Any]) -> None:
    model = bank()
    model(views()[0], torch.arange(8))
    for answer in ranks:
        torch.testing.assert_close(answer["memory"], model.memory)


# BYOL


def test_byol_loss_is_the_mean_cosine_of_both_directions() -> None:
    model = BYOL(nn.Identity(), predictor=nn.Identity())
    x = torch.tensor([[3.0, 0.0], [0.0, 2.0]])
    for other, wanted in (
        (x, -1.0),
        (-x, 1.0),
        (x.flip(1), 0.0),
        (x + x.flip(1) * torch.tensor([[1.5], [2 / 3]]), None),
    ):
        cosine = F.cosine_similarity(x, other).mean().item()
        loss = model(x, 5 * other).item()
        assert loss == pytest.approx(-cosine, abs=1e-6)
        assert wanted is None or loss == pytest.approx(wanted, abs=1e-6)
    unit, half = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, math.sqrt(0.75)]])
    assert model.sim_loss(unit, half).item() == pytest.approx(-0.5)


def test_byol_predicts_the_other_view_of_the_momentum_network() -> None:
    model = byol().eval()
    for parameter in model.backbone_mmt.parameters():
        parameter.data.mul_(1.5)
    x1, x2 = views()
    projection, prediction = model.forward_backbone(x1)
    torch.testing.assert_close(projection, F.normalize(model.backbone(x1)))
    torch.testing.assert_close(prediction, F.normalize(model.predictor(model.backbone(x1))))
    target = model.forward_backbone_mmt(x2)
    torch.testing.assert_close(target, F.normalize(model.backbone_mmt(x2)))
    forth = -F.cosine_similarity(model.predictor(model.backbone(x1)), model.backbone_mmt(x2))
    back = -F.cosine_similarity(model.predictor(model.backbone(x2)), model.backbone_mmt(x1))
    torch.testing.assert_close(model(x1, x2), (forth.mean() + back.mean()) / 2)
    assert not target.requires_grad


def test_byol_momentum_network_moves_by_the_closed_form() -> None:
    model = byol(mmt=0.9, projector=nn.Linear(4, 4))
    start = copy.deepcopy(model.backbone_mmt.state_dict())
    for name, tensor in model.backbone.state_dict().items():
        assert torch.equal(tensor, start[name]), name
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter.add_(1.0)
    for _ in range(3):
        model(*views())
    for name, parameter in model.backbone_mmt.named_parameters():
        # Each step leaves 0.9 of the distance of 1.
        torch.testing.assert_close(parameter - start[name], torch.full_like(parameter, 1 - 0.9**3))
        assert not parameter.requires_grad
        assert parameter.grad is None


class Counting(nn.Module):
    """Holds buffers that a forward pass does not change."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("level", torch.zeros(3))
        self.register_buffer("count", torch.tensor(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_byol_buffers_of_the_momentum_network_follow() -> None:
    model = BYOL(Counting(), predictor=nn.Linear(6, 6), mmt=0.5)
    model.backbone.level.fill_(8.0)  # type: ignore[operator,union-attr]
    model.backbone.count.fill_(7)  # type: ignore[operator,union-attr]
    for level in (4.0, 6.0):
        model(*views())
        assert model.backbone_mmt.level.tolist() == [level] * 3  # type: ignore[operator,union-attr]
        assert model.backbone_mmt.count.item() == 7  # type: ignore[operator,union-attr]


def test_byol_changes_nothing_in_evaluation() -> None:
    model = byol(mmt=0.5).eval()
    with torch.no_grad():
        model.backbone[0].weight.add_(1.0)  # type: ignore[index,union-attr,operator]
    before = copy.deepcopy(model.state_dict())
    model(*views())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_byol_momentum() -> None:
    model = byol()
    assert model.get_mmt() == 0.99
    model.update_mmt(1.0)
    assert model.get_mmt() == model.mmt == 1.0
    for wrong in (-0.1, 1.1):
        with pytest.raises(ValueError, match=r"`mmt` to be in \[0, 1\], but got"):
            model.update_mmt(wrong)
    with pytest.raises(ValueError, match="`mmt` to be in"):
        BYOL(nn.Identity(), mmt=2)


def test_byol_norm_of_a_single_process_is_plain() -> None:
    x1, x2 = views()
    model, plain = byol(), byol(norm=nn.BatchNorm1d)
    assert isinstance(model.predictor[1], NaiveSyncBatchNorm1d)  # type: ignore[index]
    torch.testing.assert_close(model(x1, x2), plain(x1, x2))
    torch.testing.assert_close(model.state_dict(), plain.state_dict())
    torch.testing.assert_close(model.eval()(x1, x2), plain.eval()(x1, x2))


# SimCLR


def test_simclr_loss_against_the_formula() -> None:
    model = simclr()
    x1, x2 = views()
    with torch.no_grad():
        q, k = (F.normalize(model.mlp(model.backbone(x))) for x in (x1, x2))  # type: ignore[misc]
    forth = back = 0.0
    for i in range(8):
        forth -= math.log(math.exp(q[i] @ k[i] / 0.5) / sum(math.exp(q[i] @ y / 0.5) for y in k))
        back -= math.log(math.exp(k[i] @ q[i] / 0.5) / sum(math.exp(k[i] @ y / 0.5) for y in q))
    loss = model(x1, x2)
    assert loss.item() == pytest.approx((forth + back) / 16, rel=1e-5)
    # Both directions count, so the views can change places.
    torch.testing.assert_close(model(x2, x1), loss)


def test_simclr_of_features() -> None:
    model = SimCLR(nn.Identity(), temperature=1.0)
    x = torch.eye(4)
    # 1 for the clip itself, 0 for the 3 others
    assert model(x, 3 * x).item() == pytest.approx(math.log(1 + 3 / math.e), rel=1e-5)
    with pytest.raises(ValueError, match="`temperature` to be > 0, but got 0"):
        SimCLR(nn.Identity(), temperature=0)


# Memory bank


def test_memory_bank_loss_against_the_formula() -> None:
    model = MemoryBank(nn.Identity(), neg_size=500, temperature=0.5, bank_size=2, dim=2, mmt=0.8)
    model.memory.copy_(torch.eye(2))
    x, index = torch.tensor([[0.6, 0.8]]), torch.tensor([0])
    state = torch.random.get_rng_state()
    loss = model(x, index)
    torch.random.set_rng_state(state)
    others = (torch.randint(2, (500,)) == 1).sum().item()
    assert 150 < others < 350
    wanted = math.log(1 + others * math.exp((0.8 - 0.6) / 0.5))
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
    moved = F.normalize(torch.tensor([0.8 + 0.2 * 0.6, 0.2 * 0.8]), dim=0)
    torch.testing.assert_close(model.memory, torch.stack((moved, torch.tensor([0.0, 1.0]))))


def test_memory_moves_in_training_only_and_stays_of_length_one() -> None:
    model, x = bank(mmt=0.5), views()[0]
    torch.testing.assert_close(model.memory.norm(dim=1), torch.ones(32))
    before = model.memory.clone()
    model.eval()(x, torch.arange(8))
    assert torch.equal(model.memory, before)
    model.train()(x, torch.arange(8).int()).backward()
    assert torch.equal(model.memory[8:], before[8:])
    assert (model.memory[:8] != before[:8]).any(dim=1).all()
    torch.testing.assert_close(model.memory.norm(dim=1), torch.ones(32))
    assert not model.memory.requires_grad
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_large_bank_is_announced(caplog: pytest.LogCaptureFixture) -> None:
    with torch.device("meta"), caplog.at_level(logging.WARNING):
        model = MemoryBank(nn.Identity())
    assert model.memory.shape == (1280000, 2048)
    assert caplog.messages == [
        "The memory bank takes 10.5 GB. bank_size is the number of clips of your data set."
    ]
    caplog.clear()
    bank()
    assert not caplog.messages


def test_clips_that_are_not_in_the_bank() -> None:
    model, x = bank(), views()[0]
    for number in (32, -1):
        index = torch.tensor([0, 1, 2, 3, 4, 5, 6, number])
        with pytest.raises(IndexError, match=f"in the bank, 0 to 31, but got {number}. bank_size"):
            model(x, index)
    for wrong in (
        torch.arange(7),
        torch.arange(8.0),
        torch.ones(8).bool(),
        torch.zeros(8, 1).int(),
    ):
        with pytest.raises(ValueError, match=r"`x_ind` to be integers of shape \(8,\), but got"):
            model(x, wrong)


def test_arguments_of_a_bank() -> None:
    for name, value in (("bank_size", 0), ("dim", 0), ("neg_size", 0)):
        with pytest.raises(ValueError, match=f"`{name}` to be >= 1, but got 0"):
            bank(**{name: value})
    with pytest.raises(ValueError, match="`temperature` to be > 0"):
        bank(temperature=0)
    with pytest.raises(ValueError, match=r"`mmt` to be in \[0, 1\]"):
        bank(mmt=-1)


# All three


def losses(model: nn.Module, steps: int) -> list[float]:
    """Trains on views of a few clips, new noise in every step."""
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=0.01)
    seen = []
    for step in range(steps):
        x1, x2 = views(16)
        generator = torch.Generator().manual_seed(step)
        x1 = x1 + 0.1 * torch.randn(x1.shape, generator=generator)
        second = torch.arange(16) if isinstance(model, MemoryBank) else x2
        loss = model(x1, second)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
    return seen


@pytest.mark.parametrize(
    ("build", "ratio"),
    [(simclr, 0.85), (lambda: bank(mmt=0.5), 0.7)],
    ids=["simclr", "memory bank"],
)
def test_the_loss_falls(build: Any, ratio: float) -> None:
    seen = losses(build(), 60)
    assert sum(seen[-5:]) < ratio * sum(seen[:5])


def test_the_loss_of_byol_falls_without_collapse() -> None:
    model = byol()
    seen = losses(model, 100)
    assert all(-1 <= loss <= 1 for loss in seen)
    assert sum(seen[-5:]) / 5 < min(sum(seen[:5]) / 5 - 0.5, -0.8)
    apart = model.forward_backbone(views(16)[0])[0].std(dim=0)
    assert apart.mean() > 0.1


@pytest.mark.parametrize("build", [byol, simclr, bank])
def test_copies(build: Any) -> None:
    model, (x1, x2) = build(), views()
    second = torch.arange(8) if build is bank else x2
    model(x1, second).backward()
    for clone in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        results = [seeded(lambda m=m: m.eval()(x1, second)) for m in (model, clone)]
        assert torch.equal(*results)


@pytest.mark.parametrize("build", [byol, simclr, bank])
def test_half_and_double_precision(build: Any) -> None:
    model, (x1, x2) = build().eval(), views()
    second = torch.arange(8) if build is bank else x2
    wanted = seeded(lambda: model(x1, second)).item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = seeded(lambda: model(x1, second))
    loss.backward()
    assert loss.item() == pytest.approx(wanted, rel=0.05, abs=0.05)
    x2 = second if build is bank else x2.double()
    double = seeded(lambda: copy.deepcopy(model).double()(x1.double(), x2))
    assert double.item() == pytest.approx(wanted, rel=1e-4)
    x2 = second if build is bank else x2.bfloat16()
    half = seeded(lambda: copy.deepcopy(model).bfloat16()(x1.bfloat16(), x2))
    assert half.item() == pytest.approx(wanted, rel=0.1, abs=0.1)
