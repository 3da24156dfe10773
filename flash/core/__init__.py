# SPDX-License-Identifier: Apache-2.0
"""What every task of Flash shares: the task, the trainer, fine-tuning, optimisers and data."""
