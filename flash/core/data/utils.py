# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.data.utils`."""

from flash.data.utils import download_data

__all__ = ["download_data"]
