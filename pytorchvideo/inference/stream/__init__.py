# SPDX-License-Identifier: Apache-2.0
"""Predictions on live streams."""
