# SPDX-License-Identifier: Apache-2.0
"""Stems, blocks, heads, networks and their initial weights."""

import pytest
import torch
from torch import nn

from pytorchvideo.layers.convolutions import create_conv_2plus1d
from pytorchvideo.models import (
    BottleneckBlock,
    Net,
    ResNetBasicHead,
    ResNetBasicStem,
    create_bottleneck_block,
    create_conv_patch_embed,
    create_res_basic_head,
    create_res_basic_stem,
    create_resnet,
    init_net_weights,
    load_checkpoint,
)
from pytorchvideo.models.head import create_vit_basic_head
from pytorchvideo.models.resnet import ResBlock, ResStage, create_res_block, create_res_stage
from pytorchvideo.models.x3d import (
    ProjectedPool,
    create_x3d,
    create_x3d_bottleneck_block,
    create_x3d_head,
    create_x3d_res_block,
    create_x3d_res_stage,
    create_x3d_stem,
)


@pytest.fixture(autouse=True)
def _no_gradients() -> object:
    with torch.no_grad():
        yield


def test_bottleneck_shapes_and_names() -> None:
    block = create_bottleneck_block(dim_in=8, dim_inner=4, dim_out=16)
    assert block(torch.randn(1, 8, 4, 10, 10)).shape == (1, 16, 2, 5, 5)
    assert [n for n, _ in block.named_children()] == (
        ["conv_a", "norm_a", "act_a", "conv_b", "norm_b", "act_b", "conv_c", "norm_c"]
    )
    bare = create_bottleneck_block(dim_in=8, dim_inner=4, dim_out=16, norm=None, activation=None)
    assert [n for n, _ in bare.named_children()] == ["conv_a", "conv_b", "conv_c"]


def test_bottleneck_parts_given_later_run_in_their_place() -> None:
    block = create_bottleneck_block(dim_in=2, dim_inner=2, dim_out=2, activation=None)
    wanted = create_bottleneck_block(dim_in=2, dim_inner=2, dim_out=2)
    wanted.load_state_dict(block.state_dict())
    block.act_a, block.act_b = nn.ReLU(), nn.ReLU()
    x = torch.randn(1, 2, 4, 4, 4)
    assert torch.equal(block(x), wanted(x))
    assert torch.equal(BottleneckBlock()(x), x)


def test_bottleneck_takes_other_convolutions() -> None:
    block = create_bottleneck_block(
        dim_in=8,
        dim_inner=4,
        dim_out=16,
        conv_b=create_conv_2plus1d,
        conv_b_kernel_size=(3, 3, 3),
        conv_b_padding=(1, 1, 1),
    )
    assert "conv_b.conv_xy.weight" in block.state_dict()
    assert block(torch.randn(1, 8, 4, 10, 10)).shape == (1, 16, 2, 5, 5)


@pytest.mark.parametrize(
    ("dim_in", "stride", "use_shortcut", "projected"),
    [
        (16, (1, 1, 1), False, False),
        (16, (1, 1, 1), True, True),
        (8, (1, 1, 1), False, True),
        (16, (1, 2, 2), False, True),
    ],
)
def test_shortcut(
    dim_in: int, stride: tuple[int, ...], use_shortcut: bool, projected: bool
) -> None:
    block = create_res_block(
        dim_in=dim_in,
        dim_inner=4,
        dim_out=16,
        bottleneck=create_bottleneck_block,
        use_shortcut=use_shortcut,
        conv_a_stride=(1, 1, 1),
        conv_b_stride=stride,
        norm_eps=0.5,
    )
    assert (block.branch1_conv is not None) == projected
    assert block(torch.randn(1, dim_in, 2, 6, 6)).shape[1] == 16
    if projected:
        assert block.branch1_norm.eps == 0.5


def test_branches_can_be_fused_otherwise() -> None:
    block = ResBlock(branch2=nn.Identity(), branch_fusion=torch.maximum)
    x = torch.randn(3)
    assert torch.equal(block(x), x)
    assert torch.equal(ResBlock(branch2=nn.Identity())(x), 2 * x)
    with pytest.raises(ValueError, match="`branch2` to be a module, but got None"):
        ResBlock()


