# SPDX-License-Identifier: Apache-2.0
"""Data of a task: loaders, transforms, targets and downloads."""
