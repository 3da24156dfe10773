# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of PySlowFast: vectors of its native models, and the way there and back."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pytorchvideo.models import create_model, get_weights
from pytorchvideo.models._registry import model_entry
from pytorchvideo.models.pyslowfast import native_state, read_pyslowfast, write_pyslowfast
from pytorchvideo.transforms.functional import uniform_temporal_subsample

VECTORS = Path(__file__).resolve().parents[3] / "shared/reference/research/pyslowfast_native.json"
NATIVE = {
    "C2D_8x8_R50": "c2d_r50",
    "I3D_8x8_R50": "i3d_r50",
    "SLOW_8x8_R50": "slow_r50",
    "SLOW_4x16_R50": "slow_r50_4x16",
    "SLOWFAST_8x8_R50": "slowfast_r50",
    "SLOWFAST_4x16_R50": "slowfast_r50_4x16",
    "X3D_XS": "x3d_xs",
    "X3D_S": "x3d_s",
    "X3D_M": "x3d_m",
    "MVIT_B_16x4_CONV": "mvit_base_16x4",
}


def values(key: str, shape: list[int], seed: int) -> torch.Tensor:
    """The tensor that the vectors were made with, which depends on its name and the seed alone."""
    rng = np.random.RandomState((zlib.crc32(key.encode()) ^ seed) & 0xFFFFFFFF)
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.long)
    if key.endswith("running_var"):
        made = rng.uniform(0.5, 1.5, shape)
    elif key.endswith("running_mean"):
        made = 0.1 * rng.standard_normal(shape)
    elif len(shape) >= 2 and "pos_embed" not in key and "cls_token" not in key:
        made = rng.standard_normal(shape) * np.sqrt(0.7 / max(1, int(np.prod(shape[1:]))))
    elif key.endswith("weight") and len(shape) == 1:
        made = 1.0 + 0.1 * rng.standard_normal(shape)
    else:
        made = 0.05 * rng.standard_normal(shape)
    return torch.from_numpy(np.asarray(made)).float()


#: One of each family, with the arguments that make it small, and clips for it.
SMALL: dict[str, dict[str, Any]] = {
    "slow_r50": {},
    "slowfast_r50": {},
    "x3d_xs": {"depth_factor": 0.4},
    "mvit_base_16x4": {"depth": 3},
}
SIZE = {"num_frames": 4, "crop_size": 64}


@pytest.fixture(scope="module", params=SMALL)
def small(request: pytest.FixtureRequest, shallow: Any) -> tuple[str, nn.Module, dict[str, Any]]:
    """The name of a model, a small one of its family with norms that are not those of the start, its arguments."""
    name, arguments = request.param, SMALL[request.param] | SIZE
    with shallow():
        model = create_model(name, num_classes=5, **arguments).eval()
    generator = torch.Generator().manual_seed(0)
    for key, value in model.state_dict().items():
        if key.endswith(("running_mean", "norm.weight", "norm_c.weight", "norm_c.bias")):
            value.add_(torch.rand(value.shape, generator=generator))
    return name, model, arguments


def clips_for(name: str) -> Any:
    clip = torch.rand(1, 3, 4, 64, 64, generator=torch.Generator().manual_seed(1))
    return [clip[:, :, ::4], clip] if name == "slowfast_r50" else clip


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    if not VECTORS.is_file():
        pytest.skip("the shared vectors are not there")
    found: dict[str, Any] = json.loads(VECTORS.read_text())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("config", NATIVE)