def test_kernels_are_repeated_over_a_stage() -> None:
    stage = create_res_stage(
        depth=5,
        dim_in=4,
        dim_inner=2,
        dim_out=8,
        bottleneck=create_bottleneck_block,
        conv_a_kernel_size=((3, 1, 1), (1, 1, 1)),
        conv_a_padding=((1, 0, 0), (0, 0, 0)),
        conv_a_stride=(1, 1, 1),
    )
    assert isinstance(stage, ResStage)
    kernels = [block.branch2.conv_a.kernel_size[0] for block in stage.res_blocks]
    assert kernels == [3, 1, 3, 1, 3]
    assert stage(torch.randn(1, 4, 3, 8, 8)).shape == (1, 8, 3, 4, 4)


def test_one_size_for_all_stages() -> None:
    with torch.device("meta"):
        one = create_resnet(stage_conv_a_kernel_size=(3, 1, 1))
        four = create_resnet(stage_conv_a_kernel_size=((3, 1, 1),) * 4)
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (one, four)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(
    ("depth", "parameters"), [(50, 32_472_912), (101, 60_377_936), (152, 82_837_328)]
)
def test_depths(depth: int, parameters: int) -> None:
    with torch.device("meta"):
        model = create_resnet(model_depth=depth)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_unknown_depth() -> None:
    with pytest.raises(ValueError, match=r"model_depth` to be one of \[50, 101, 152\], but got 34"):
        create_resnet(model_depth=34)


def test_stem_and_patches() -> None:
    stem = create_res_basic_stem(in_channels=3, out_channels=8)
    assert stem(torch.randn(1, 3, 4, 32, 32)).shape == (1, 8, 4, 8, 8)
    bare = create_res_basic_stem(
        in_channels=3, out_channels=8, norm=None, activation=None, pool=None
    )
    assert [n for n, _ in bare.named_children()] == ["conv"]
    with pytest.raises(ValueError, match="`conv` to be a module, but got None"):
        ResNetBasicStem()
    patches = create_conv_patch_embed(in_channels=3, out_channels=8)
    x = torch.randn(2, 3, 2, 32, 32)
    rows = patches(x)
    assert rows.shape == (2, 4 * 8 * 8, 8)
    assert torch.equal(rows[0, 9], patches.patch_model(x)[0, :, 0, 1, 1])


@pytest.mark.parametrize("pool", [nn.AvgPool3d, nn.MaxPool3d, nn.AdaptiveAvgPool3d, None])
def test_head(pool: type[nn.Module] | None) -> None:
    head = create_res_basic_head(
        in_features=8, out_features=5, pool=pool, pool_kernel_size=(2, 3, 3), dropout_rate=0.0
    )
    assert head(torch.randn(2, 8, 2, 3, 4)).shape == (2, 5)
    assert head.features(torch.randn(2, 8, 2, 3, 4)).shape == (2, 8)
    assert head.dropout is None


def test_head_without_average_keeps_the_positions() -> None:
    head = create_res_basic_head(
        in_features=8,
        out_features=5,
        pool_kernel_size=(1, 3, 3),
        activation=nn.Softmax,
        output_with_global_average=False,
    )
    scores = head(torch.randn(2, 8, 1, 5, 4))
    assert scores.shape == (2, 5, 1, 3, 2)
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(2, 1, 3, 2))


def test_head_errors() -> None:
    with pytest.raises(ValueError, match="`proj` to be a module"):
        ResNetBasicHead()
    with pytest.raises(ValueError, match="pool_kernel_size` to be three numbers"):
        create_res_basic_head(in_features=8, out_features=5, pool_kernel_size=None)
    head = ResNetBasicHead(proj=nn.Identity())
    with pytest.raises(ValueError, match="a Linear or a Conv3d layer, but got 'Identity'"):
        head.reset_classifier(3)


