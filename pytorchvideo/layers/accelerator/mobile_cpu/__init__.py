# SPDX-License-Identifier: Apache-2.0
"""Blocks made for the processors of phones."""