def test_native_models_compute_what_pyslowfast_does(
    vectors: dict[str, Any], config: str, tmp_path: Path
) -> None:
    case, seed = vectors["models"][config], vectors["about"]["seed"]
    state = {key: values(key, shape, seed) for key, shape in case["state"].items()}
    torch.save({"epoch": 195, "model_state": state, "cfg": "DATA:\n"}, tmp_path / "native.pyth")
    trained = read_pyslowfast(tmp_path / "native.pyth", NATIVE[config])
    assert trained.num_classes == 16
    rng = np.random.RandomState(seed + 1)
    clip = torch.from_numpy(
        rng.uniform(-1.5, 1.5, (1, 3, case["frames"], case["side"], case["side"])).astype(
            np.float32
        )
    )
    slow = case["alpha"] and uniform_temporal_subsample(clip, case["frames"] // case["alpha"], 2)
    with torch.no_grad():
        scores = trained.model([slow, clip] if case["alpha"] else clip).softmax(1)[0]
    torch.testing.assert_close(scores, torch.tensor(case["probabilities"]), rtol=0, atol=1e-5)
    write_pyslowfast(trained, tmp_path / "back.pyth")
    back = torch.load(tmp_path / "back.pyth", weights_only=True)["model_state"]
    assert {key: list(value.shape) for key, value in back.items()} == case["state"]


@pytest.mark.parametrize("native", [True, False], ids=["native", "PTV"])
def test_there_and_back(
    small: tuple[str, nn.Module, dict[str, Any]], native: bool, shallow: Any, tmp_path: Path
) -> None:
    name, model, arguments = small
    file = write_pyslowfast(model, tmp_path / "a.pyth", native=native)
    keys = list(torch.load(file, weights_only=True)["model_state"])
    assert all(key.startswith("model.") != native for key in keys)
    with shallow():
        trained = read_pyslowfast(file, name, **arguments)
    assert (trained.name, trained.num_classes, trained.model.training) == (name, 5, False)
    with torch.no_grad():
        torch.testing.assert_close(
            trained.model(clips_for(name)), model(clips_for(name)), rtol=1e-5, atol=1e-6
        )
    # the same names again
    again = write_pyslowfast(trained, tmp_path / "b.pyth", native=native)
    assert list(torch.load(again, weights_only=True)["model_state"]) == keys


def test_a_normalised_shortcut_is_folded(tmp_path: Path) -> None:
    """The native X3D computes norm(conv(x)) + norm(...), the zoo's conv(x) + norm(...)."""
    model = create_model("x3d_xs", num_classes=5, depth_factor=0.4, **SIZE).eval()
    file = write_pyslowfast(model, tmp_path / "a.pyth")
    content = torch.load(file, weights_only=True)
    norm = nn.BatchNorm3d(24).eval()
    for value in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
        assert value is not None
        value.copy_(torch.rand(24) + 0.5)
    prefix = "s2.pathway0_res0.branch1_bn."
    assert {key.removeprefix(prefix) for key in content["model_state"] if prefix in key} == set(
        norm.state_dict()
    )
    content["model_state"] |= {prefix + key: value for key, value in norm.state_dict().items()}
    torch.save(content, file)
    folded = read_pyslowfast(file, "x3d_xs", depth_factor=0.4, **SIZE).model
    block: Any = model.blocks[1].res_blocks[0]
    block.branch1_norm = norm
    x = torch.rand(1, 3, 4, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(folded(x), model(x), rtol=1e-5, atol=1e-6)


@pytest.fixture
def x3d_state() -> dict[str, torch.Tensor]:
    return dict(create_model("x3d_xs", num_classes=5, depth_factor=0.4).state_dict())


@pytest.mark.parametrize(
    ("name", "cfg", "given", "order"),
    [
        ("x3d_xs", None, None, "rgb"),
        ("x3d_xs", "DATA:\n  REVERSE_INPUT_CHANNEL: true\n  MEAN:\n", None, "bgr"),
        ("x3d_xs", "DATA:\n  REVERSE_INPUT_CHANNEL: false\n", None, "rgb"),
        ("x3d_xs", "DATA:\n  REVERSE_INPUT_CHANNEL: true\n", "rgb", "rgb"),
    ],
)
def test_the_order_of_colours(
    name: str,
    cfg: str | None,
    given: str | None,
    order: str,
    x3d_state: dict[str, torch.Tensor],
    tmp_path: Path,
) -> None:
    content = {"model_state": x3d_state} | ({} if cfg is None else {"cfg": cfg})
    torch.save(content, tmp_path / "a.pyth")
    trained = read_pyslowfast(tmp_path / "a.pyth", name, channels=given, depth_factor=0.4)
    assert trained.recipe.channels == order
    assert get_weights("slow_r50_ssv2").recipe.channels == "bgr"
    clip = torch.rand(3, 8, 200, 200) * 255
    straight = get_weights(name).recipe.transforms()(clip)
    expected = straight.flip(0) if order == "bgr" else straight
    assert torch.equal(trained.recipe.transforms()(clip), expected)


def test_what_it_refuses(x3d_state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"a\.pkl is a checkpoint of Caffe2\. Load it in PySlowFast"
    ):
        read_pyslowfast(tmp_path / "a.pkl", "slow_r50")
    file = tmp_path / "a.pyth"
    torch.save({"model_state": {"res2_0_branch2a_w": torch.zeros(1)}}, file)
    with pytest.raises(ValueError, match="has names of Caffe2, such as res2_0_branch2a_w"):
        read_pyslowfast(file, "slow_r50")
    torch.save({"model_state": x3d_state | {"head.other.weight": torch.zeros(1)}}, file)
    with pytest.raises(ValueError, match=r"head\.other\.weight"):
        read_pyslowfast(file, "x3d_xs", depth_factor=0.4)
    native = torch.load(
        write_pyslowfast(create_model("x3d_xs", num_classes=5), file), weights_only=True
    )
    native["model_state"]["s3.pathway0_nonlocal1.conv_g.weight"] = torch.zeros(1)
    torch.save(native, file)
    with pytest.raises(
        ValueError, match=r"no equal in the zoo: x3d_xs has nothing like s3\.pathway0_nonlocal1"
    ):
        read_pyslowfast(file, "x3d_xs")
    with pytest.raises(ValueError, match=r"mvit_base_16x4 has nothing like .* and 5.. more"):
        read_pyslowfast(file, "mvit_base_16x4")
    del native["model_state"]["s3.pathway0_nonlocal1.conv_g.weight"]
    del native["model_state"]["head.projection.weight"]
    torch.save(native, file)
    with pytest.raises(
        ValueError, match=r"a checkpoint of x3d_xs, with blocks\.5\.proj\.weight, but"
    ):
        read_pyslowfast(file, "x3d_xs")
    with pytest.raises(FileNotFoundError, match="no file of weights"):
        read_pyslowfast(tmp_path / "none.pyth", "x3d_xs")
    for name in ("csn_r101", "r2plus1d_r50", "efficient_x3d_xs"):
        with torch.device("meta"):
            other = create_model(name, **model_entry(name).logits_arguments)
        with pytest.raises(ValueError, match=r"no native model .* native=False"):
            write_pyslowfast(other, file)


def test_native_weights_of_a_command(
    small: tuple[str, nn.Module, dict[str, Any]], tmp_path: Path
) -> None:
    """``--weights x.pyth`` of native models and of others."""
    name, model, _ = small
    native = write_pyslowfast(model, tmp_path / "native.pyth")
    own = model.state_dict()
    state = native_state(native, name, own)
    assert state is not None and state.keys() == own.keys()
    assert (
        native_state(write_pyslowfast(model, tmp_path / "ptv.pyth", native=False), name, own)
        is None
    )
    assert native_state(tmp_path / "gone.pth", name, own) is None  # whoever reads it says so
    with pytest.raises(ValueError, match="is a checkpoint of Caffe2"):
        native_state(tmp_path / "a.pkl", name, own)
