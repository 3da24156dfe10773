# SPDX-License-Identifier: Apache-2.0
"""Networks that run frame by frame answer what the same networks answer for all frames at once."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pytorchvideo.layers._residual_block import ResBlock
from pytorchvideo.layers.squeeze_excitation import SqueezeExcitation
from pytorchvideo.models import IncrementalModel, Net, create_model, create_resnet, create_x3d
from pytorchvideo.models._parts.residual_stages import ResStage
from pytorchvideo.models.head import create_res_basic_head
from pytorchvideo.models.resnet import create_bottleneck_block, create_res_block
from pytorchvideo.models.x3d import create_x3d_head, create_x3d_res_block, create_x3d_stem

WINDOW, FRAMES, SIDE = 4, 24, 32


def randomised(model: Net) -> Net:
    """Norms as after training: no branch of a residual network is 0."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0.0, 0.2)
            assert module.running_mean is not None and module.running_var is not None
            nn.init.normal_(module.running_mean, 0.0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


def tiny_x3d(se_ratio: float = 0.25, side: int = SIDE) -> Net:
    """Seven blocks with temporal kernels of 3 after one of 5: late by 9 frames."""
    return create_x3d(
        input_clip_length=WINDOW,
        input_crop_size=side,
        model_num_class=5,
        width_factor=1.0,
        depth_factor=0.5,
        stem_dim_in=8,
        head_dim_out=16,
        se_ratio=se_ratio,
    )


def tiny_slow() -> Net:
    """Nine blocks with temporal kernels."""
    return create_resnet(
        stem_dim_out=4,
        stem_conv_kernel_size=(1, 7, 7),
        head_pool_kernel_size=(WINDOW, 1, 1),
        model_num_class=5,
    )


def seeded(build: Callable[[], Net]) -> Net:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return randomised(build())


def stream(batch: int = 2, frames: int = FRAMES, side: int = SIDE) -> torch.Tensor:
    return torch.randn(
        batch, 3, frames, side, side, generator=torch.Generator().manual_seed(frames)
    )


def answers(model: IncrementalModel, frames: torch.Tensor) -> list[torch.Tensor | None]:
    return [model.step(frame) for frame in frames.split(1, dim=2)]


def assert_as_one_long_clip(model: Net, reference: Net, frames: torch.Tensor, window: int) -> None:
    """Every answer is that of the head for a window of what the reference's trunk makes of all frames."""
    incremental = IncrementalModel(model, window)
    with torch.no_grad():
        trunk = reference.forward_trunk(frames)
    first = window + incremental.delay
    for count, answer in enumerate(answers(incremental, frames), start=1):
        if count < first:
            assert answer is None
            continue
        end = count - incremental.delay
        head = reference.classification_head
        assert head is not None and answer is not None
        with torch.no_grad():
            wanted = head(trunk[:, :, end - window : end])
        torch.testing.assert_close(answer, wanted, rtol=1e-5, atol=1e-5)
    assert answer is not None


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(
    ("build", "delay"), [(tiny_slow, 9), (lambda: tiny_x3d(se_ratio=0.0), 9)], ids=["slow", "x3d"]
)
def test_answers_are_those_of_one_long_clip(
    build: Callable[[], Net], delay: int, batch: int
) -> None:
    model = seeded(build)
    assert IncrementalModel(model, WINDOW).delay == delay
    assert_as_one_long_clip(model, model, stream(batch), WINDOW)


class RunningExcitation(nn.Module):
    """Squeeze-excitation as a stream has it: frame by frame, with the mean of the frames so far, at most WINDOW."""

    def __init__(self, excitation: SqueezeExcitation) -> None:
        super().__init__()
        self.block = excitation.block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(x)
        for t in range(x.shape[2]):
            seen = [x[:, :, i].mean(dim=(2, 3)) for i in range(max(0, t - WINDOW + 1), t + 1)]
            mean = sum(seen) / len(seen)
            out[:, :, t] = x[:, :, t] * self.block(mean[:, :, None, None, None])[:, :, 0]
        return out


@pytest.mark.parametrize("batch", [1, 2])
def test_squeeze_excitation_sees_the_last_frames(batch: int) -> None:
    model = seeded(tiny_x3d)
    reference = copy.deepcopy(model)
    for parent in list(reference.modules()):
        for name, child in parent.named_children():
            if isinstance(child, SqueezeExcitation):
                setattr(parent, name, RunningExcitation(child))
    assert_as_one_long_clip(model, reference, stream(batch), WINDOW)


def test_one_block_in_plain_loops() -> None:
    """A stem with a kernel of 3 frames and a residual block with another, computed frame by frame."""

    def build() -> Net:
        stem = create_x3d_stem(
            in_channels=3, out_channels=4, conv_kernel_size=(3, 3, 3), conv_padding=(1, 1, 1)
        )
        block = create_x3d_res_block(
            dim_in=4, dim_inner=8, dim_out=4, conv_stride=(1, 1, 1), norm=None, se_ratio=0.5
        )
        head = create_x3d_head(
            dim_in=4, dim_inner=8, dim_out=6, num_classes=2, pool_kernel_size=(WINDOW, 4, 4)
        )
        return Net(blocks=nn.ModuleList([stem, ResStage(nn.ModuleList([block])), head]))

    model, frames = seeded(build), stream(1, 10, 8)[0].transpose(0, 1)  # (T, C, H, W)
    stem, (block,), head = model.blocks[0], model.blocks[1].res_blocks, model.blocks[2]

    def over_time(conv: nn.Conv3d, maps: list[torch.Tensor], t: int) -> torch.Tensor:
        pads = conv.padding[1:]
        return sum(
            F.conv2d(
                maps[t + k - 1][None],
                conv.weight[:, :, k],
                None,
                conv.stride[1:],
                pads,
                1,
                conv.groups,
            )[0]
            for k in range(3)
            if t + k - 1 >= 0
        )

    def on_frame(layer: nn.Module, one: torch.Tensor) -> torch.Tensor:
        return layer(one[None, :, None])[0, :, 0]

    with torch.no_grad():
        spatial = [on_frame(stem.conv.conv_t, one) for one in frames]
        # the last frame of each layer has no next one yet
        stems = [
            on_frame(nn.Sequential(stem.norm, nn.ReLU()), over_time(stem.conv.conv_xy, spatial, t))
            for t in range(len(spatial) - 1)
        ]
        branch = block.branch2
        inner = [on_frame(branch.conv_a, one).relu() for one in stems]
        middle = [over_time(branch.conv_b, inner, t) for t in range(len(inner) - 1)]
        out, (_, excitation) = [], branch.norm_b
        for t, one in enumerate(middle):
            seen = torch.stack(middle[max(0, t - WINDOW + 1) : t + 1])
            gate = excitation.block(seen.mean(dim=(0, 2, 3)).view(1, -1, 1, 1, 1))[0, :, 0]
            out.append((stems[t] + on_frame(branch.conv_c, F.silu(one * gate))).relu())
        wanted = head(torch.stack(out[-WINDOW:], dim=1)[None])
    incremental = IncrementalModel(model, WINDOW)
    assert incremental.delay == 2
    answer = incremental.step(frames.transpose(0, 1)[None])
    torch.testing.assert_close(answer, wanted)


@pytest.mark.parametrize("pieces", [(24,), (1, 23), (7, 9, 8), (12, 1, 1, 10), (2,) * 12])
@pytest.mark.parametrize("build", [tiny_slow, tiny_x3d], ids=["slow", "x3d"])
def test_pieces_of_any_size(build: Callable[[], Net], pieces: tuple[int, ...]) -> None:
    model = IncrementalModel(seeded(build), WINDOW)
    frames = stream()
    wanted = answers(model, frames)
    model.reset()
    end = 0
    for piece in frames.split(pieces, dim=2):
        end += piece.shape[2]
        answer = model.step(piece)
        if wanted[end - 1] is None:
            assert answer is None
        else:
            torch.testing.assert_close(answer, wanted[end - 1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("window", [1, 7])
def test_a_window_of_another_length(window: int) -> None:
    """The head averages over as many frames as it is told, not over those of its own pool."""
    model = seeded(tiny_slow)
    other = copy.deepcopy(model)
    other.blocks[-1].pool.kernel_size = (window, 1, 1)
    assert_as_one_long_clip(model, other, stream(1), window)


@pytest.mark.parametrize("adaptive", [True, False])
def test_heads(adaptive: bool) -> None:
    """An adaptive pool, and frames that leave several positions."""

    def build() -> Net:
        if not adaptive:
            return tiny_x3d(se_ratio=0.0)
        return create_resnet(
            stem_dim_out=4, head_pool=nn.AdaptiveAvgPool3d, model_num_class=5, stem_pool=None
        )

    model = seeded(build)
    assert_as_one_long_clip(model, model, stream(1, side=48), WINDOW)


def test_reset_forgets() -> None:
    model = IncrementalModel(seeded(tiny_x3d), WINDOW)
    first = answers(model, stream())
    answers(model, stream(frames=5))
    model.reset()
    assert model.state_bytes == 0
    again = answers(model, stream())
    assert again[0] is None
    torch.testing.assert_close(again[-1], first[-1], rtol=0, atol=0)
    model.reset()
    # another size of batch and frames
    assert model.step(stream(batch=1, frames=13, side=64)) is not None


@pytest.mark.slow
def test_memory_stays_the_same() -> None:
    model = IncrementalModel(seeded(tiny_x3d), WINDOW)
    frames = stream(1)
    answers(model, frames)
    wanted = model.state_bytes
    assert 0 < wanted < 1_000_000
    for i in range(1000):
        model.step(frames[:, :, i % FRAMES, None])
        assert model.state_bytes == wanted
    model.step(frames.repeat(1, 1, 4, 1, 1))
    assert model.state_bytes <= 2 * wanted


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (torch.zeros(3, 3, 1, SIDE, SIDE), r"\(3, 3, t, 32, 32\) torch.float32 on cpu. Call reset"),
        (torch.zeros(2, 3, 1, SIDE, 64), r"\(2, 3, t, 32, 32\) torch.float32.*\(2, 3, t, 32, 64\)"),
        (torch.zeros(2, 3, 1, SIDE, SIDE).double(), "torch.float64 on cpu"),
        (torch.zeros(3, 1, SIDE, SIDE), "Add the batch dimension"),
        (torch.zeros(2, 3, 0, SIDE, SIDE), "at least one frame"),
    ],
)
def test_frames_of_another_stream(other: torch.Tensor, words: str) -> None:
    model = IncrementalModel(seeded(tiny_x3d), WINDOW)
    frames = stream()
    wanted = answers(model, frames)[-1]
    model.reset()
    model.step(frames[:, :, :20])
    with pytest.raises(ValueError, match=words):
        model.step(other)
    torch.testing.assert_close(model.step(frames[:, :, 20:]), wanted, rtol=1e-5, atol=1e-5)


def test_a_step_that_fails_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = IncrementalModel(seeded(tiny_x3d), WINDOW)
    frames = stream()
    wanted = answers(model, frames)[-1]
    model.reset()
    answers(model, frames[:, :, :-1])
    with monkeypatch.context() as patch:
        patch.setattr(model.model.blocks[-1], "scores", _interrupt)
        with pytest.raises(RuntimeError, match="interrupted"):
            model.step(frames[:, :, -1:])
    torch.testing.assert_close(model.step(frames[:, :, -1:]), wanted)


def _interrupt(x: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("interrupted")


def test_frames_too_small_for_the_head() -> None:
    model = IncrementalModel(seeded(lambda: tiny_x3d(side=64)), WINDOW)
    with pytest.raises(ValueError, match=r"at least \(1, 2, 2\) positions"):
        model.step(stream())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.1), (torch.float64, 1e-4)])
