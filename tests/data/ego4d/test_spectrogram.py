# SPDX-License-Identifier: Apache-2.0
"""Sound as pictures, against closed forms and librosa's numbers (``librosa.json``)."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from pytorchvideo.data.ego4d.spectrogram import (
    AUDIO_TRANSFORMS,
    mel_filterbank,
    mel_spectrogram,
    mfcc,
    spectrogram,
)

RATE = 48000


@pytest.fixture(scope="module")
def librosa() -> Any:
    return json.loads((Path(__file__).parent / "librosa.json").read_text())


def chirp() -> torch.Tensor:
    t = torch.arange(4096, dtype=torch.float64) / RATE
    return torch.sin(2 * math.pi * (440 * t + 20000 * t * t)).float()


@pytest.mark.parametrize("bin_of_tone", [10, 100, 500])
def test_a_pure_tone_is_in_its_row(bin_of_tone: int) -> None:
    n = torch.arange(8192)
    power = spectrogram(torch.cos(2 * math.pi * bin_of_tone / 1024 * n))
    assert power.shape == (513, 17)
    inner = power[:, 1:-1]  # the ends see the reflection
    assert (inner.argmax(dim=0) == bin_of_tone).all()
    # a tone on a bin through a Hann window: amplitude N/4 there, half of it beside, nothing elsewhere
    torch.testing.assert_close(inner[bin_of_tone], torch.full((15,), 256.0**2), rtol=1e-3, atol=0)
    torch.testing.assert_close(
        inner[bin_of_tone + 1], torch.full((15,), 128.0**2), rtol=1e-3, atol=0
    )
    assert inner[bin_of_tone + 5].max() < 1


def test_energy_of_noise_is_kept() -> None:
    noise = torch.randn(1024 * 64, generator=torch.Generator().manual_seed(1))
    power = spectrogram(noise)
    both_sides = 2 * power.sum(0) - power[0] - power[-1]  # Parseval
    window = torch.hann_window(1024).square().sum()
    assert both_sides.mean().item() == pytest.approx(1024 * window.item(), rel=0.02)


def test_filters_are_librosas(librosa: Any) -> None:
    for name, norm in (("slaney", "slaney"), ("peak", None)):
        truth = librosa[name]
        bank = mel_filterbank(truth["n_fft"] // 2 + 1, truth["n_mels"], RATE, norm)
        assert bank.shape == (truth["n_fft"] // 2 + 1, truth["n_mels"])
        sums = bank.sum(0)[:: truth["n_mels"] // 16].tolist()
        assert sums == pytest.approx(truth["sums"], rel=1e-5)
        for row, values in truth["rows"].items():
            found = {int(c): bank[int(c), int(row)].item() for c in values}
            assert found == pytest.approx(
                {int(c): v for c, v in values.items()}, rel=1e-4, abs=1e-9
            )


def test_filters_in_closed_form() -> None:
    bank = mel_filterbank(24001, 5, RATE)  # one row per Hz
    top = 2595 * math.log10(1 + 24000 / 700)
    for k in range(5):
        start, peak, end = (700 * (10 ** (top * (k + i) / 6 / 2595) - 1) for i in range(3))
        assert bank[:, k].argmax() == pytest.approx(peak, abs=1)
        assert bank[:, k].max() == pytest.approx(1, abs=0.01)
        support = bank[:, k].nonzero().flatten()
        assert support[0] == pytest.approx(start, abs=1)
        assert support[-1] == pytest.approx(end, abs=1)
    area = mel_filterbank(24001, 5, RATE, "slaney").sum(0)
    torch.testing.assert_close(area, torch.ones(5), rtol=1e-3, atol=0)
    with pytest.raises(ValueError, match="`norm` to be one of slaney, None"):
        mel_filterbank(10, 5, RATE, "area")


def test_mel_spectrogram_and_mfcc_are_librosas(librosa: Any) -> None:
    mels = mel_spectrogram(chirp(), RATE)
    assert mels.shape == (64, 9)
    truth = torch.tensor(librosa["mel_spectrogram"])
    torch.testing.assert_close(mels[::4], truth, rtol=1e-3, atol=1e-4 * truth.max().item())
    cepstrum = mfcc(chirp(), RATE)
    assert cepstrum.shape == (256, 9)
    torch.testing.assert_close(cepstrum[:24], torch.tensor(librosa["mfcc"]), rtol=1e-3, atol=0.05)


def test_the_cosine_transform_keeps_lengths() -> None:
    cepstrum = mfcc(chirp().double(), RATE)
    power = mel_spectrogram(chirp().double(), RATE, 2048, 256, norm=None)
    decibels = 10 * power.clamp(min=1e-10).log10()
    decibels = decibels.maximum(decibels.max() - 80)
    torch.testing.assert_close(cepstrum.norm(dim=0), decibels.norm(dim=0))
    flat = decibels.sum(0) / 16  # the first coefficient is the mean times the root of 256
    torch.testing.assert_close(cepstrum[0], flat)


@pytest.mark.parametrize(
    ("name", "rows"), [("spectrogram", 513), ("melspectrogram", 64), ("mfcc", 256)]
)
def test_shapes_batches_and_short_signals(name: str, rows: int) -> None:
    transform = AUDIO_TRANSFORMS[name]
    batch = torch.stack([chirp(), 2 * chirp()])
    assert transform(batch, RATE).shape == (2, rows, 9)
    torch.testing.assert_close(transform(batch, RATE)[1], transform(batch[1], RATE))
    with pytest.raises(ValueError, match="`signal` to be longer than"):
        transform(torch.zeros(512), RATE)
