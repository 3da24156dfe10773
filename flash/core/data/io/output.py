# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.outputs`."""

from flash.outputs import Output

__all__ = ["Output"]
