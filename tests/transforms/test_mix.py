# SPDX-License-Identifier: Apache-2.0
"""Mixing: shares, labels and sound agree with closed forms, inputs stay as they are."""

import pytest
import torch

from pytorchvideo.transforms import CutMix, MixUp, MixVideo

CLASSES = 5
MIXES = [MixUp, CutMix, MixVideo]


def batch(size: int = 4) -> torch.Tensor:
    """Clip i is i everywhere."""
    return torch.arange(float(size)).view(-1, 1, 1, 1, 1).expand(size, 3, 2, 11, 13).clone()


def test_mixup_is_a_weighted_mean() -> None:
    x, labels, sound = batch(), torch.tensor([0, 1, 2, 3]), torch.arange(4.0)[:, None]
    video, audio, soft = MixUp(num_classes=CLASSES)(x, labels, sound)
    share = soft[0, 0].item()
    assert 0 < share < 1
    wanted = share * torch.arange(4.0) + (1 - share) * torch.arange(3.0, -1, -1)
    torch.testing.assert_close(video, wanted.view(-1, 1, 1, 1, 1).expand_as(x))
    torch.testing.assert_close(audio[:, 0], wanted)
    torch.testing.assert_close(soft[0], torch.tensor([share, 0, 0, 1 - share, 0]))


def test_cutmix_is_a_rectangle_of_the_partner() -> None:
    cutmix = CutMix(num_classes=CLASSES)
    shares = set()
    for _ in range(30):
        video, soft = cutmix(batch(), torch.tensor([0, 1, 2, 3]))
        of_partner = video[0] == 3
        assert ((video[0] == 0) | of_partner).all()
        assert (of_partner == of_partner[:1, :1]).all()
        rows, columns = of_partner[0, 0].any(1), of_partner[0, 0].any(0)
        assert torch.equal(of_partner[0, 0], rows[:, None] & columns)
        assert soft[0, 3].item() == pytest.approx(of_partner.float().mean().item(), abs=1e-6)
        shares.add(round(soft[0, 3].item(), 3))
    assert len(shares) > 10


def test_sound_is_mixed_in_the_share_of_the_labels() -> None:
    for mix in MIXES:
        for _ in range(6):
            _, audio, soft = mix(num_classes=CLASSES)(
                batch(), torch.tensor([0, 1, 2, 3]), torch.arange(4.0)
            )
            assert audio[0].item() == pytest.approx(3 * soft[0, 3].item(), abs=1e-5)


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("one_hot", [True, False])
def test_labels_as_ids_and_as_vectors(mix: type[MixUp], one_hot: bool) -> None:
    ids = torch.tensor([0, 1, 2, 3])
    labels = torch.nn.functional.one_hot(ids, CLASSES).float() if one_hot else ids
    for _ in range(6):
        video, soft = mix(num_classes=CLASSES, one_hot=one_hot)(batch(), labels)
        assert video.shape == (4, 3, 2, 11, 13)
        torch.testing.assert_close(soft.sum(1), torch.ones(4))
        assert soft[1, 1].item() == pytest.approx(soft[0, 0].item())


def test_mixvideo_takes_either() -> None:
    x, labels = batch(), torch.arange(4)

    def is_cut(mix: MixVideo) -> bool:
        values = mix(x, labels)[0][0].unique()
        return bool(torch.isin(values, torch.tensor([0.0, 3.0])).all())

    assert all(is_cut(MixVideo(1.0, num_classes=CLASSES)) for _ in range(8))
    assert not any(is_cut(MixVideo(0.0, num_classes=CLASSES)) for _ in range(8))
    kinds = {is_cut(MixVideo(0.5, num_classes=CLASSES)) for _ in range(20)}
    assert kinds == {True, False}


@pytest.mark.parametrize("mix", MIXES)
def test_smoothing(mix: type[MixUp]) -> None:
    _, soft = mix(label_smoothing=0.2, num_classes=CLASSES)(batch(), torch.zeros(4).long())
    torch.testing.assert_close(soft, torch.tensor([[0.84, 0.04, 0.04, 0.04, 0.04]]).expand(4, 5))
    _, soft = mix(label_smoothing=0.2, num_classes=CLASSES)(batch(), torch.arange(4))
    assert soft[:, 4].tolist() == torch.full((4,), 0.2 / CLASSES).tolist()  # to the last bit