def test_other_precisions(dtype: torch.dtype, tolerance: float) -> None:
    model, frames = seeded(tiny_x3d), stream()
    # PyTorch has no other average pool in bfloat16 on a CPU
    model.blocks[-1].pool.pool = nn.AdaptiveAvgPool3d(1)
    wanted = answers(IncrementalModel(model, WINDOW), frames)[-1]
    assert wanted is not None
    answer = answers(IncrementalModel(model.to(dtype), WINDOW), frames.to(dtype))[-1]
    assert answer is not None and answer.dtype == dtype
    assert (answer.float() - wanted).abs().max() < tolerance * wanted.abs().max()


def test_channels_last() -> None:
    model, frames = seeded(tiny_x3d), stream()
    wanted = answers(IncrementalModel(model, WINDOW), frames)[-1]
    last = torch.channels_last_3d
    incremental = IncrementalModel(model.to(memory_format=last), WINDOW)
    answer = answers(incremental, frames.contiguous(memory_format=last))[-1]
    torch.testing.assert_close(answer, wanted, rtol=1e-5, atol=1e-5)


def test_layers_are_called_in_order_off_the_fast_path() -> None:
    """With autocast, the convolutions of PyTorch are called as they are."""
    model, frames = IncrementalModel(seeded(tiny_slow), WINDOW), stream(1)
    wanted = answers(model, frames)[-1]
    model.reset()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = answers(model, frames)[-1]
    assert answer is not None and wanted is not None
    assert (answer.float() - wanted).abs().max() < 0.1 * wanted.abs().max()


