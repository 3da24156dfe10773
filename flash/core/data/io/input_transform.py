# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.data.input_transform`."""

from flash.data.input_transform import InputTransform

__all__ = ["InputTransform"]