@pytest.mark.parametrize("include", [True, False])
def test_padding_makes_a_clip_long_enough(include: bool) -> None:
    """PyTorch's pool refuses the clip; its definition does not: means over the window, with zeros or without."""
    pool = nn.AvgPool3d((4, 3, 3), stride=1, padding=(1, 1, 1), count_include_pad=include)
    head = ResNetBasicHead(pool=pool, proj=nn.Identity())
    x = torch.rand(2, 3, 2, 2, 5)
    if include:
        padded = nn.functional.pad(x, (1,) * 6)
        wanted = padded.unfold(2, 4, 1).unfold(3, 3, 1).unfold(4, 3, 1).mean(dim=(5, 6, 7))
    else:
        columns = [x[..., max(0, i - 1) : i + 2].mean(dim=(2, 3, 4)) for i in range(5)]
        wanted = torch.stack(columns, dim=-1)[:, :, None, None].expand(2, 3, 1, 2, 5)
    torch.testing.assert_close(head(x), wanted)
    # where it is large enough without, the pool itself runs
    large = torch.rand(2, 3, 6, 7, 8)
    assert torch.equal(head(large), pool(large))
    with pytest.raises(ValueError, match=r"at least \(4, 3, 3\) positions"):
        head(x[:, :, :1])
    with pytest.raises(RuntimeError, match=r"but got \(1, 2, 5\)"):
        head(x[:, :, :1])


def test_heads_without_a_classifier_return_features() -> None:
    x, tokens = torch.rand(2, 8, 2, 3, 3), torch.rand(2, 4, 8)
    res = create_res_basic_head(
        in_features=8, out_features=5, pool_kernel_size=(2, 2, 2), activation=nn.Softmax
    ).eval()
    x3d = create_x3d_head(
        dim_in=8, dim_inner=6, dim_out=7, num_classes=5, pool_kernel_size=(2, 2, 2)
    ).eval()
    for head in (res, x3d):
        head.proj = None
        torch.testing.assert_close(head(x), head.features(x))
        assert not hasattr(head, "classifier")
        with pytest.raises(ValueError, match="no classifier: its `proj` is None"):
            head.reset_classifier(3)
    vit = create_vit_basic_head(in_features=8, out_features=5, activation=nn.Softmax).eval()
    vit.proj = None
    assert torch.equal(vit(tokens), tokens[:, 0])


def test_heads_need_classes() -> None:
    with pytest.raises(
        ValueError, match=r"`out_features` to be >= 1, but got 0\..*forward_features"
    ):
        create_res_basic_head(in_features=8, out_features=0)
    with pytest.raises(ValueError, match="`out_features` to be >= 1, but got 0"):
        create_vit_basic_head(in_features=8, out_features=0)
    sizes = {"dim_in": 8, "dim_inner": 6, "dim_out": 7}
    with pytest.raises(ValueError, match="`num_classes` to be >= 1, but got -1"):
        create_x3d_head(**sizes, num_classes=-1)


def test_net_without_a_head() -> None:
    net = Net(blocks=nn.ModuleList([nn.Conv3d(3, 4, 1), nn.ReLU()]))
    x = torch.randn(2, 3, 2, 4, 4)
    assert net(x).shape == (2, 4, 2, 4, 4)
    torch.testing.assert_close(net.forward_features(x), net(x).mean(dim=(2, 3, 4)))
    with pytest.raises(ValueError, match="ends without a classification head"):
        net.reset_classifier(4)
    assert not hasattr(net, "classifier")
    assert not hasattr(net, "num_features")
    load_checkpoint(net, net.state_dict())
    with pytest.raises(ValueError, match=r"`blocks` to be an nn\.ModuleList, but got 'list'"):
        Net(blocks=[nn.ReLU()])
    assert torch.equal(Net(blocks=nn.ModuleList())(x), x)


