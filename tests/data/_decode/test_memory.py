# SPDX-License-Identifier: Apache-2.0
"""Memory of clips that are gone serves the next ones, and never two at a time."""

import gc
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from pytorchvideo.data._decode._memory import ClipMemory

MIB = 1 << 20


def test_memory_comes_back_when_the_last_view_is_gone() -> None:
    memory = ClipMemory(64 * MIB)
    clip = memory.empty((3, 8, 256, 256), torch.float32)
    place = clip.data_ptr()
    view = clip[:, 2:].permute(1, 2, 3, 0).numpy()
    del clip
    gc.collect()
    other = memory.empty((3, 8, 256, 256), torch.float32)
    assert other.data_ptr() != place  # a part of it is still in use
    del view
    gc.collect()
    assert memory.empty((3, 8, 256, 256), torch.float32).data_ptr() == place


def test_clips_that_live_together_do_not_share() -> None:
    memory = ClipMemory(64 * MIB)
    for _ in range(3):
        clips = [memory.empty((3, 4, 512, 512), torch.uint8).fill_(k) for k in range(4)]
        assert [int(clip.unique()) for clip in clips] == [0, 1, 2, 3]
        assert len({clip.data_ptr() for clip in clips}) == 4


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_tensors_are_contiguous_and_of_the_shape_asked_for(dtype: torch.dtype) -> None:
    memory = ClipMemory(64 * MIB)
    for shape in [(3, 8, 300, 300), (3, 7, 310, 300), (3, 1, 4, 4), (3, 0, 4, 4)]:
        clip = memory.empty(shape, dtype)
        assert clip.shape == shape and clip.dtype == dtype and clip.is_contiguous()


def test_no_more_is_kept_than_allowed() -> None:
    memory = ClipMemory(8 * MIB)
    clips = [memory.empty((4 * MIB,), torch.uint8) for _ in range(5)]
    places = [clip.data_ptr() for clip in clips]
    while clips:
        del clips[0]
    assert [kept.ctypes.data for kept in memory._kept.values()] == places[-2:]
    huge = memory.empty((16 * MIB,), torch.uint8)
    del huge
    assert [kept.ctypes.data for kept in memory._kept.values()] == places[-2:]


def test_threads_share_no_memory() -> None:
    memory = ClipMemory(8 * MIB)

    def fill(value: int) -> bool:
        alone = True
        for _ in range(50):
            clip = memory.empty((2 * MIB,), torch.uint8).fill_(value)
            alone = alone and bool((clip == value).all())
        return alone

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(fill, range(4)))


def test_a_small_clip_does_not_take_the_memory_of_a_large_one() -> None:
    memory = ClipMemory(64 * MIB)
    large = memory.empty((32 * MIB,), torch.uint8)
    place = large.data_ptr()
    del large
    assert memory.empty((8 * MIB,), torch.uint8).data_ptr() != place
    assert memory.empty((20 * MIB,), torch.uint8).data_ptr() == place
