# SPDX-License-Identifier: Apache-2.0
"""Blocks for mobile CPUs."""
