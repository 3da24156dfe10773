# SPDX-License-Identifier: Apache-2.0
"""Networks made for the processors of phones."""
