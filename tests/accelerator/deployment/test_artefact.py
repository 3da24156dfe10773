# SPDX-License-Identifier: Apache-2.0
"""An artefact is called as its network was, and says what is wrong with it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from pytorchvideo.accelerator.deployment.artefact import (
    INFO,
    ArtefactInfo,
    example_inputs,
    load_artefact,
    read_info,
    write_artefact,
)
from pytorchvideo.transforms.clip_recipe import ClipRecipe

RECIPE = ClipRecipe(num_frames=8, sampling_rate=1, side_size=16, crop_size=12, pathway_ratio=(4, 1))


class Pathways(nn.Module):
    """Scores of a slow and a fast pathway."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)

    def forward(self, x: list[torch.Tensor]) -> torch.Tensor:
        return self.linear(torch.cat([one.mean((2, 3, 4)) for one in x], dim=1))


def about(**more: object) -> ArtefactInfo:
    values = {"runtime": "torch-export", "model": "pathways", "recipe": RECIPE}
    return ArtefactInfo(**(values | {"labels": ("a", "b", "c")} | more))  # type: ignore[arg-type]


def test_example_has_the_shapes_of_the_recipe() -> None:
    shapes = [tuple(x.shape) for x in example_inputs(RECIPE)]
    assert shapes == [(1, 3, 2, 12, 12), (1, 3, 8, 12, 12)]
    whole = ClipRecipe(num_frames=8, sampling_rate=1, side_size=16, crop_size=None)
    with pytest.raises(ValueError, match=r"recipe.crop_size.*Give --crop"):
        example_inputs(whole)


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_list_of_pathways_in_and_scores_out(dynamic: bool, tmp_path: Path) -> None:
    model = Pathways()
    written = write_artefact(model, about(dynamic_batch=dynamic), tmp_path / "a")
    loaded = load_artefact(tmp_path / "a", trust=True)
    assert loaded.info == written == read_info(tmp_path / "a")
    assert written.input_shapes == ((1, 3, 2, 12, 12), (1, 3, 8, 12, 12))
    x = [torch.rand(3, 3, 2, 12, 12), torch.rand(3, 3, 8, 12, 12)]
    torch.testing.assert_close(loaded(x), model(x))
    with pytest.raises(ValueError, match=r"of shape \(B, 3, 2, 12, 12\) and \(B, 3, 8, 12, 12\)"):
        loaded(x[0])


def test_the_description_needs_no_library(tmp_path: Path) -> None:
    write_artefact(Pathways(), about(multi_label=True, threshold=0.25), tmp_path)
    told = json.loads((tmp_path / INFO).read_text())
    assert told["labels"] == ["a", "b", "c"] and told["runtime"] == "torch-export"
    assert told["recipe"] == RECIPE.to_dict() and told["file"] == "model.pt2"
    # 8 frames of a video of 30 a second, one in 4 for the slow pathway
    assert told["clip"] == {"seconds": 0.266667, "frames": 8, "frames_per_second": 30.0}
    assert (told["multi_label"], told["threshold"]) == (True, 0.25)


def test_other_weights_have_another_name(tmp_path: Path) -> None:
    for name in "ab":
        write_artefact(Pathways(), about(), tmp_path / name)
    first, second = (repr(load_artefact(tmp_path / name, trust=True)) for name in "ab")
    assert "runtime=torch-export, precision=fp32, sha256=" in first and first != second


@pytest.mark.slow
def test_the_file_runs_without_this_library(tmp_path: Path) -> None:
    model = Pathways()
    write_artefact(model, about(), tmp_path)
    x = [torch.rand(1, 3, 2, 12, 12), torch.rand(1, 3, 8, 12, 12)]
    torch.save({"x": x, "wanted": model(x).detach()}, tmp_path / "truth.pt")
    code = (
        "import sys, torch; t = torch.load('truth.pt'); "
        "got = torch.export.load('model.pt2').module()(*t['x']); "
        "torch.testing.assert_close(got, t['wanted']); print('pytorchvideo' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"


def test_folders_that_hold_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no artefact.json in it. pytorchvideo export"):
        load_artefact(tmp_path)
    (tmp_path / INFO).write_text("{}")
    with pytest.raises(ValueError, match=r"its format is None, not 'pytorchvideo.artefact'"):
        load_artefact(tmp_path)
    told = about().to_dict()
    told["file"] = "model.pt2"
    (tmp_path / INFO).write_text(json.dumps(told | {"version": 99}))
    with pytest.raises(ValueError, match="reads up to version 1: update"):
        load_artefact(tmp_path)
    (tmp_path / INFO).write_text(json.dumps(told))
    with pytest.raises(FileNotFoundError, match=r"no file .*model.pt2, which the artefact needs"):
        load_artefact(tmp_path, trust=True)


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            {"file": file}
            for file in (None, 3, "", "/etc/passwd", "../model.pt2", "model./../a", "artefact.json")
        ),
        {"labels": None},
        {"labels": 3},
        {"input_shapes": "ab"},
        {"input_shapes": [["a"]]},
        {"recipe": {"num_frames": 8}},
        {"recipe": [1]},
        {"runtime": "os"},
        {"runtime": None},
        {"precision": ["fp32"]},
        {"version": "1"},
    ],
)
def test_descriptions_that_make_no_sense(wrong: dict[str, object], tmp_path: Path) -> None:
    write_artefact(Pathways(), about(), tmp_path)
    told = json.loads((tmp_path / INFO).read_text())
    (tmp_path / INFO).write_text(json.dumps(told | wrong))
    with pytest.raises(ValueError, match=r"artefact.json is not the description of an artefact: "):
        load_artefact(tmp_path, trust=True)


def test_a_deep_or_large_description(tmp_path: Path) -> None:
    for text, reason in (
        ("[" * 100_000 + "]" * 100_000, "it is nested more than 100 deep"),
        (" " * (17 << 20), "is larger than 16 MiB. Expected the description of an artefact"),
        ("\xff", "is not a text file in UTF-8: line 1 has the byte 0xff"),
        ("[]", "expected the description of an artefact, an object, but got a list"),
    ):
        (tmp_path / INFO).write_text(text, encoding="latin-1")
        with pytest.raises(ValueError, match=reason):
            load_artefact(tmp_path)


def test_what_can_run_code_needs_trust(tmp_path: Path) -> None:
    write_artefact(Pathways(), about(), tmp_path)
    with pytest.raises(ValueError, match=r"a file of torch-export can run any code\. .*--trust"):
        load_artefact(tmp_path)
    told = json.loads((tmp_path / INFO).read_text()) | {"runtime": "aoti"}
    (tmp_path / INFO).write_text(json.dumps(told))
    with pytest.raises(ValueError, match="a file of aoti can run any code"):
        load_artefact(tmp_path)


def test_files_that_have_changed(tmp_path: Path) -> None:
    write_artefact(Pathways(), about(), tmp_path)
    data = bytearray((tmp_path / "model.pt2").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "model.pt2").write_bytes(data)
    with pytest.raises(ValueError, match="their SHA-256 differs"):
        load_artefact(tmp_path, trust=True)


def test_an_artefact_is_not_overwritten(tmp_path: Path) -> None:
    write_artefact(Pathways(), about(), tmp_path)
    with pytest.raises(FileExistsError, match="holds an artefact already"):
        write_artefact(Pathways(), about(), tmp_path)


def test_unknown_runtimes() -> None:
    with pytest.raises(ValueError, match=r"runtime.*one of onnx, openvino, executorch"):
        about(runtime="tflite")
