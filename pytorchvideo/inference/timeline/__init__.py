# SPDX-License-Identifier: Apache-2.0
"""Timelines: predictions for clips that slide over a long video."""
