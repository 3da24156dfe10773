# SPDX-License-Identifier: Apache-2.0
"""Devices by name, those that are there and those that are not."""

import pytest
import torch

from pytorchvideo.inference.devices import device_named


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_named("cpu") == torch.device("cpu")
    for here in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda here=here: here)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda here=here: here)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        assert device_named("auto").type == ("cuda" if here else "cpu")
    assert device_named("cuda:1") == torch.device("cuda", 1)
    assert device_named("mps").type == "mps"
    with pytest.raises(ValueError, match=r"which has only 2 of them, but got 'cuda:2'"):
        device_named("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "CPU", "", "cpu "])
def test_names_of_nothing(name: str) -> None:
    with pytest.raises(ValueError, match="auto, cpu, cuda, cuda:NUMBER or mps"):
        device_named(name)


def test_devices_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match="no NVIDIA GPU that PyTorch can use"):
        device_named("cuda")
    with pytest.raises(ValueError, match="no Apple GPU that PyTorch can use"):
        device_named("mps")
