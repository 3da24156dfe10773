# SPDX-License-Identifier: Apache-2.0
"""The base of all tasks: task, trainer, fine-tuning, optimisers and data."""
