# SPDX-License-Identifier: Apache-2.0
"""Import path of early releases of Flash; the home is :mod:`flash.core.data.utils`."""

from flash.core.data.utils import download_data

__all__ = ["download_data"]
