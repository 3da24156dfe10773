# SPDX-License-Identifier: Apache-2.0
"""Resampling of audio, the same for every clip of a file."""

import math
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import torch

from pytorchvideo.data._decode._limits import Budget
from pytorchvideo.data._decode._pyav._compat import audio_resampler
from pytorchvideo.data._decode._pyav.audio import hold_sound
from pytorchvideo.data._decode._pyav.container import reason
from pytorchvideo.data._decode._types import AudioSamples, Time, VideoError, ceil_ticks

_COPIES = 4  # before and after, and while the one becomes the other
_PHASES = 1025  # of FFmpeg's filter, each of 32 samples of the lower rate
_REACH = 64  # samples of the lower rate on each side: twice what FFmpeg's filter looks at


def resampled(
    read: Callable[[Time, Time], AudioSamples | None],
    start_sec: Time,
    end_sec: Time,
    rate: int,
    new_rate: int,
    budget: Budget,
) -> AudioSamples | None:
    """Returns the samples with ``start_sec <= t < end_sec`` at ``new_rate``, those of times ``k / new_rate``.

    Args:
        read: (start, end) -> samples at ``rate``, None where the sound has ended.
        start_sec: not negative.
        end_sec: may lie beyond the end.
        rate: samples per second of what is read.
        new_rate: samples per second that are wanted.
        budget: of memory.

    Raises:
        LimitError: it takes too much memory.
        VideoError: FFmpeg cannot convert between these rates.
    """
    tick = Fraction(1, new_rate)
    first, last = int(ceil_ticks(start_sec, tick)), ceil_ticks(end_sec, tick)
    grid = rate // math.gcd(rate, new_rate)  # samples of both rates meet at every grid-th one
    reach = _REACH * max(1, -(-rate // new_rate))
    begin = max(0, int(first * Fraction(rate, new_rate)) - reach) // grid * grid
    end = (
        math.inf
        if math.isinf(last)
        else Fraction(math.ceil(last * Fraction(rate, new_rate)) + reach, rate)
    )
    sound = read(Fraction(begin, rate), end)
    if sound is None:
        return None
    origin = begin * new_rate // rate
    stop = min(last, math.ceil(Fraction((begin + sound.data.shape[1]) * new_rate, rate)))
    if stop <= first:
        return None
    channels, samples = sound.data.shape
    hold_sound(budget, channels, max(1.0, new_rate / rate) * samples, _COPIES)
    budget.hold("filter", f"sound of {rate:,} samples a second", _PHASES * reach // 2 * 4)
    try:
        data = _convert(sound.data, rate, new_rate)[:, first - origin : int(stop) - origin]
    except (av.error.FFmpegError, OverflowError) as error:
        raise VideoError(
            f"{budget.name}: FFmpeg cannot make {new_rate:,} samples a second of {rate:,}: {reason(error)}."
        ) from error
    return AudioSamples(data, new_rate)


def _convert(samples: torch.Tensor, rate: int, new_rate: int) -> torch.Tensor:
    """(channels, S) at one rate -> (channels, S * new_rate / rate) at another; sample 0 is at the same time."""
    channels = samples.shape[0]
    packed = np.ascontiguousarray(samples.numpy().T).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=f"{channels} channels")
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    resampler = audio_resampler(format="flt", rate=new_rate)
    parts = [*resampler.resample(frame), *resampler.resample(None)]
    joined = [part.to_ndarray().reshape(-1, channels) for part in parts]
    return torch.from_numpy(np.ascontiguousarray(np.concatenate(joined).T))
