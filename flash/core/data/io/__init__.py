# SPDX-License-Identifier: Apache-2.0
"""Inputs and outputs of a task: names of entries, transform hooks, forms of predictions."""
