# SPDX-License-Identifier: Apache-2.0
"""A run: a folder with a training, its model, its scores and its report."""
