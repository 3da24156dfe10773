# SPDX-License-Identifier: Apache-2.0
"""Modules with a form for training and one for use."""
