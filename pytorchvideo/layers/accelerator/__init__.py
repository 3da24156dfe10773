# SPDX-License-Identifier: Apache-2.0
"""Blocks for particular devices."""
