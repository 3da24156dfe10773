# SPDX-License-Identifier: Apache-2.0
"""Networks made for a kind of device."""
