# SPDX-License-Identifier: Apache-2.0
"""Devices by the names that users give them."""

import re

import torch

from pytorchvideo._checks import expected

_NAMES = re.compile(r"auto|cpu|mps|cuda(?::(\d+))?")


def device_named(name: str) -> torch.device:
    """Returns a device that is there.

    Args:
        name: ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``; ``"auto"`` is CUDA where it is there, else the CPU.

    Raises:
        ValueError: another name, or a device that this machine does not have.

    >>> device_named("cpu")
    device(type='cpu')
    """
    found = _NAMES.fullmatch(name)
    if found is None:
        raise ValueError(expected("device", "auto, cpu, cuda, cuda:NUMBER or mps", name))
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "mps" and not torch.backends.mps.is_available():
        raise ValueError(_absent(name, "no Apple GPU that PyTorch can use"))
    if name.startswith("cuda"):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(found[1] or 0) >= count:
            here = f"only {count} of them" if count else "no NVIDIA GPU that PyTorch can use"
            raise ValueError(_absent(name, here))
    return torch.device(name)


def _absent(name: str, here: str) -> str:
    advice = "`pytorchvideo doctor` says what there is; cpu always works."
    return expected("device", f"one of this machine, which has {here}", name, advice)
