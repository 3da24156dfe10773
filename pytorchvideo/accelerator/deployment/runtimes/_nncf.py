# SPDX-License-Identifier: Apache-2.0
"""int8 by calibration: the only file that touches ``nncf``, for ONNX and OpenVINO models."""

import io
import logging
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any, TypeVar

from torch import nn

from pytorchvideo._checks import expected

_Model = TypeVar("_Model")


def quantized(
    converted: _Model, feeds: Sequence[Any], model: nn.Module, *, kept: Sequence[str]
) -> _Model:
    """Returns a converted model with weights and activations of 8 bits.

    Ranges of activations are those that the inputs ``feeds`` cause. Weights have a scale a channel and go to the
    nearest step: see ``_rounding`` for what they should be before.

    Args:
        converted: an ONNX or OpenVINO model.
        feeds: inputs as its runtime takes them.
        model: that it was made from: the products of attention keep their precision where it has some.
        kept: names of operators that stay as they are.

    Raises:
        ValueError: there is no clip to calibrate with.
    """
    if not feeds:
        raise ValueError(expected("calibration", "at least one clip", 0, "Give --calibrate DATA."))
    # its progress bars go to standard output, where answers belong
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        import nncf
        from nncf.quantization.advanced_parameters import OverflowFix
        from nncf.quantization.range_estimator import RangeEstimatorParametersSet

        log = logging.getLogger("nncf")
        level = log.level
        log.setLevel(logging.ERROR)
        attends = any("Attention" in type(module).__name__ for module in model.modules())
        try:
            result: _Model = nncf.quantize(
                converted,
                nncf.Dataset(list(feeds)),
                subset_size=len(feeds),
                # activations that go below zero, as those of SiLU, keep their sign
                preset=nncf.QuantizationPreset.MIXED,
                model_type=nncf.ModelType.TRANSFORMER if attends else None,
                ignored_scope=nncf.IgnoredScope(names=list(kept)),
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    # all 8 bits of a weight, for processors with VNNI: older ones may overflow
                    overflow_fix=OverflowFix.DISABLE,
                    # weights that were rounded to make up for each other need no other biases
                    disable_bias_correction=True,
                    activations_range_estimator_params=RangeEstimatorParametersSet.HISTOGRAM,
                ),
            )
        finally:
            log.setLevel(level)
    return result