def test_weights_are_those_of_the_model() -> None:
    model = seeded(tiny_x3d)
    incremental = IncrementalModel(model, WINDOW)
    assert {id(one) for one in incremental.parameters()} == {id(one) for one in model.parameters()}
    assert set(incremental.state_dict()) == {f"model.{key}" for key in model.state_dict()}
    before = {key: value.clone() for key, value in model.state_dict().items()}
    answers(incremental, stream())
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)
    incremental.reset()
    model.reset_classifier(3)
    assert answers(incremental, stream())[-1].shape == (2, 3)
    nn.init.zeros_(model.classifier.weight)
    nn.init.ones_(model.classifier.bias)
    incremental.reset()
    torch.testing.assert_close(answers(incremental, stream())[-1], torch.ones(2, 3))


def test_no_gradients() -> None:
    answer = answers(IncrementalModel(seeded(tiny_x3d), WINDOW), stream())[-1]
    assert answer is not None and not answer.requires_grad


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_go_on_by_themselves(clone: Callable[[IncrementalModel], IncrementalModel]) -> None:
    model, frames = IncrementalModel(seeded(tiny_x3d), WINDOW), stream()
    model.step(frames[:, :, :20])
    other = clone(model)
    wanted = model.step(frames[:, :, 20:])
    model.reset()
    torch.testing.assert_close(other.step(frames[:, :, 20:]), wanted)


