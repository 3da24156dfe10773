# SPDX-License-Identifier: Apache-2.0
"""Modules for deployable forms of blocks, in float and in int8."""

import sys
import warnings

import pytest
import torch
from torch import nn

from pytorchvideo.layers.accelerator._arithmetic import Arithmetic
from pytorchvideo.layers.accelerator.mobile_cpu.conv_helper import _Reshape, _SkipConnectMul

X = torch.linspace(-2, 2, 4 * 3 * 5 * 5).sin().view(1, 4, 3, 5, 5)


def excitation() -> _SkipConnectMul:
    """A squeeze-excitation of clips, as users write it."""
    layers = nn.AdaptiveAvgPool3d(1), _Reshape((1, 4)), nn.Linear(4, 4), nn.Sigmoid()
    return _SkipConnectMul(nn.Sequential(*layers, _Reshape((1, 4, 1, 1, 1))))


def test_float() -> None:
    block = excitation()
    gate = block.layer[2](X.mean(dim=(2, 3, 4))).sigmoid()
    torch.testing.assert_close(block(X), X * gate[..., None, None, None])
    assert repr(block.layer[1]) == "_Reshape((1, 4))"


@torch.no_grad()
def test_int8() -> None:
    quantization = pytest.importorskip("torch.ao.quantization")
    block = excitation().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # eager quantisation is deprecated
        wrapped = quantization.QuantWrapper(block)
        wrapped.qconfig = quantization.get_default_qconfig("fbgemm")
        prepared = quantization.prepare(wrapped)
        prepared(X)
        int8 = quantization.convert(prepared)(X)
    error = (int8 - block(X)).abs().max() / block(X).abs().max()
    assert 0 < error < 0.02


def test_without_quantisation_in_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.ao.nn.quantized", None)
    block = excitation()
    assert isinstance(block.mul_func, Arithmetic)
    assert block(X).shape == X.shape
