# SPDX-License-Identifier: Apache-2.0
"""Batches from a folder per class, with PyTorchVideo's own names.

python examples/02_dataset.py [FOLDER]
"""

import sys
import tempfile
from pathlib import Path

from torch.utils.data import DataLoader
from torchvision.transforms import CenterCrop, Compose

from pytorchvideo.data import LabeledVideoPaths, labeled_video_dataset, make_clip_sampler
from pytorchvideo.data.synthetic import write_demo_videos
from pytorchvideo.transforms import (
    ApplyTransformToKey,
    Div255,
    Normalize,
    RemoveKey,
    ShortSideScale,
    UniformTemporalSubsample,
)


def main() -> None:
    """Prints the batches of one epoch."""
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            data = sys.argv[1]
        else:
            files = write_demo_videos(Path(folder), train_per_class=3, val_per_class=1)
            data = str(files.train)
        clip_transform = Compose(
            [
                UniformTemporalSubsample(8),  # first: the dataset then decodes 8 frames a clip
                Div255(),
                Normalize((0.45, 0.45, 0.45), (0.225, 0.225, 0.225)),
                ShortSideScale(64),
                CenterCrop(64),
            ]
        )
        dataset = labeled_video_dataset(
            data,
            make_clip_sampler("random", 1),
            transform=Compose([ApplyTransformToKey("video", clip_transform), RemoveKey("audio")]),
        )
        print("classes:", LabeledVideoPaths.from_path(data).class_names)
        for batch in DataLoader(dataset, batch_size=4):
            print(tuple(batch["video"].shape), batch["label"].tolist(), batch["video_name"])
        print("bad files:", dataset.skipped)


if __name__ == "__main__":
    main()