@pytest.mark.parametrize("mix", MIXES)
def test_inputs_stay_as_they_are(mix: type[MixUp]) -> None:
    x, labels, sound = batch(), torch.arange(4), torch.rand(4, 9)
    copies = [t.clone() for t in (x, labels, sound)]
    for _ in range(4):
        mix(num_classes=CLASSES)(x, labels, sound)
    for now, before in zip((x, labels, sound), copies, strict=True):
        assert torch.equal(now, before)


@pytest.mark.parametrize("mix", MIXES)
def test_uint8_stays_uint8(mix: type[MixUp]) -> None:
    x = (batch() * 80).to(torch.uint8)
    for seed in range(4):
        torch.manual_seed(seed)
        video, _ = mix(num_classes=CLASSES)(x, torch.arange(4))
        torch.manual_seed(seed)
        exact, _ = mix(num_classes=CLASSES)(x.double(), torch.arange(4))
        assert video.dtype == torch.uint8
        torch.testing.assert_close(video.double(), exact, atol=0.51, rtol=0)


@pytest.mark.parametrize("mix", MIXES)
def test_generator_repeats_and_leaves_the_global_one(mix: type[MixUp]) -> None:
    def run() -> torch.Tensor:
        generator = torch.Generator().manual_seed(8)
        return mix(num_classes=CLASSES, generator=generator)(batch(), torch.arange(4))[0]

    state = torch.get_rng_state()
    assert torch.equal(run(), run())
    assert torch.equal(torch.get_rng_state(), state)


def test_wrong_arguments() -> None:
    mix = MixUp(num_classes=CLASSES)
    with pytest.raises(ValueError, match=r"a batch .* of two clips at least"):
        mix(batch(1), torch.tensor([0]))
    with pytest.raises(ValueError, match=r"`labels` to be of shape \(4,\), but got \(4, 5\)"):
        mix(batch(), torch.zeros(4, CLASSES))
    with pytest.raises(ValueError, match=r"`labels` to be of shape \(4, 5\), but got \(4,\)"):
        MixUp(num_classes=CLASSES, one_hot=True)(batch(), torch.arange(4))
    with pytest.raises(ValueError, match=r"class ids in \[0, 5\)"):
        mix(batch(), torch.tensor([0, 1, 2, 7]))
    with pytest.raises(ValueError, match="a batch of 4, as the video"):
        mix(batch(), torch.arange(4), torch.zeros(3, 9))
    with pytest.raises(ValueError, match="`alpha` to be > 0"):
        CutMix(alpha=0)
    with pytest.raises(ValueError, match="`cutmix_alpha` to be > 0"):
        MixVideo(cutmix_alpha=-1)
    with pytest.raises(ValueError, match=r"`cutmix_prob` to be in \[0, 1\]"):
        MixVideo(cutmix_prob=1.5)
    with pytest.raises(ValueError, match=r"`label_smoothing` to be in \[0, 1\)"):
        MixUp(label_smoothing=1.0)


def test_only_a_share_of_the_batches_is_mixed() -> None:
    x, labels = torch.rand(4, 3, 2, 8, 8), torch.arange(4) % CLASSES
    mix = MixVideo(0.0, num_classes=CLASSES, label_smoothing=0.1, mix_prob=0.3)
    whole = [mix(x, labels) for _ in range(300)]
    mixed = sum(not torch.equal(clips, x) for clips, _ in whole) / 300
    assert mixed == pytest.approx(0.3, abs=0.09)
    for clips, soft in whole:
        if torch.equal(clips, x):
            # the class of each clip, smoothed: 1 - s + s / C
            assert soft.gather(1, labels[:, None]).flatten().tolist() == pytest.approx(
                [0.9 + 0.1 / CLASSES] * 4
            )
    with pytest.raises(ValueError, match=r"`mix_prob` to be in \[0, 1\], but got 2"):
        MixVideo(mix_prob=2)
