# SPDX-License-Identifier: Apache-2.0
"""Modules, names and signatures that user code of PyTorchVideo has, and what PySlowFast takes of them.

``signatures.json`` lists all names that the modules of PyTorchVideo define, a line each: of callables the signature
as a line of Python, with the names of classes and functions for defaults that are such, and of classes the public
methods with theirs (null for a property); and then the names, private ones too, that public projects import.
``contract.py`` makes it of the specification.
"""

import ast
import enum
import importlib
import importlib.util
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

HERE = Path(__file__).resolve().parent
SHARED = HERE.parent.parent / "shared"
MODULES: dict[str, dict[str, Any]] = json.loads(
    (HERE / "signatures.json").read_text(encoding="utf-8")
)
CLIENTS: list[str] = MODULES.pop("clients")  # type: ignore[assignment]
# Seen in public projects beside those of the specification.
CLIENTS += [
    "pytorchvideo.data.encoded_video_pyav.thwc_to_cthw",
    "pytorchvideo.transforms.functional._interpolate_opencv",
]
NAMES = [(module, name) for module, names in MODULES.items() for name in names]

# Not a method of ours: it is PyTorch's own here.
LEFT_OUT = {"backward"}
# Names of another module with other defaults or another order of arguments, to be given by name.
BY_NAME = {
    ("pytorchvideo.layers.attention_torchscript", "MultiScaleAttention"),
    ("pytorchvideo.layers.attention_torchscript", "ScriptableMultiScaleBlock"),
}
# Defaults of ours that are better than theirs: a class that is abstract, and 30 whatever the handler's is.
OTHER_DEFAULTS = {("Ava", "clip_sampler"), ("video_from_path", "fps")}


def plain(value: object) -> object:
    """A default, with names for classes and functions, and lists for tuples."""
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, enum.Enum):
        return value.name
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


def check_signature(found: Callable[..., Any], signature: str) -> None:
    """The same positions, names and defaults; what ours has beyond them is optional."""
    wanted = parameters(signature)
    ours = {k: v for k, v in inspect.signature(found).parameters.items() if k != "self"}
    ours = ours if "self" not in wanted else dict(inspect.signature(found).parameters)
    positional = [one for one, (keyword, _) in wanted.items() if not keyword]
    assert list(ours)[: len(positional)] == positional
    for one, (_, default) in wanted.items():
        assert one in ours
        if default is None:
            continue
        assert ours[one].default is not inspect.Parameter.empty, one
        is_unknown = isinstance(default, ast.Constant) and default.value is ...
        if not is_unknown and (found.__name__, one) not in OTHER_DEFAULTS:
            assert plain(ours[one].default) == stated(default), one
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    more = [ours[one] for one in ours if one not in wanted]
    assert [p for p in more if p.default is p.empty and p.kind not in kinds] == []


@pytest.mark.parametrize("module", MODULES)
def test_modules(module: str) -> None:
    assert importlib.import_module(module).__doc__


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_names_and_signatures(module: str, name: str) -> None:
    entry, found = MODULES[module][name], getattr(importlib.import_module(module), name)
    members = {k: v for k, v in entry.get("members", {}).items() if k not in LEFT_OUT}
    assert [one for one in members if not hasattr(found, one)] == []
    for one, signature in members.items():
        if signature is not None:
            check_signature(getattr(found, one), signature)
    if "signature" in entry and (module, name) not in BY_NAME:
        check_signature(found, entry["signature"])


@pytest.mark.parametrize("dotted", CLIENTS)
def test_names_that_client_code_imports(dotted: str) -> None:
    parts = dotted.removesuffix("()").split(".")
    modules = [cut for cut in range(1, len(parts) + 1) if is_module(".".join(parts[:cut]))]
    found: Any = importlib.import_module(".".join(parts[: modules[-1]]))
    for part in parts[modules[-1] :]:
        found = getattr(found, part)


def is_module(path: str) -> bool:
    try:
        return importlib.util.find_spec(path) is not None
    except ModuleNotFoundError:  # its parent is no package
        return False


def test_the_table_is_that_of_the_specification() -> None:
    if not (SHARED / "spec/pytorchvideo.md").exists():
        pytest.skip("the shared specification is not there")
    specification = SHARED / "spec/pytorchvideo.md", SHARED / "reference/names.json"
    command = [sys.executable, HERE / "contract.py", *specification]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert made == (HERE / "signatures.json").read_text(encoding="utf-8")


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
