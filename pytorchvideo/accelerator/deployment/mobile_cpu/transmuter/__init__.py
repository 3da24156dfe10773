# SPDX-License-Identifier: Apache-2.0
"""The efficient blocks for phones; importing this fills the registry of :func:`transmute_model` with them."""

from pytorchvideo.accelerator.deployment.common.model_transmuter import (
    EFFICIENT_BLOCK_TRANSMUTER_REGISTRY,
)
from pytorchvideo.accelerator.deployment.mobile_cpu.transmuter.transmuter_mobile_cpu import (
    EFFICIENT_BLOCK_TRANSMUTER_MOBILE_CPU,
)

__all__ = ["EFFICIENT_BLOCK_TRANSMUTER_MOBILE_CPU"]

EFFICIENT_BLOCK_TRANSMUTER_REGISTRY["mobile_cpu"] = EFFICIENT_BLOCK_TRANSMUTER_MOBILE_CPU
