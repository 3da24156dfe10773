# SPDX-License-Identifier: Apache-2.0
"""Import path of early releases of Flash; the home is :mod:`flash.core.data`."""
