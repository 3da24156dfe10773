# SPDX-License-Identifier: Apache-2.0
"""Modules, names and signatures that user code of PyTorchVideo has, and what PySlowFast takes of them.

``models/data/signatures.json`` lists the public names of the layers, models, losses and accelerator of PyTorchVideo,
a line each: the signature as a line of Python, with the names of classes and functions for defaults that are such
(``...`` where the original has a lambda or a private function), and the methods and properties that are public.
"""

import ast
import importlib
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

MODULES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "models/data/signatures.json").read_text(encoding="utf-8")
)
NAMES = [(module, name) for module, names in MODULES.items() for name in names]

# Not a method of ours: it is PyTorch's own here.
LEFT_OUT = {"backward"}
# Names of another module with other defaults or another order of arguments, to be given by name.
BY_NAME = {
    ("pytorchvideo.layers.attention_torchscript", "MultiScaleAttention"),
    ("pytorchvideo.layers.attention_torchscript", "ScriptableMultiScaleBlock"),
}


def plain(value: object) -> object:
    """A default, with names for classes and functions, and lists for tuples."""
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return getattr(value, "__name__", value)


def stated(node: ast.expr | None) -> object:
    """The same of a default in the table; a name stands for itself."""
    if isinstance(node, ast.Tuple | ast.List):
        return [stated(one) for one in node.elts]
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)  # type: ignore[arg-type]


def parameters(signature: str) -> dict[str, tuple[bool, ast.expr | None]]:
    """Name -> whether it is keyword-only, and its default."""
    function = ast.parse(f"def f{signature}: pass").body[0]
    assert isinstance(function, ast.FunctionDef)
    names = function.args.args
    defaults = [None] * (len(names) - len(function.args.defaults)) + function.args.defaults
    found = {one.arg: (False, default) for one, default in zip(names, defaults, strict=True)}
    keywords = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return found | {one.arg: (True, default) for one, default in keywords}


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_names_and_signatures(module: str, name: str) -> None:
    entry, found = MODULES[module][name], getattr(importlib.import_module(module), name)
    assert {one for one in entry.get("members", []) if not hasattr(found, one)} <= LEFT_OUT
    if "signature" not in entry or (module, name) in BY_NAME:
        return
    ours, wanted = inspect.signature(found).parameters, parameters(entry["signature"])
    positional = [one for one, (keyword, _) in wanted.items() if not keyword]
    assert list(ours)[: len(positional)] == positional
    for one, (_, default) in wanted.items():
        assert one in ours
        if default is None:
            continue
        assert ours[one].default is not inspect.Parameter.empty, one
        if not (isinstance(default, ast.Constant) and default.value is ...):
            assert plain(ours[one].default) == stated(default), one
    more = set(ours) - set(wanted)
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    needed = [
        one
        for one in more
        if ours[one].default is inspect.Parameter.empty and ours[one].kind not in kinds
    ]
    assert needed == []


def run_csn() -> None:
    from pytorchvideo.models.csn import create_csn

    model = create_csn(model_num_class=2, stem_dim_out=4, head_pool_kernel_size=(1, 1, 1))
    assert model.eval()(torch.rand(1, 3, 8, 16, 16)).shape == (1, 2)


def run_basic_head() -> None:
    from pytorchvideo.models.head import create_res_basic_head

    head = create_res_basic_head(in_features=4, out_features=3, pool_kernel_size=(2, 2, 2))
    assert head(torch.rand(1, 4, 2, 2, 2)).shape == (1, 3)


def run_roi_head() -> None:
    from pytorchvideo.models.head import create_res_roi_pooling_head

    head = create_res_roi_pooling_head(
        in_features=4,
        out_features=3,
        resolution=(2, 2),
        spatial_scale=0.5,
        pool_kernel_size=(2, 1, 1),
    )
    boxes = torch.tensor([[0.0, 0.0, 0.0, 8.0, 8.0], [0.0, 2.0, 2.0, 6.0, 8.0]])
    assert head(torch.rand(1, 4, 2, 4, 4), boxes).shape[:2] == (2, 3)


def run_2plus1d() -> None:
    from pytorchvideo.models.r2plus1d import create_2plus1d_bottleneck_block, create_r2plus1d

    block = create_2plus1d_bottleneck_block(dim_in=4, dim_inner=2, dim_out=4)
    assert block(torch.rand(1, 4, 4, 4, 4)).shape == (1, 4, 2, 2, 2)
    model = create_r2plus1d(model_num_class=2, stem_dim_out=4, head_pool_kernel_size=(1, 1, 1))
    assert model.eval()(torch.rand(1, 3, 4, 32, 32)).shape == (1, 2)


def run_resnet() -> None:
    from pytorchvideo.models.resnet import create_bottleneck_block, create_resnet

    block = create_bottleneck_block(dim_in=4, dim_inner=2, dim_out=4)
    assert block(torch.rand(1, 4, 4, 4, 4)).shape == (1, 4, 2, 2, 2)
    model = create_resnet(model_num_class=2, stem_dim_out=4, head_pool_kernel_size=(1, 1, 1))
    assert model.eval()(torch.rand(1, 3, 2, 32, 32)).shape == (1, 2)