def test_training_mode_is_refused() -> None:
    network = seeded(tiny_x3d).train()
    norm = network.blocks[0].norm.eval()
    model = IncrementalModel(network, WINDOW)
    assert network.training and not norm.training
    with pytest.raises(RuntimeError, match=r"Call eval\(\) before step"):
        model.step(stream())
    model.eval()
    norm.train()
    with pytest.raises(RuntimeError, match=r"Call eval\(\) before step"):
        model.step(stream())
    norm.eval()
    # the mode of a new layer means nothing where it computes the same in both
    network.blocks[0].conv.conv_xy.train()
    assert model.step(stream()) is not None
    assert network.blocks[0].conv.conv_xy.training


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("c2d_r50", r"layer blocks.2 \(MaxPool3d\) is a pool over time"),
        ("csn_r101", r"blocks.2.res_blocks.0.branch2.conv_b \(Conv3d\) has a temporal stride of 2"),
        ("i3d_inception", r"this one \(InceptionI3D\) is not known to treat every frame by itself"),
        ("mvit_base_16x4", r"\(MultiscaleVisionTransformers\) has attention over all frames"),
        ("slowfast_r50", r"layer blocks.0 \(MultiPathWayWithFuse\) has several pathways"),
    ],
)
def test_networks_that_need_whole_clips(name: str, words: str) -> None:
    with torch.device("meta"):
        model = create_model(name)
    with pytest.raises(ValueError, match=words):
        IncrementalModel(model, 8)


