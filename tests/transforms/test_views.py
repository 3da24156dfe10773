# SPDX-License-Identifier: Apache-2.0
"""Several inputs from one sample: repeated augmentation from a sample to a batch, and pathways."""

from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader
from torchvision.transforms import Compose

import pytorchvideo.transforms as T


class Samples(torch.utils.data.Dataset[dict[str, Any]]):
    """Three clips, each seen by a transform."""

    def __init__(self, transform: Any) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        video = torch.full((3, 4, 8, 8), index / 4)
        return self.transform({"video": video, "label": index, "video_name": f"{index}.mp4"})


def test_repeated_augmentation_gives_one_batch() -> None:
    bright = T.AugmentTransform("AdjustBrightness", 9, prob=1.0)
    transform = Compose(
        [
            T.RepeatandConverttoList(2),
            T.ApplyTransformToKeyOnList("video", T.OnFrames(bright)),
        ]
    )
    loader = DataLoader(Samples(transform), batch_size=3, collate_fn=T.multiple_samples_collate)
    batch = next(iter(loader))
    assert batch["video"].shape == (6, 3, 4, 8, 8)
    assert batch["label"].tolist() == [0, 0, 1, 1, 2, 2]
    assert batch["video_name"] == ["0.mp4", "0.mp4", "1.mp4", "1.mp4", "2.mp4", "2.mp4"]
    assert not torch.equal(batch["video"][2], batch["video"][3])


def test_repeating_leaves_the_sample() -> None:
    sample = {"video": torch.zeros(3, 2, 4, 4), "label": 1}
    out = T.RepeatandConverttoList(3)(sample)
    assert list(sample) == ["video", "label"]
    assert [len(values) for values in out.values()] == [3, 3]


def test_pathways() -> None:
    x = torch.arange(32.0).view(1, 32, 1, 1).expand(3, 32, 2, 2)
    slow, fast = T.SlowFastPackPathway(4)(x)
    assert torch.equal(fast, x)
    assert slow[0, :, 0, 0].tolist() == [0, 4, 8, 13, 17, 22, 26, 31]


def test_repr_and_wrong_arguments() -> None:
    assert repr(T.RepeatandConverttoList(2)) == "RepeatandConverttoList(repeat_num=2)"
    assert repr(T.SlowFastPackPathway(4)) == "SlowFastPackPathway(alpha=4)"
    text = repr(T.ApplyTransformToKeyOnList("video", T.Div255()))
    assert text.split() == [
        "ApplyTransformToKeyOnList(",
        "key='video',",
        "transform=Div255(),",
        ")",
    ]
    with pytest.raises(ValueError, match="`repeat_num` to be >= 1"):
        T.RepeatandConverttoList(0)
    with pytest.raises(KeyError, match="Expected the key 'video' in the sample, but it has"):
        T.ApplyTransformToKeyOnList("video", T.Div255())({"label": [1]})
    with pytest.raises(ValueError, match="`sample` to be made of lists of one length"):
        T.multiple_samples_collate([{"video": [1, 2], "label": [1]}])
    with pytest.raises(ValueError, match="`frame_ratios` to be between 1 and the 4 frames"):
        T.SlowFastPackPathway(8)(torch.zeros(3, 4, 2, 2))


def test_each_augmented_sample_has_a_clip_of_its_own() -> None:
    seen = []

    def darken(sample: dict[str, Any]) -> dict[str, Any]:
        seen.append(float(sample["video"].sum()))
        sample["video"].zero_()
        return sample

    sample = {"video": torch.ones(1, 2, 2, 2), "label": 5}
    several = T.RepeatedAugmentation(3, darken)(sample)
    assert seen == [8.0] * 3 and [one["label"] for one in several] == [5] * 3
    assert sample["video"].sum() == 8
    with pytest.raises(ValueError, match="`repeats` to be >= 1, but got 0"):
        T.RepeatedAugmentation(0, darken)
