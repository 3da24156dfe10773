# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.core.data.io.input`."""

from flash.core.data.io.input import DataKeys as DefaultDataKeys

__all__ = ["DefaultDataKeys"]
