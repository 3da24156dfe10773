# SPDX-License-Identifier: Apache-2.0
"""Blocks made for a kind of device."""
