# SPDX-License-Identifier: Apache-2.0
"""A batch as a picture: rows, frames, colours and titles."""

import numpy as np
import torch

from flash.core.data.batch_preview import show_batch


def test_rows_are_clips_and_columns_frames() -> None:
    clips = torch.linspace(0, 1, 2 * 3 * 5 * 4 * 6).view(2, 3, 5, 4, 6)
    batch = {"video": clips, "label": torch.tensor([1, 0]), "video_name": ["a.mp4", "b.mp4"]}
    figure = show_batch(batch, ["cat", "dog"], max_frames=3)
    assert len(figure.axes) == 2 * 3
    assert [axes.get_title(loc="left") for axes in figure.axes[::3]] == ["a.mp4 dog", "b.mp4 cat"]
    # first, middle and last frame, in their own colours
    for axes, frame in zip(figure.axes[3:], (0, 2, 4), strict=True):
        shown = np.asarray(axes.images[0].get_array())
        assert np.array_equal(shown, clips[1, :, frame].permute(1, 2, 0).numpy())


def test_colours_out_of_range_are_brought_into_it() -> None:
    clips = torch.tensor([-2.0, 0.0, 2.0]).repeat(3, 1, 1, 1).permute(0, 1, 3, 2)[None]
    (image,) = show_batch({"input": clips}).axes[0].images
    assert np.asarray(image.get_array())[:, 0, 0].tolist() == [0, 0.5, 1]
    show_batch({"video": torch.full((1, 3, 1, 2, 2), 7.0)})  # a single colour


def test_several_classes_pathways_and_clips() -> None:
    batch = {
        "video": [torch.zeros(9, 3, 2, 4, 4), torch.zeros(9, 3, 8, 4, 4)],
        "label": torch.tensor([[0.0, 1.0, 1.0]] * 9),
    }
    figure = show_batch(batch, max_clips=2)
    assert len(figure.axes) == 2 * 8  # of the pathway with all frames
    assert figure.axes[0].get_title(loc="left") == "1, 2"
