# SPDX-License-Identifier: Apache-2.0
"""Losses that :mod:`torch.nn` does not have."""
