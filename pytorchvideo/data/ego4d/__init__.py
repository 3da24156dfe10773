# SPDX-License-Identifier: Apache-2.0
"""Ego4D (Grauman et al., arXiv 2110.07058): moments in egocentric video, with audio and IMU data."""

from pytorchvideo.data.ego4d.ego4d_dataset import Ego4dMomentsDataset
from pytorchvideo.data.ego4d.imu import Ego4dImuData
from pytorchvideo.data.ego4d.utils import MomentsClipSampler

__all__ = ["Ego4dImuData", "Ego4dMomentsDataset", "MomentsClipSampler"]
