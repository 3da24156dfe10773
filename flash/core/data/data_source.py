# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.data.keys`."""

from flash.data.keys import DataKeys as DefaultDataKeys

__all__ = ["DefaultDataKeys"]
