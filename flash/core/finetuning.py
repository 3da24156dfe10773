# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.finetuning`."""

from flash.finetuning import (
    FlashBaseFinetuning,
    Freeze,
    FreezeUnfreeze,
    NoFreeze,
    UnfreezeMilestones,
)

__all__ = ["FlashBaseFinetuning", "Freeze", "FreezeUnfreeze", "NoFreeze", "UnfreezeMilestones"]
