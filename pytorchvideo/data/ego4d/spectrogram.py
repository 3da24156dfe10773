# SPDX-License-Identifier: Apache-2.0
"""Spectrograms of audio: linear, mel, and cepstral coefficients (MFCC).

Powers of a short-time Fourier transform with a periodic Hann window as long as the transform, centred, the ends
reflected: what torchaudio's classes of these names compute with their defaults.
"""

import math
from collections.abc import Callable
from functools import cache

import torch

from pytorchvideo._checks import check_choice, expected

__all__ = ["AUDIO_TRANSFORMS", "mel_filterbank", "mel_spectrogram", "mfcc", "spectrogram"]

_HOP = 512


def spectrogram(signal: torch.Tensor, n_fft: int = 1024, hop_length: int = _HOP) -> torch.Tensor:
    """Returns the power of each frequency over time.

    Args:
        signal: (..., S), longer than half of ``n_fft``.
        n_fft: length of the transform.
        hop_length: samples from one to the next.

    Returns:
        (..., n_fft // 2 + 1, S // hop_length + 1); row k is at ``k / n_fft`` of the sampling rate.

    Raises:
        ValueError: the signal is too short.
    """
    if signal.shape[-1] <= n_fft // 2:
        raise ValueError(
            expected("signal", f"longer than {n_fft // 2} samples", tuple(signal.shape))
        )
    window = torch.hann_window(n_fft, dtype=signal.dtype, device=signal.device)
    transform = torch.stft(
        signal, n_fft, hop_length, window=window, pad_mode="reflect", return_complex=True
    )
    return transform.abs().square()


@cache
def mel_filterbank(
    n_freqs: int, n_mels: int, sample_rate: float, norm: str | None = None
) -> torch.Tensor:
    """Returns triangles that overlap by half, evenly spread on the mel scale of HTK, ``2595 log10(1 + f / 700)``.

    Args:
        n_freqs: frequencies of the spectrogram, from 0 to half of ``sample_rate``.
        n_mels: number of triangles.
        sample_rate: of the sound, in Hz.
        norm: None for peaks of 1; ``"slaney"`` for areas of 1 (over Hz).

    Returns:
        float32 (n_freqs, n_mels).
    """
    check_choice("norm", str(norm), ("slaney", "None"))
    top = 2595 * math.log10(1 + sample_rate / 2 / 700)
    mels = torch.linspace(0, top, n_mels + 2, dtype=torch.float64)
    edges = 700 * (10 ** (mels / 2595) - 1)  # Hz: starts, peaks and ends are 0.., 1.., 2..
    frequencies = torch.linspace(0, sample_rate / 2, n_freqs, dtype=torch.float64)
    distance = edges - frequencies[:, None]  # (n_freqs, n_mels + 2)
    width = edges.diff()
    triangles = torch.minimum(-distance[:, :-2] / width[:-1], distance[:, 2:] / width[1:])
    bank = triangles.clamp(min=0)
    if norm == "slaney":
        bank = bank * 2 / (edges[2:] - edges[:-2])
    return bank.to(torch.float32)


def mel_spectrogram(
    signal: torch.Tensor,
    sample_rate: float,
    n_fft: int = 1024,
    n_mels: int = 64,
    norm: str | None = "slaney",
) -> torch.Tensor:
    """Returns the power in each mel band over time, (..., n_mels, S // 512 + 1); see :func:`spectrogram`."""
    bank = mel_filterbank(n_fft // 2 + 1, n_mels, sample_rate, norm).to(signal)
    return bank.T @ spectrogram(signal, n_fft)


def mfcc(
    signal: torch.Tensor,
    sample_rate: float,
    n_fft: int = 2048,
    n_mels: int = 256,
    n_mfcc: int = 256,
) -> torch.Tensor:
    """Returns the mel cepstrum, (..., n_mfcc, S // 512 + 1).

    It is the orthonormal cosine transform (type II) over the bands of a mel spectrogram in decibels, cut off 80 dB
    below its maximum.
    """
    power = mel_spectrogram(signal, sample_rate, n_fft, n_mels, norm=None)
    decibels = 10 * power.clamp(min=1e-10).log10()
    decibels = decibels.maximum(decibels.amax(dim=(-2, -1), keepdim=True) - 80)
    return _cosines(n_mfcc, n_mels).to(signal) @ decibels


@cache
def _cosines(n_mfcc: int, n_mels: int) -> torch.Tensor:
    """The orthonormal cosine transform of type II, float64 (n_mfcc, n_mels)."""
    k = torch.arange(n_mfcc, dtype=torch.float64)[:, None]
    n = torch.arange(n_mels, dtype=torch.float64)
    rows = torch.cos(math.pi / n_mels * (n + 0.5) * k) * math.sqrt(2 / n_mels)
    rows[0] /= math.sqrt(2)
    return rows


def _plain(signal: torch.Tensor, sample_rate: float) -> torch.Tensor:
    return spectrogram(signal)


AUDIO_TRANSFORMS: dict[str, Callable[[torch.Tensor, float], torch.Tensor]] = {
    "melspectrogram": mel_spectrogram,
    "mfcc": mfcc,
    "spectrogram": _plain,
}
"""By name: (signal (..., S), samples per second) -> (..., F, T)."""
