# SPDX-License-Identifier: Apache-2.0
"""Fingerprints of models, by which work that goes on knows that it is about the same one."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


def fingerprint(model: nn.Module, known: Sequence[Any] = ()) -> str:
    """Returns a mark of a network with its weights, 16 hexadecimal digits.

    Args:
        model: the network.
        known: what else its scores depend on, plain values such as labels and the clip recipe.

    >>> fingerprint(nn.Flatten()) == fingerprint(nn.Flatten()) != fingerprint(nn.Flatten(), ["run"])
    True
    """
    kind = [type(model).__name__, model.extra_repr()]
    digest = hashlib.sha256(json.dumps([*known, *kind]).encode())
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        if isinstance(value, torch.Tensor):
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
