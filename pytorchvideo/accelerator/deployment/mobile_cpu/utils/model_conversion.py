# SPDX-License-Identifier: Apache-2.0
"""A model of efficient blocks in its deployable form."""

import copy
import logging
from typing import Any

import torch
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers.accelerator.efficient_block import EfficientBlockBase

_log = logging.getLogger(__name__)


def convert_to_deployable_form(
    model: nn.Module,
    input_tensor: Any,
    convert_for_quantize: bool = False,
    native_conv3d_op_qnnpack: bool = False,
) -> nn.Module:
    """Returns a copy of a model, in evaluation mode, with all of its efficient blocks converted.

    The copy computes what the model does in evaluation mode. The model is left as it is. All operators of the copy
    can be replaced by those of int8: put it between ``QuantStub`` and ``DeQuantStub``, and it is ready for ``prepare``
    and ``convert`` of ``torch.ao.quantization``.

    Args:
        model: with :class:`EfficientBlockBase` among its modules, or one itself. A block converts what is in it.
        input_tensor: what the model takes: a batch of clips, or a list with one a pathway. A block learns the
            shape of its input from it; blocks that this input does not reach stay in their original form.
        convert_for_quantize: told to the blocks; of no effect on those of this library, which can all be quantised.
        native_conv3d_op_qnnpack: the processor has convolutions of clips: keep them.

    Raises:
        RuntimeError: the model was converted before.
        ValueError: ``model`` is no module.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(expected("model", "an nn.Module", type(model).__name__))
    model = copy.deepcopy(model).eval()
    sizes = _input_sizes(model, input_tensor)
    outer: tuple[str, ...] = ()
    for name, module in list(model.named_modules()):
        if not isinstance(module, EfficientBlockBase) or name.startswith(outer):
            continue
        outer += (f"{name}." if name else "",)
        if module not in sizes:
            _log.warning("%s was not reached: it stays in its original form.", name)
            continue
        module.convert(
            sizes[module],
            convert_for_quantize=convert_for_quantize,
            native_conv3d_op_qnnpack=native_conv3d_op_qnnpack,
        )
    return model


def _input_sizes(model: nn.Module, x: Any) -> dict[nn.Module, torch.Size]:
    """The shape of the first input that each efficient block gets."""
    sizes: dict[nn.Module, torch.Size] = {}

    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        first = next(iter((*args, *kwargs.values())), None)
        if isinstance(first, torch.Tensor):
            sizes.setdefault(module, first.shape)

    blocks = [m for m in model.modules() if isinstance(m, EfficientBlockBase)]
    handles = [block.register_forward_pre_hook(note, with_kwargs=True) for block in blocks]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return sizes
