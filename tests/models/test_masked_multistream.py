# SPDX-License-Identifier: Apache-2.0
"""Masked streams: closed forms, and that what stands at missing entries changes nothing."""

import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pytorchvideo.layers import make_fusion_layer
from pytorchvideo.models import (
    LSTM,
    LearnMaskedDefault,
    MaskedMultiPathWay,
    MaskedSequential,
    MaskedTemporalPooling,
    TransposeMultiheadAttention,
    TransposeTransformerEncoder,
)

# All entries, none, the first two, and the second and fourth of each sequence.
MASK = torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 1]]).bool()
LAYERS = {
    "max": lambda: MaskedTemporalPooling("max"),
    "avg": lambda: MaskedTemporalPooling("avg"),
    "sum": lambda: MaskedTemporalPooling("sum"),
    "attention": lambda: TransposeMultiheadAttention(6, 2),
    "default": lambda: MaskedSequential(MaskedTemporalPooling("sum"), LearnMaskedDefault(6)),
    "lstm": lambda: LSTM(6, 6),
    "bidirectional lstm": lambda: LSTM(6, 3, bidirectional=True),
    "encoder": lambda: TransposeTransformerEncoder(6, 2, 2).eval(),
}
POOLING = [name for name in LAYERS if name != "attention"]
# Packing a sequence depends on the mask's values, which an exported graph cannot.
EXPORTABLE = [name for name in LAYERS if "lstm" not in name]


def sequence() -> torch.Tensor:
    return torch.randn(4, 4, 6)


@pytest.mark.parametrize("name", LAYERS)
def test_missing_entries_have_no_influence(name: str) -> None:
    layer, x = LAYERS[name](), sequence()
    mask, spoilt = MASK.clone(), x.masked_fill(~MASK[..., None], float("nan"))
    before = spoilt.clone()
    out = layer(spoilt, mask)
    assert out.isfinite().all()
    torch.testing.assert_close(out, layer(x, mask), rtol=0, atol=0)
    assert torch.equal(mask, MASK)
    torch.testing.assert_close(spoilt, before, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_reach_the_entries_alone(name: str) -> None:
    layer, x = LAYERS[name](), sequence().requires_grad_()
    out = layer(x, MASK)
    if name == "attention":
        out = out[MASK]
    out.square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert not x.grad[~MASK].any()
    assert x.grad[0].any()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.parametrize("name", LAYERS)
def test_no_mask_is_a_full_one(name: str) -> None:
    layer, x = LAYERS[name](), sequence()
    torch.testing.assert_close(layer(x), layer(x, torch.ones(4, 4, dtype=torch.bool)))


@pytest.mark.parametrize("name", POOLING)
def test_a_sequence_without_entries(name: str) -> None:
    layer = LAYERS[name]()
    wanted = layer[1]._learned_defaults if name == "default" else torch.zeros(6)
    torch.testing.assert_close(layer(sequence(), MASK)[1], wanted)
    nothing = layer(sequence(), torch.zeros(4, 4, dtype=torch.bool))
    torch.testing.assert_close(nothing, wanted.expand(4, 6))


@pytest.mark.parametrize("name", POOLING)
def test_missing_entries_at_the_end_are_a_shorter_sequence(name: str) -> None:
    layer, x = LAYERS[name](), sequence()
    torch.testing.assert_close(layer(x, MASK)[2], layer(x[2:3, :2])[0], rtol=1e-5, atol=1e-6)


@given(mask=st.lists(st.booleans(), min_size=1, max_size=6), data=st.data())
@settings(max_examples=40, deadline=None)
def test_pooling_is_over_the_entries(mask: list[bool], data: st.DataObject) -> None:
    numbers = st.integers(-50, 50)
    values = data.draw(st.lists(numbers, min_size=len(mask), max_size=len(mask)))
    there = [value for value, is_there in zip(values, mask, strict=True) if is_there] or [0]
    x, row = torch.tensor(values).float().view(1, -1, 1), torch.tensor([mask])
    for method, wanted in (
        ("max", max(there)),
        ("sum", sum(there)),
        ("avg", sum(there) / len(there)),
    ):
        pooled = MaskedTemporalPooling(method)(x, row)  # type: ignore[arg-type]
        assert pooled.item() == pytest.approx(wanted)


def test_attention_weights() -> None:
    layer, x = TransposeMultiheadAttention(6, 2), sequence()
    assert layer.attention_weights is None
    layer(x, MASK)
    weights = layer.attention_weights
    assert weights is not None
    assert weights.shape == (4, 4, 4)
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(4, 4))
    assert not weights[2, :, 2:].any()
    assert not weights[3, :, ::2].any()
    wanted, _ = layer._attention(x[:1], x[:1], x[:1])
    torch.testing.assert_close(layer(x[:1]), wanted)


def test_lstm_is_that_of_pytorch_without_the_gaps() -> None:
    layer, x = LSTM(6, 5, bidirectional=True), sequence()
    assert layer.output_dim == 10
    out = layer(x, MASK)
    for row in (0, 2, 3):
        _, (hidden, _) = layer.lstm(x[row : row + 1, MASK[row]])
        torch.testing.assert_close(out[row], hidden.flatten())
    assert LSTM(6, 5).output_dim == 5


def test_dropout_of_an_lstm_acts_on_its_result() -> None:
    layer, x = LSTM(6, 50, dropout=0.5), sequence()
    assert 50 < (layer(x) == 0).sum() < 150
    assert (layer.eval()(x) != 0).all()


