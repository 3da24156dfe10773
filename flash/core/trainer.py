# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.trainer`."""

from flash.trainer import Trainer

__all__ = ["Trainer"]