def _larger(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.maximum(a, b)


def block(**changes: object) -> nn.Module:
    sizes = {
        "dim_in": 8,
        "dim_inner": 4,
        "dim_out": 8,
        "conv_a_stride": (1, 1, 1),
        "conv_b_stride": (1, 1, 1),
    }
    return create_res_block(**{**sizes, "bottleneck": create_bottleneck_block, **changes})


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.Conv3d(3, 8, 3), r"blocks.0 \(Conv3d\) changes the number of frames"),
        (nn.Conv3d(3, 8, 3, padding="same"), "pads with something else"),
        (nn.Conv3d(3, 8, 3, padding=1, padding_mode="replicate"), "pads with something else"),
        (nn.BatchNorm3d(3, track_running_stats=False), "keeps no statistics"),
        (nn.InstanceNorm3d(3), "is not known to treat every frame by itself"),
        (block(branch_fusion=_larger), "does not add its branches"),
        (block(conv_a_kernel_size=(1, 1, 1)), "changes the number of frames"),
        (
            ResBlock(branch1_conv=nn.Conv3d(8, 8, 3, padding=1), branch2=nn.Conv3d(8, 8, 1)),
            "has a temporal kernel on its shortcut",
        ),
    ],
)
def test_layers_that_need_whole_clips(layer: nn.Module, words: str) -> None:
    head = create_res_basic_head(in_features=8, out_features=2, pool_kernel_size=(4, 1, 1))
    with pytest.raises(ValueError, match=words):
        IncrementalModel(Net(blocks=nn.ModuleList([layer, head])), 4)


@pytest.mark.parametrize(
    "changes",
    [
        {"pool": None},
        {"pool": nn.MaxPool3d},
        {"pool_padding": (1, 0, 0), "pool_kernel_size": (3, 1, 1)},
        {"pool": nn.AdaptiveAvgPool3d, "output_size": (2, 1, 1)},
    ],
)
def test_heads_that_need_whole_clips(changes: dict[str, Any]) -> None:
    head = create_res_basic_head(in_features=3, out_features=2, **changes)
    with pytest.raises(ValueError, match="is no average over the whole clip"):
        IncrementalModel(Net(blocks=nn.ModuleList([head])), 4)


def test_a_head_with_a_temporal_kernel() -> None:
    head = create_x3d_head(dim_in=8, dim_inner=8, dim_out=8, num_classes=2)
    head.pool.pre_conv = nn.Conv3d(8, 8, (3, 1, 1), padding=(1, 0, 0))
    with pytest.raises(ValueError, match=r"blocks.0 \(ResNetBasicHead\) has a temporal kernel"):
        IncrementalModel(Net(blocks=nn.ModuleList([head])), 4)


def test_networks_without_a_head() -> None:
    with pytest.raises(ValueError, match=r"this one \(Net\) has no head"):
        IncrementalModel(Net(blocks=nn.ModuleList([nn.Identity()])), 4)


def test_a_window_without_frames() -> None:
    with pytest.raises(ValueError, match="`num_frames` to be >= 1, but got 0"):
        IncrementalModel(seeded(tiny_x3d), 0)
