# SPDX-License-Identifier: Apache-2.0
"""Readers of videos, clip samplers and datasets."""

from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.action_detection import ActionDetectionDataset, detection_collate
from pytorchvideo.data.ava import Ava
from pytorchvideo.data.charades import Charades
from pytorchvideo.data.clip_dataset import ClipDataset
from pytorchvideo.data.clip_loader import ClipDataLoader, ShardedSampler
from pytorchvideo.data.clip_sampling import (
    ClipInfo,
    ClipInfoList,
    ClipSampler,
    ConstantClipsPerVideoSampler,
    RandomClipSampler,
    RandomMultiClipSampler,
    RandomMultiClipSamplerTruncateFromStart,
    UniformClipSampler,
    UniformClipSamplerTruncateFromStart,
    make_clip_sampler,
)
from pytorchvideo.data.domsev import DomsevFrameDataset, DomsevVideoDataset
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.epic_kitchen_forecasting import EpicKitchenForecasting
from pytorchvideo.data.epic_kitchen_recognition import EpicKitchenRecognition
from pytorchvideo.data.frame_video import FrameVideo
from pytorchvideo.data.hmdb51 import Hmdb51
from pytorchvideo.data.huggingface import HuggingFaceVideos, to_hugging_face
from pytorchvideo.data.kinetics import Kinetics
from pytorchvideo.data.labeled_video_dataset import (
    LabeledVideoDataset,
    SkippedClip,
    labeled_video_dataset,
)
from pytorchvideo.data.labeled_video_paths import LabeledVideoPaths
from pytorchvideo.data.live import LiveVideo, RawFormat
from pytorchvideo.data.preparing.encode import Preparation, TrainingFormat
from pytorchvideo.data.preparing.shards import ShardedVideos, write_shards
from pytorchvideo.data.ssv2 import SSv2
from pytorchvideo.data.ucf101 import Ucf101
from pytorchvideo.data.video import Video, VideoPathHandler

__all__ = [
    "ActionDetectionDataset",
    "Ava",
    "Charades",
    "ClipDataLoader",
    "ClipDataset",
    "ClipInfo",
    "ClipInfoList",
    "ClipSampler",
    "ConstantClipsPerVideoSampler",
    "DomsevFrameDataset",
    "DomsevVideoDataset",
    "EncodedVideo",
    "EpicKitchenForecasting",
    "EpicKitchenRecognition",
    "FrameVideo",
    "Hmdb51",
    "HuggingFaceVideos",
    "Kinetics",
    "LabeledVideoDataset",
    "LabeledVideoPaths",
    "LiveVideo",
    "Preparation",
    "RandomClipSampler",
    "RandomMultiClipSampler",
    "RandomMultiClipSamplerTruncateFromStart",
    "RawFormat",
    "SSv2",
    "ShardedSampler",
    "ShardedVideos",
    "SkippedClip",
    "TrainingFormat",
    "Ucf101",
    "UniformClipSampler",
    "UniformClipSamplerTruncateFromStart",
    "Video",
    "VideoError",
    "VideoPathHandler",
    "detection_collate",
    "labeled_video_dataset",
    "make_clip_sampler",
    "to_hugging_face",
    "write_shards",
]