def run_slowfast() -> None:
    from pytorchvideo.models.slowfast import create_slowfast

    model = create_slowfast(
        model_depth=18,
        model_num_class=2,
        stem_dim_outs=(8, 1),
        head_pool_kernel_sizes=((1, 1, 1), (4, 1, 1)),
    )
    assert model.eval()([torch.rand(1, 3, 1, 32, 32), torch.rand(1, 3, 4, 32, 32)]).shape == (1, 2)


def run_transformer() -> None:
    from pytorchvideo.models.vision_transformers import create_multiscale_vision_transformers

    model = create_multiscale_vision_transformers(
        spatial_size=32, temporal_size=4, depth=1, patch_embed_dim=8, head_num_classes=2
    )
    assert model.eval()(torch.rand(1, 3, 4, 32, 32)).shape == (1, 2)


def run_x3d() -> None:
    from pytorchvideo.models.x3d import Swish, create_x3d, create_x3d_bottleneck_block

    block = create_x3d_bottleneck_block(dim_in=4, dim_inner=8, dim_out=4, inner_act=Swish)
    assert block(torch.rand(1, 4, 2, 4, 4)).shape == (1, 4, 2, 2, 2)
    model = create_x3d(input_clip_length=2, input_crop_size=32, model_num_class=2, depth_factor=1.0)
    assert model.eval()(torch.rand(1, 3, 2, 32, 32)).shape == (1, 2)


def run_batch_norms() -> None:
    from pytorchvideo.layers.batch_norm import (
        NaiveSyncBatchNorm1d,
        NaiveSyncBatchNorm2d,
        NaiveSyncBatchNorm3d,
    )

    kinds = NaiveSyncBatchNorm1d, NaiveSyncBatchNorm2d, NaiveSyncBatchNorm3d
    for size, kind in enumerate(kinds, start=1):
        norm, x = kind(num_features=2), torch.rand(3, 2, *[4] * size)
        # in one process it is a batch norm
        wanted = (x - x.mean(dim=(0, *range(2, x.ndim)), keepdim=True)) / (
            x.var(dim=(0, *range(2, x.ndim)), keepdim=True, correction=0) + norm.eps
        ).sqrt()
        torch.testing.assert_close(norm(x), wanted)


def run_distributed() -> None:
    from pytorchvideo.layers.distributed import (
        cat_all_gather,
        get_local_rank,
        get_local_size,
        get_world_size,
    )

    assert (get_world_size(), get_local_size(), get_local_rank()) == (1, 1, 0)
    x = torch.rand(2, 3)
    assert torch.equal(cat_all_gather(x), x)


def run_loss() -> None:
    from pytorchvideo.losses.soft_target_cross_entropy import SoftTargetCrossEntropyLoss

    scores, labels = torch.rand(3, 4), torch.tensor([0, 3, 1])
    wanted = nn.functional.cross_entropy(scores, labels)
    torch.testing.assert_close(SoftTargetCrossEntropyLoss()(scores, labels), wanted)


@pytest.mark.parametrize(
    "run",
    [
        run_csn,
        run_basic_head,
        run_roi_head,
        run_2plus1d,
        run_resnet,
        run_slowfast,
        run_transformer,
        run_x3d,
        run_batch_norms,
        run_distributed,
        run_loss,
    ],
)
def test_what_pyslowfast_takes(run: Callable[[], None]) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        run()


@pytest.mark.parametrize("module", ["pytorchvideo.layers", "pytorchvideo.models"])
def test_everything_listed_is_there(module: str) -> None:
    found = importlib.import_module(module)
    assert [name for name in found.__all__ if not hasattr(found, name)] == []


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (
            "pytorchvideo.layers",
            "Mlp MultiScaleAttention MultiScaleBlock ScriptableMultiScaleBlock DropPath ConcatFusion ReduceFusion "
            "make_fusion_layer make_multilayer_perceptron PositionalEncoding SpatioTemporalClsPositionalEncoding "
            "ScriptableSpatioTemporalClsPositionalEncoding create_nonlocal Swish create_conv_2plus1d",
        ),
        (
            "pytorchvideo.models",
            "create_csn create_res_basic_head ResNetBasicHead LearnMaskedDefault LSTM MaskedMultiPathWay "
            "MaskedSequential MaskedTemporalPooling TransposeMultiheadAttention TransposeTransformerEncoder "
            "MultiPathWayWithFuse Net BottleneckBlock create_bottleneck_block create_resnet create_slowfast "
            "create_conv_patch_embed create_res_basic_stem ResNetBasicStem create_multiscale_vision_transformers "
            "init_net_weights create_acoustic_resnet create_x3d create_r2plus1d SimCLR",
        ),
    ],
)
def test_short_names(module: str, names: str) -> None:
    """What the original exports, and what its documentation says that it does."""
    found = importlib.import_module(module)
    assert [name for name in names.split() if name not in found.__all__] == []
