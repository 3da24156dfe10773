# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.finetuning`."""

from flash.finetuning import FlashBaseFinetuning

__all__ = ["FlashBaseFinetuning"]
