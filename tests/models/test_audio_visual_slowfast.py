# SPDX-License-Identifier: Apache-2.0
"""Sound: separable stems and bottlenecks, the acoustic ResNet, and the pathway that hears."""

import copy
import hashlib
import pickle
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from torch import nn

from pytorchvideo.layers import ConvReduce3D
from pytorchvideo.models import (
    SeparableBottleneckBlock,
    create_acoustic_bottleneck_block,
    create_acoustic_res_basic_stem,
    create_acoustic_resnet,
    create_audio_visual_slowfast,
)
from pytorchvideo.models.audio_visual_slowfast import (
    AudioToSlowFastFusionBuilder,
    FuseAudioToFastSlow,
)

BATCH = torch.export.Dim("batch", min=1, max=8)


@pytest.fixture(scope="module")
def acoustic(shallow: Callable[[], AbstractContextManager[None]]) -> nn.Module:
    with shallow():
        return drawn(create_acoustic_resnet(model_num_class=5, stem_dim_out=8, head_pool=None))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """The published architecture with a quarter of its channels, for small clips of 2 and 8 frames."""
    return drawn(
        create_audio_visual_slowfast(
            model_depth=18,
            model_num_class=5,
            stem_dim_outs=(16, 2, 8),
            head_pool_kernel_sizes=((2, 1, 1), (8, 1, 1), (4, 1, 3)),
        )
    )


def drawn(model: nn.Module) -> nn.Module:
    """The model with all weights away from zero: the residual branches begin at it."""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter, generator=generator)
        else:
            nn.init.uniform_(parameter, 0.2, 0.5, generator=generator)
    return model.eval()