def test_encoder_is_that_of_pytorch() -> None:
    layer, x = TransposeTransformerEncoder(6, 2, 2).eval(), sequence()
    torch.testing.assert_close(layer(x), layer.encoder(x)[:, 0])
    with torch.no_grad():  # PyTorch then takes another path
        fused = layer(x, MASK)
    torch.testing.assert_close(fused, layer(x, MASK), rtol=1e-4, atol=1e-5)
    assert len(layer.encoder.layers) == 2


def test_learned_defaults() -> None:
    zeros = LearnMaskedDefault(6, init_method="zeros")
    assert not zeros._learned_defaults.any()
    assert zeros._learned_defaults.requires_grad
    frozen = LearnMaskedDefault(6, freeze=True)
    assert frozen._learned_defaults.any()
    assert not frozen._learned_defaults.requires_grad
    x = torch.randn(4, 6)
    out = frozen(x, MASK)
    assert torch.equal(out[[0, 2, 3]], x[[0, 2, 3]])
    assert torch.equal(out[1], frozen._learned_defaults)
    assert torch.equal(frozen(sequence(), MASK)[1], frozen._learned_defaults.expand(4, 6))
    assert frozen(x) is x


def test_sequential_hands_the_mask_to_those_that_take_one() -> None:
    class Doubled(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

    layers = MaskedSequential(
        Doubled(), MaskedSequential(nn.Identity(), MaskedTemporalPooling("sum")), Doubled()
    )
    x = sequence()
    torch.testing.assert_close(layers(x, MASK), 4 * (x * MASK[..., None]).sum(dim=1))


def pathways(fusion: nn.Module | None) -> MaskedMultiPathWay:
    blocks = [
        MaskedSequential(nn.Linear(6, 8), MaskedTemporalPooling(method), LearnMaskedDefault(8))
        for method in ("max", "avg")
    ]
    return MaskedMultiPathWay(multipathway_blocks=nn.ModuleList(blocks), multipathway_fusion=fusion)


def test_pathways_with_and_without_fusion() -> None:
    pairs = [(sequence(), MASK), (torch.randn(4, 7, 6), None)]
    fused = pathways(make_fusion_layer("concat", [8, 8]))
    out = fused(pairs)
    assert isinstance(out, torch.Tensor)
    assert out.shape == (4, 16)
    fused.multipathway_fusion = None
    parts = fused(pairs)
    assert isinstance(parts, list)
    torch.testing.assert_close(torch.cat(parts, dim=1), out)
    through = MaskedMultiPathWay(
        multipathway_blocks=nn.ModuleList([None]),  # type: ignore[list-item]
        multipathway_fusion=None,
    )
    assert through(pairs[:1])[0] is pairs[0][0]


@pytest.mark.parametrize("name", LAYERS)
def test_copies_after_a_forward_pass(name: str) -> None:
    layer, x = LAYERS[name](), sequence()
    if name != "attention":
        # A lambda of this module made it, its layers are what is pickled.
        layer = MaskedSequential(nn.Linear(6, 6), layer).eval()
    wanted = layer(x, MASK)
    for clone in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(clone(x, MASK), wanted)


@pytest.mark.parametrize("name", EXPORTABLE)
def test_exports(name: str) -> None:
    layer, x = LAYERS[name]().eval(), sequence()
    batch = torch.export.Dim("batch", min=2, max=64)
    dynamic = ({0: batch}, {0: batch})
    exported = torch.export.export(layer, (x, MASK), dynamic_shapes=dynamic, strict=True).module()
    for rows in (slice(None), slice(1, 4)):
        got, wanted = exported(x[rows], MASK[rows]), layer(x[rows], MASK[rows])
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_bfloat16_autocast(name: str) -> None:
    layer, x = LAYERS[name](), sequence()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x, MASK)
    torch.testing.assert_close(out.float(), layer(x, MASK), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("name", ["max", "avg", "sum", "default", "encoder"])
def test_default_masks_are_on_the_device_of_the_sequence(name: str) -> None:
    layer = LAYERS[name]().to("meta")
    assert layer(sequence().to("meta")).device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", LAYERS)
def test_the_same_on_a_gpu(name: str) -> None:
    layer, x = LAYERS[name](), sequence()
    wanted = layer(x, MASK).detach(), layer(x).detach()
    layer, x = layer.cuda(), x.cuda()
    torch.testing.assert_close(layer(x, MASK.cuda()).cpu(), wanted[0], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(layer(x).cpu(), wanted[1], rtol=1e-3, atol=1e-3)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="`method` to be one of max, avg, sum"):
        MaskedTemporalPooling("mean")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`init_method` to be one of gaussian, zeros"):
        LearnMaskedDefault(6, init_method="ones")  # type: ignore[arg-type]
    for layer in (MaskedTemporalPooling("max"), LSTM(6, 2), TransposeMultiheadAttention(6)):
        with pytest.raises(ValueError, match=r"a sequence \(B, S, D\), but got \(4, 6\)"):
            layer(torch.zeros(4, 6))
        for mask in (MASK[:, :3], MASK.float()):
            with pytest.raises(ValueError, match=r"`mask` to be bool of shape \(4, 4\)"):
                layer(sequence(), mask)
    with pytest.raises(ValueError, match=r"`mask` to be bool of shape \(3, S\)"):
        LearnMaskedDefault(6)(torch.zeros(3, 6), MASK)
    for wrong in ([(sequence(), MASK)], [sequence(), sequence()], sequence()):
        with pytest.raises(ValueError, match=r"a list of 2 pairs \(sequence, mask\), but got"):
            pathways(None)(wrong)  # type: ignore[arg-type]
