# SPDX-License-Identifier: Apache-2.0
"""Loading weights: every form they come in, and the sentence that says what does not fit."""

import logging
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import pytorchvideo.models
from pytorchvideo.models import create_model, load_checkpoint

State = dict[str, torch.Tensor]
SMALL: dict[str, Any] = {"num_classes": 4, "crop_size": 64, "depth_factor": 0.5, "head_dim_out": 16}


def small(num_classes: int = 4) -> nn.Module:
    """A shallow X3D: built in milliseconds, with all kinds of layers."""
    return create_model("x3d_xs", **(SMALL | {"num_classes": num_classes}))


@pytest.fixture
def state() -> State:
    model = small()
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.normal_()
    return model.state_dict()


def assert_loaded(model: nn.Module, state: State, but: tuple[str, ...] = ()) -> None:
    for key, tensor in model.state_dict().items():
        if not key.startswith(but or "-"):
            assert torch.equal(tensor, state[key]), key


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda s: s,
        lambda s: {"model_state": s, "epoch": 3},
        lambda s: {"state_dict": {f"model.{k}": v for k, v in s.items()}, "epoch": 3},
        lambda s: {"state_dict": {f"adapter.backbone.{k}": v for k, v in s.items()}},
        lambda s: {f"module.{k}": v for k, v in s.items()} | {"loss.weight": torch.ones(4)},
        lambda s: {k: v for k, v in s.items() if not k.endswith("num_batches_tracked")},
    ],
    ids=["plain", "model_state", "lightning", "backbone", "ddp", "without counters"],
)
def test_forms(tmp_path: Path, state: State, wrapped: object) -> None:
    file = tmp_path / "a.pth"
    torch.save(wrapped(state), file)  # type: ignore[operator]
    for source in (file, str(file), torch.load(file, weights_only=True)):
        model = small()
        load_checkpoint(model, source)
        assert_loaded(model, state)


def test_safetensors(tmp_path: Path, state: State) -> None:
    file = tmp_path / "a.safetensors"
    save_file({k: v.clone() for k, v in state.items()}, file)
    model = small()
    load_checkpoint(model, file)
    assert_loaded(model, state)


def test_other_classes_keep_their_classifier(
    state: State, caplog: pytest.LogCaptureFixture
) -> None:
    model = small(num_classes=7)
    fresh = model.classifier.weight.clone()
    with caplog.at_level(logging.INFO, logger="pytorchvideo"):
        load_checkpoint(model, state)
    assert torch.equal(model.classifier.weight, fresh)
    assert_loaded(model, state, but=("blocks.5.proj.",))
    (record,) = caplog.records
    assert record.levelname == "INFO"
    assert "all but blocks.5.proj.weight and blocks.5.proj.bias was loaded" in record.getMessage()


def test_what_does_not_fit_is_named(state: State) -> None:
    del state["blocks.0.norm.weight"], state["blocks.0.norm.bias"]
    state["extra.weight"] = torch.zeros(1)
    state["blocks.5.pool.post_conv.weight"] = torch.zeros(8, 432, 1, 1, 1)
    model = small()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(
        ValueError,
        match=r"2 missing: blocks.0.norm.weight, blocks.0.norm.bias. 1 unexpected: extra.weight. "
        r"1 of another shape: blocks.5.pool.post_conv.weight \(8, 432, 1, 1, 1\) instead of "
        r"\(16, 432, 1, 1, 1\)",
    ):
        load_checkpoint(model, state)
    assert_loaded(model, before)


