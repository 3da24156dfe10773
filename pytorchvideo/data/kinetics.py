# SPDX-License-Identifier: Apache-2.0
"""Kinetics-400, -600 and -700 (Kay et al., arXiv 1705.06950): one action per YouTube clip of 10 s.

Videos come from a list file with ``path label`` lines, or from a folder with one subfolder per class.
"""

from pytorchvideo.data.labeled_video_dataset import labeled_video_dataset

__all__ = ["Kinetics"]

Kinetics = labeled_video_dataset
"""Kinetics is :func:`~pytorchvideo.data.labeled_video_dataset.labeled_video_dataset` by another name."""
