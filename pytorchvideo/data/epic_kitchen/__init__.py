# SPDX-License-Identifier: Apache-2.0
"""EPIC-KITCHENS (Damen et al., arXiv 1804.02748): unscripted activities in kitchens, seen from the head."""

from pytorchvideo.data.epic_kitchen.epic_kitchen_dataset import ActionData, EpicKitchenDataset

__all__ = ["ActionData", "EpicKitchenDataset"]
