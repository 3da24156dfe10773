# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.data.apply`."""

from flash.data.apply import ApplyToKeys

__all__ = ["ApplyToKeys"]
