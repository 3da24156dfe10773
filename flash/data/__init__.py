# SPDX-License-Identifier: Apache-2.0
"""Data of a task: downloads, splits, transform hooks."""

from flash.data.hooks import TransformHooks
from flash.data.keys import DataKeys
from flash.data.split import split_items
from flash.data.utils import download_data

__all__ = ["DataKeys", "TransformHooks", "download_data", "split_items"]