@pytest.fixture
def sound() -> torch.Tensor:
    return torch.rand(2, 1, 16, 1, 24, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def pathways() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes = (3, 2, 32, 32), (3, 8, 32, 32), (1, 32, 1, 24)
    return [torch.rand(2, *shape, generator=generator) for shape in shapes]


@pytest.mark.parametrize(
    ("build", "parameters", "count", "digest"),
    [
        (create_acoustic_resnet, 32_746_256, 363, "c6f0ea86f019"),
        (create_audio_visual_slowfast, 42_321_800, 1071, "517b442a0eac"),
    ],
)
def test_published_sizes(build: object, parameters: int, count: int, digest: str) -> None:
    with torch.device("meta"):
        network = build()  # type: ignore[operator]
    lines = sorted(f"{k}:{tuple(v.shape)}" for k, v in network.state_dict().items())
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert len(lines) == count
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest().startswith(digest)


def test_stem_adds_time_and_frequency() -> None:
    stem = create_acoustic_res_basic_stem(
        in_channels=1,
        out_channels=4,
        conv_kernel_size=(5, 1, 3),
        conv_stride=(1, 1, 2),
        conv_padding=(2, 0, 1),
        pool=None,
        norm=None,
        activation=None,
    )
    assert isinstance(stem.conv, ConvReduce3D)
    assert [conv.kernel_size for conv in stem.conv.convs] == [(5, 1, 1), (1, 1, 3)]
    nn.init.ones_(stem.conv.convs[0].weight)
    nn.init.ones_(stem.conv.convs[1].weight)
    x = torch.zeros(1, 1, 7, 1, 8)
    x[0, 0, 3, 0, 4] = 1
    # a click is seen by five frames at its frequency and by three frequencies at its time, every second of them
    wanted = torch.zeros(7, 4)
    wanted[1:6, 2] += 1
    wanted[3, 2] += 1
    assert torch.equal(stem(x)[0, 0, :, 0], wanted)
    assert create_acoustic_res_basic_stem(in_channels=1, out_channels=2)(
        torch.zeros(1, 1, 4, 16, 16)
    ).shape == (1, 2, 4, 8, 8)


def test_acoustic_bottleneck() -> None:
    block = create_acoustic_bottleneck_block(
        dim_in=4,
        dim_inner=2,
        dim_out=8,
        conv_a_stride=(1, 1, 1),
        conv_b_kernel_size=(3, 1, 5),
        conv_b_stride=(1, 1, 2),
        conv_b_padding=(2, 0, 4),
        conv_b_dilation=(2, 1, 2),
        norm_eps=0.5,
    ).eval()
    space, time = block.conv_b
    assert (space.kernel_size, space.padding, space.dilation) == ((1, 1, 5), (0, 0, 4), (1, 1, 2))
    assert (time.kernel_size, time.padding, time.dilation) == ((3, 1, 1), (2, 0, 0), (2, 1, 1))
    assert all(n.eps == 0.5 for n in block.modules() if isinstance(n, nn.BatchNorm3d))
    x = torch.randn(2, 4, 6, 1, 8)
    inner = block.act_a(block.norm_a(block.conv_a(x)))
    both = sum(
        act(norm(conv(inner)))
        for conv, norm, act in zip(block.conv_b, block.norm_b, block.act_b, strict=True)
    )
    torch.testing.assert_close(block(x), block.norm_c(block.conv_c(both)))
    with torch.no_grad():
        torch.testing.assert_close(block(x), block.norm_c(block.conv_c(both)))
    bare = create_acoustic_bottleneck_block(
        dim_in=4, dim_inner=2, dim_out=8, norm=None, activation=None
    )
    assert [name for name, _ in bare.named_children()] == ["conv_a", "conv_b", "conv_c"]
    assert bare(x).shape == (2, 8, 3, 1, 8)


def test_joined_branches() -> None:
    twice, thrice = nn.Conv3d(1, 1, 1, bias=False), nn.Conv3d(1, 1, 1, bias=False)
    nn.init.constant_(twice.weight, 2)
    nn.init.constant_(thrice.weight, 3)
    parts = dict.fromkeys(("conv_a", "norm_a", "act_a", "norm_b", "act_b", "conv_c", "norm_c"))
    convs = nn.ModuleList([twice, thrice])
    x = torch.ones(1, 1, 1, 1, 1)
    joined = SeparableBottleneckBlock(conv_b=convs, reduce_method="cat", **parts)
    assert joined(x).flatten().tolist() == [2, 3]
    assert SeparableBottleneckBlock(conv_b=convs, **parts)(x).item() == 5
    with pytest.raises(ValueError, match="one of sum, cat, but got 'max'"):
        SeparableBottleneckBlock(conv_b=convs, reduce_method="max", **parts)
    parts["norm_b"] = nn.ModuleList([nn.Identity()])
    with pytest.raises(ValueError, match=r"`norm_b` .* each of the 2 convolutions, but got 1"):
        SeparableBottleneckBlock(conv_b=convs, **parts)


def test_acoustic_resnet(acoustic: nn.Module, sound: torch.Tensor) -> None:
    with torch.inference_mode():
        scores = acoustic(sound)
        assert scores.shape == (2, 5)
        assert acoustic.forward_features(sound).shape == (2, acoustic.num_features) == (2, 256)
        for other in (copy.deepcopy(acoustic), pickle.loads(pickle.dumps(acoustic))):
            assert torch.equal(other(sound), scores)
    with pytest.raises(ValueError, match=r"\(B, 1, T, H, W\), but got \(2, 16, 1, 24\)"):
        acoustic(sound[:, 0])


@pytest.mark.slow
def test_acoustic_resnet_exports(acoustic: nn.Module, sound: torch.Tensor) -> None:
    program = torch.export.export(acoustic, (sound,), dynamic_shapes=({0: BATCH},), strict=True)
    more = torch.cat([sound, sound.flip(0)])
    with torch.no_grad():
        torch.testing.assert_close(program.module()(more), acoustic(more))


def test_fusion_by_hand() -> None:
    """Kernels of ones over two frames: the fast pathway is joined, the mean of the sound is added everywhere."""
    builder = AudioToSlowFastFusionBuilder(
        slowfast_channel_reduction_ratio=2,
        slowfast_audio_reduction_ratio=2,
        conv_fusion_channel_ratio=2,
        conv_kernel_size=1,
        conv_kernel_size_a=1,
        conv_stride=2,
        conv_stride_a=(4, (2, 1, 1)),
        conv_fusion_channel_interm_dim=3,
        norm=None,
        activation=None,
    )
    fusion = builder.create_module(fusion_dim_in=2, stage_idx=0)
    assert isinstance(fusion, FuseAudioToFastSlow)
    for parameter in fusion.parameters():
        nn.init.ones_(parameter)
    slow = torch.tensor([10.0, 20.0]).view(1, 2, 1, 1, 1).repeat(1, 1, 2, 1, 2)
    fast = torch.arange(4.0).view(1, 1, 4, 1, 1).repeat(1, 1, 1, 1, 2)
    audio = torch.arange(8.0).view(1, 1, 8, 1, 1) + torch.tensor([-1.0, 1.0])
    given = [slow, fast, audio]
    fused, *others = fusion(given)
    assert all(one is other for one, other in zip(others, given[1:], strict=True))
    # steps 0 and 4 of the sound, through three channels in between; frames 0 and 2 of the fast pathway
    assert fused[0, :, :, 0, 0].tolist() == [[10, 22], [20, 32], [0, 14], [0, 14]]
    assert torch.equal(fused[..., 0], fused[..., 1])
    later = builder.create_module(fusion_dim_in=4, stage_idx=1)
    assert later.block_audio_to_fastslow[-1].stride == (2, 1, 1)
    with pytest.raises(ValueError, match=r"`conv_stride_a` .* stages 0 to 3"):
        builder.create_module(fusion_dim_in=4, stage_idx=2)
    assert isinstance(builder.create_module(fusion_dim_in=4, stage_idx=4), nn.Identity)


@pytest.mark.parametrize("stride", [4, (4, 1, 1)])
def test_one_stride_for_all_stages(stride: object) -> None:
    builder = AudioToSlowFastFusionBuilder(8, 2, 2, 7, (5, 1, 1), 4, stride, conv_num_a=3)
    block = builder.create_module(fusion_dim_in=64, stage_idx=2).block_audio_to_fastslow
    convs = [layer for layer in block if isinstance(layer, nn.Conv3d)]
    assert [conv.stride for conv in convs] == [(1, 1, 1), (1, 1, 1), (4, 1, 1)]
    assert [conv.out_channels for conv in convs] == [8, 8, 80]


def test_audio_visual_slowfast(
    model: nn.Module, pathways: list[torch.Tensor], capfd: pytest.CaptureFixture[str]
) -> None:
    kept, before = list(pathways), [one.clone() for one in pathways]
    with torch.inference_mode():
        scores = model(pathways)
        assert torch.equal(model(pathways), scores)
        assert scores.shape == (2, 5)
        assert model.forward_features(pathways).shape == (2, model.num_features)
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert torch.equal(other(pathways), scores)
        # what is heard counts
        assert not torch.allclose(model([*pathways[:2], pathways[2].roll(9, 2)]), scores)
    assert all(one is other for one, other in zip(pathways, kept, strict=True))
    torch.testing.assert_close(pathways, before, rtol=0, atol=0)
    assert capfd.readouterr() == ("", "")


def test_every_parameter_gets_a_gradient(
    acoustic: nn.Module, model: nn.Module, sound: torch.Tensor, pathways: list[torch.Tensor]
) -> None:
    for network, given in ((acoustic, sound), (model, pathways)):
        network = copy.deepcopy(network).train()
        network(given).square().sum().backward()
        assert [n for n, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.slow
def test_audio_visual_slowfast_exports(model: nn.Module, pathways: list[torch.Tensor]) -> None:
    program = torch.export.export(
        model, (pathways,), dynamic_shapes=([{0: BATCH}] * 3,), strict=True
    )
    more = [torch.cat([one, one.flip(0)]) for one in pathways]
    with torch.no_grad():
        torch.testing.assert_close(program.module()(more), model(more))


def test_wrong_inputs(model: nn.Module, pathways: list[torch.Tensor]) -> None:
    slow, fast, audio = pathways
    with pytest.raises(ValueError, match="a list of 3 batches of clips"):
        model([slow, fast])
    with pytest.raises(ValueError, match=r"\(B, 1, T, H, W\), but got \(2, 32, 1, 24\)"):
        model([slow, fast, audio[:, 0]])
    with pytest.raises(ValueError, match=r"but got 2 and 16, of which it makes 1\."):
        model([slow, fast, audio[:, :, :16]])


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="two ratios, of the fast and of the audio pathway"):
        create_audio_visual_slowfast(slowfast_channel_reduction_ratio=(8,))
    with pytest.raises(ValueError, match=r"`stem_dim_out` .* each of the 3 pathways"):
        create_audio_visual_slowfast(stem_dim_outs=(64, 8))
    with pytest.raises(ValueError, match=r"`model_depth` to be one of \[50, 101, 152\]"):
        create_acoustic_resnet(model_depth=18)


def test_own_fusions() -> None:
    class Loud(nn.Module):
        def forward(self, x: list[torch.Tensor]) -> list[torch.Tensor]:
            slow, fast, audio = x
            return [torch.cat([slow, slow[:, : slow.shape[1] // 4]], dim=1), fast, audio]

    def build(fusion_dim_in: int, stage_idx: int) -> nn.Module:
        return Loud() if stage_idx < 4 else nn.Identity()

    with torch.device("meta"):
        network = create_audio_visual_slowfast(model_depth=18, fusion_builder=build, head_pool=None)
    assert sum(isinstance(m, Loud) for m in network.modules()) == 4
