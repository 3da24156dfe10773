# SPDX-License-Identifier: Apache-2.0
"""Predictions on a stream while it goes on."""