def test_advice_for_what_does_not_fit_can_be_followed(tmp_path: Path, state: State) -> None:
    del state["blocks.0.norm.weight"]
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="missing") as raised:
        create_model("x3d_xs", weights=tmp_path / "a.pth", **SMALL)
    (call,) = re.findall(r"load what fits: (.*)\.$", str(raised.value))
    model = small()
    scope = {"pytorchvideo": pytorchvideo, "model": model, "file": tmp_path / "a.pth"}
    eval(call, scope)
    assert torch.equal(model.state_dict()["blocks.0.norm.bias"], state["blocks.0.norm.bias"])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("c2d_r50", {"input_channel": 1}),
        ("csn_r101", {"input_channel": 1, "model_depth": 50}),
        ("i3d_inception", {"input_channel": 1}),
        ("mvit_base_16", {"input_channels": 1, "depth": 4}),
        ("r2plus1d_r50", {"input_channel": 1}),
        ("slowfast_r50", {"input_channels": (1, 1), "model_depth": 18}),
        ("x3d_xs", {"input_channel": 1, "depth_factor": 0.5}),
    ],
)
def test_stems_for_one_channel_sum_over_the_colours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, arguments: dict[str, Any]
) -> None:
    """A grey clip gives what it gives in three equal colours."""
    sizes = {"num_classes": 3, "num_frames": 1 if name == "mvit_base_16" else 8, "crop_size": 32}
    rest = {k: v for k, v in arguments.items() if not k.startswith("input")}
    colour = create_model(name, **sizes, **rest).eval()
    torch.save(colour.state_dict(), tmp_path / "colour.pth")
    with caplog.at_level(logging.INFO, logger="pytorchvideo"):
        grey = create_model(name, weights=tmp_path / "colour.pth", **sizes, **arguments).eval()
    (record,) = caplog.records
    assert "was summed over the colours, for clips of one channel" in record.getMessage()
    clip = torch.rand(1, 1, 32, 32) if name == "mvit_base_16" else torch.rand(1, 1, 8, 32, 32)
    clips: Any = [clip[:, :, ::4], clip] if name == "slowfast_r50" else clip
    coloured: Any = (
        [one.expand(-1, 3, -1, -1, -1) for one in clips]
        if name == "slowfast_r50"
        else torch.cat([clip] * 3, dim=1)
    )
    with torch.inference_mode():
        torch.testing.assert_close(grey(clips), colour(coloured), rtol=1e-4, atol=1e-5)


def test_not_strict_loads_what_fits(state: State, caplog: pytest.LogCaptureFixture) -> None:
    del state["blocks.0.norm.weight"]
    model = small()
    load_checkpoint(model, state, strict=False)
    assert torch.equal(model.state_dict()["blocks.0.norm.bias"], state["blocks.0.norm.bias"])
    assert "1 missing: blocks.0.norm.weight" in caplog.text


@pytest.mark.parametrize("strict", [True, False])
def test_weights_of_another_model(tmp_path: Path, state: State, strict: bool) -> None:
    file = tmp_path / "x3d.pth"
    torch.save(state, file)
    with torch.device("meta"):
        other = create_model("i3d_inception")
    with pytest.raises(ValueError, match=r"x3d\.pth holds the weights of another model: 0 of"):
        load_checkpoint(other, file, strict=strict)


def test_long_lists_are_cut(state: State) -> None:
    for i in range(9):
        state[f"extra.{i}"] = torch.zeros(1)
    with pytest.raises(ValueError, match=r"9 unexpected: extra.0, extra.1, extra.2, \.\.\.\. "):
        load_checkpoint(small(), state)


class Opaque:
    """Not plain data: reading it would run code of the file."""


@pytest.mark.parametrize(
    "name", ["empty.pth", "text.pth", "cut.pth", "noise.pth", "object.pth", "text.safetensors"]
)
def test_unreadable_files(tmp_path: Path, state: State, name: str) -> None:
    file = tmp_path / name
    whole = tmp_path / "whole.pth"
    torch.save(state, whole)
    noise = torch.randint(0, 256, (4096,), dtype=torch.uint8).numpy().tobytes()
    contents = {
        "empty.pth": b"",
        "text.pth": b"these are not weights\n" * 40,
        "cut.pth": whole.read_bytes()[: whole.stat().st_size // 2],
        "noise.pth": noise,
        "text.safetensors": b"these are not weights\n" * 40,
    }
    if name == "object.pth":
        torch.save({"model_state": state, "options": Opaque()}, file)
    else:
        file.write_bytes(contents[name])
    with pytest.raises(ValueError, match=rf"Cannot read weights from .*{name}"):
        load_checkpoint(small(), file)


def test_wrong_contents(tmp_path: Path) -> None:
    file = tmp_path / "list.pth"
    torch.save([torch.zeros(2)], file)
    with pytest.raises(
        ValueError, match=r"list.pth` to be a checkpoint of named tensors, but got 'list'"
    ):
        load_checkpoint(small(), file)
    with pytest.raises(ValueError, match=r"hold them under 'model_state' or 'state_dict'"):
        load_checkpoint(small(), {"epoch": 3})


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file of weights at .*nowhere.pth"):
        load_checkpoint(small(), tmp_path / "nowhere.pth")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        load_checkpoint(small(), tmp_path)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_bytes_never_escape(tmp_path: Path, state: State, seed: int) -> None:
    """Any flip of bytes in a checkpoint either still loads or gives one of the two sentences."""
    file = tmp_path / "a.pth"
    torch.save({"model_state": {k: v[:1] for k, v in state.items() if v.ndim}}, file)
    content = bytearray(file.read_bytes())
    generator = torch.Generator().manual_seed(seed)
    for at in torch.randint(0, len(content), (30,), generator=generator).tolist():
        content[at] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"Cannot read weights from|holds the weights of another|to be"
    ):
        load_checkpoint(small(), file)
