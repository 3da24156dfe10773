# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.task`."""

from flash.task import Task

__all__ = ["Task"]
