# SPDX-License-Identifier: Apache-2.0
"""UCF101 (Soomro et al., arXiv 1212.0402): 101 actions in 13,320 clips of a few seconds.

Videos come from a list file with ``path label`` lines, or from a folder with one subfolder per class.
"""

from pytorchvideo.data.labeled_video_dataset import labeled_video_dataset

__all__ = ["Ucf101"]

Ucf101 = labeled_video_dataset
"""Ucf101 is :func:`~pytorchvideo.data.labeled_video_dataset.labeled_video_dataset` by another name."""
