# SPDX-License-Identifier: Apache-2.0
"""Replacement of layers of any model by efficient blocks.

``EFFICIENT_BLOCK_TRANSMUTER_REGISTRY`` has, for each device, a list of functions that take a module and return the
efficient block for it, or None. It is filled by importing the package of the device, and may be extended:

>>> import pytorchvideo.accelerator.deployment.mobile_cpu.transmuter
>>> len(EFFICIENT_BLOCK_TRANSMUTER_REGISTRY["mobile_cpu"])
5
"""

import logging
from collections.abc import Callable

from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers.accelerator.efficient_block import EfficientBlockBase

_log = logging.getLogger(__name__)

EFFICIENT_BLOCK_TRANSMUTER_REGISTRY: dict[str, list[Callable[[nn.Module], nn.Module | None]]] = {}


def transmute_model(model: nn.Module, target_device: str = "mobile_cpu", prefix: str = "") -> None:
    """Puts efficient blocks, with the same weights and values, in the place of layers of a model, in place.

    The first function of the registry that knows a module replaces it; the model itself and what is in efficient
    blocks already stay. A layer in two places is one block in both.

    Args:
        model: any model; its state-dict keys change.
        target_device: a name in ``EFFICIENT_BLOCK_TRANSMUTER_REGISTRY``.
        prefix: of the names of modules in the log (level INFO).

    Raises:
        ValueError: the registry has nothing for the device.

    >>> import pytorchvideo.accelerator.deployment.mobile_cpu.transmuter
    >>> model = nn.Sequential(nn.Conv3d(3, 8, kernel_size=1), nn.ReLU())
    >>> transmute_model(model)
    >>> type(model[0]).__name__
    'Conv3dPwBnAct'
    """
    if target_device not in EFFICIENT_BLOCK_TRANSMUTER_REGISTRY:
        known = ", ".join(sorted(EFFICIENT_BLOCK_TRANSMUTER_REGISTRY)) or "none is"
        raise ValueError(
            expected(
                "target_device",
                f"registered ({known})",
                target_device,
                "Import its package, pytorchvideo.accelerator.deployment.mobile_cpu.transmuter for phones.",
            )
        )
    functions = EFFICIENT_BLOCK_TRANSMUTER_REGISTRY[target_device]
    blocks: dict[nn.Module, nn.Module | None] = {}
    closed: tuple[str, ...] = ()
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if name.startswith(closed):
            continue
        if isinstance(module, EfficientBlockBase):
            closed += (f"{name}." if name else "",)
            continue
        if name and module not in blocks:
            made = (function(module) for function in functions)
            blocks[module] = next((block for block in made if block is not None), None)
        block = blocks.get(module)
        if block is not None:
            closed += (f"{name}.",)
            model.set_submodule(name, block)
            _log.info("%s%s is now a %s", prefix, name, type(block).__name__)