def test_x3d_blocks() -> None:
    x = torch.randn(1, 16, 3, 8, 8)
    sizes = {"dim_in": 16, "dim_inner": 32, "dim_out": 24}
    with_excitation = create_x3d_bottleneck_block(**sizes)
    assert with_excitation(x).shape == (1, 24, 3, 4, 4)
    assert "norm_b.1.block.0.weight" in with_excitation.state_dict()
    assert isinstance(create_x3d_bottleneck_block(**sizes, se_ratio=0.0).norm_b[1], nn.Identity)
    assert create_x3d_stem(in_channels=3, out_channels=8)(torch.randn(1, 3, 3, 8, 8)).shape == (
        (1, 8, 3, 4, 4)
    )
    stage = create_x3d_res_stage(depth=3, **sizes)
    excited = ["norm_b.1.block.0.bias" in b.branch2.state_dict() for b in stage.res_blocks]
    assert excited == [True, False, True]
    assert stage(x).shape == (1, 24, 3, 4, 4)


def test_x3d_shortcuts() -> None:
    sizes = {"dim_inner": 32, "dim_out": 16, "norm_eps": 0.5, "norm_momentum": 0.25}
    widened = create_x3d_res_block(dim_in=8, **sizes)
    assert (widened.branch1_norm.eps, widened.branch1_norm.momentum) == (0.5, 0.25)
    strided = create_x3d_res_block(dim_in=16, **sizes)
    assert strided.branch1_conv is not None
    assert strided.branch1_norm is None
    same = create_x3d_res_block(dim_in=16, conv_stride=(1, 1, 1), **sizes)
    assert same.branch1_conv is None
    bare = create_x3d_res_block(
        dim_in=16,
        dim_inner=32,
        dim_out=16,
        use_shortcut=False,
        norm=None,
        activation=None,
        inner_act=None,
    )
    assert bare.branch1_conv is None


def test_x3d_head() -> None:
    arguments = {"dim_in": 8, "dim_inner": 12, "dim_out": 20, "num_classes": 5}
    head = create_x3d_head(**arguments, pool_kernel_size=(2, 3, 3))
    scores = head.eval()(torch.randn(2, 8, 2, 4, 4))
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(2))
    everything = create_x3d_head(**arguments, pool_kernel_size=None, bn_lin5_on=True)
    assert everything.eval()(torch.randn(2, 8, 1, 1, 3)).shape == (2, 5)
    assert head.num_features == 20
    with pytest.raises(ValueError, match="pre_conv and pool and post_conv"):
        ProjectedPool(pool=nn.Identity())


def test_x3d_temporal_strides_reach_the_head() -> None:
    with torch.device("meta"):
        model = create_x3d(
            input_clip_length=8, input_crop_size=64, stage_temporal_stride=(1, 2, 2, 1)
        )
        assert model.blocks[-1].pool.pool.kernel_size == (2, 2, 2)
        assert model.eval()(torch.empty(1, 3, 8, 64, 64)).shape == (1, 400)


def test_initial_weights_of_a_resnet() -> None:
    model = create_resnet(model_num_class=50, head_pool=None)
    for module in model.modules():
        if isinstance(module, nn.Conv3d):
            kernel = module.weight[0, 0].numel()
            wanted = (2 / (module.out_channels * kernel)) ** 0.5
            assert module.weight.std().item() == pytest.approx(wanted, rel=0.1)
        if isinstance(module, BottleneckBlock):
            assert not module.norm_c.weight.any()
            assert torch.equal(module.norm_b.weight, torch.ones_like(module.norm_b.weight))
    assert model.classifier.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert not model.classifier.bias.any()
    assert all(
        torch.equal(b.bias, torch.zeros_like(b.bias))
        for b in model.modules()
        if isinstance(b, nn.BatchNorm3d)
    )


def test_initial_weights_of_a_transformer() -> None:
    model = nn.Module()
    model.cls_token = nn.Parameter(torch.zeros(1, 1, 512))
    model.pos_embed_spatial = nn.Parameter(torch.zeros(1, 9, 512))
    model.norm, model.linear = nn.LayerNorm(4), nn.Linear(256, 256)
    init_net_weights(model, init_std=0.02, style="vit")
    for tensor in (model.cls_token, model.pos_embed_spatial, model.linear.weight):
        assert tensor.std().item() == pytest.approx(0.02, rel=0.15)
    assert not model.linear.bias.any()
    with pytest.raises(ValueError, match="`style` to be one of resnet, vit, but got 'vgg'"):
        init_net_weights(model, style="vgg")  # type: ignore[arg-type]
