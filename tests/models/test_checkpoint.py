# SPDX-License-Identifier: Apache-2.0
"""Loading weights: every form they come in, and the sentence that says what does not fit."""

import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pytorchvideo.models import create_model, load_checkpoint

State = dict[str, torch.Tensor]


def small(num_classes: int = 4) -> nn.Module:
    """A shallow X3D: built in milliseconds, with all kinds of layers."""
    return create_model(
        "x3d_xs", num_classes=num_classes, crop_size=64, depth_factor=0.5, head_dim_out=16
    )


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
