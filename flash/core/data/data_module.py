# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.data_module`."""

from flash.data_module import DataModule

__all__ = ["DataModule"]
