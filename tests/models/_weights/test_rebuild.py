# SPDX-License-Identifier: Apache-2.0
"""Networks from files of strangers: what builds a network is built, what would run code or read files is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from pytorchvideo.models import create_model
from pytorchvideo.models._weights.rebuild import checked_arguments, rebuild_model
from pytorchvideo.models._weights.weights import read_checkpoint
from pytorchvideo.models.pretrained import PretrainedModel
from pytorchvideo.transforms.clip_recipe import ClipRecipe

VIDEOMAE = {
    "model_type": "videomae",
    "hidden_size": 12,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "image_size": 32,
    "num_frames": 4,
}


def test_zoo() -> None:
    kwargs = {"num_frames": 4, "crop_size": 64, "head_activation": None}
    torch.manual_seed(1)
    built = rebuild_model("x3d_xs", kwargs, 3, source="model.pt")
    torch.manual_seed(1)
    wanted = create_model("x3d_xs", num_classes=3, **kwargs)
    assert all(
        torch.equal(a, b) for a, b in zip(built.parameters(), wanted.parameters(), strict=True)
    )
    rebuild_model("x3d_xs", kwargs, 3, source="model.pt", state=built.state_dict())


@pytest.mark.parametrize(
    ("name", "kwargs", "sentence"),
    [
        ("x3d_xs", {"weights": "/etc/passwd"}, r"sets weights='/etc/passwd'"),
        ("x3d_xs", {"pretrained": True}, "sets pretrained=True"),
        ("x3d_xs", {"norm": torch.nn.BatchNorm3d}, "sets norm=<class"),
        ("x3d_xs", {"depth_factor": float("inf")}, "sets depth_factor=inf"),
        ("../folder", {}, "names the network '../folder', which is none of the zoo"),
        ("own module: Net", {}, "which is none of the zoo"),
        (3, {}, "does not say what network it holds"),
        ("x3d_xs", ["a"], "does not say what network it holds"),
    ],
)
def test_arguments_of_the_zoo_that_a_file_may_not_set(
    name: Any, kwargs: Any, sentence: str
) -> None:
    with pytest.raises(ValueError, match=f"model.pt .*{sentence}|{sentence}"):
        checked_arguments(name, kwargs, source="model.pt")


def test_hugging_face() -> None:
    pytest.importorskip("transformers")
    config = {
        **VIDEOMAE,
        "_name_or_path": "some/where",
        "architectures": ["Any"],
        "id2label": {0: "a", 1: "b"},
        "a_number_of_an_older_release": 4,
    }
    model = rebuild_model("hf:any", {"config": config}, 2, source="model.pt")
    assert model(torch.rand(1, 3, 4, 32, 32)).shape == (1, 2)
    rebuild_model("hf:any", {"config": config}, 2, source="model.pt", state=model.state_dict())


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"trust_remote_code": True}, "sets trust_remote_code=True"),
        ({"revision": "main"}, "sets revision='main'"),
        ({"code_revision": "main"}, "sets code_revision"),
        ({"cache_dir": "/tmp"}, "sets cache_dir"),
        ({"token": "x"}, "sets token"),
        ({"subfolder": "x"}, "sets subfolder"),
        ({"quantization_config": {"quant_method": "x"}}, "sets quantization_config"),
        ({"attn_implementation": "kernels-community/any"}, "sets attn_implementation='kernels-com"),
        ({"num_frames": "4"}, "sets num_frames='4'"),
        ({"config": None}, "Expected `config` to be a mapping"),
        ({"config": "folder"}, "Expected `config` to be a mapping"),
        ({"config": {**VIDEOMAE, "model_type": "evil"}}, "sets model_type='evil'"),
        ({"config": {"hidden_size": 12}}, "sets model_type=None"),
        ({"config": {**VIDEOMAE, "auto_map": {"AutoConfig": "e.C"}}}, "sets auto_map="),
        ({"config": {**VIDEOMAE, "trust_remote_code": "yes"}}, "sets trust_remote_code='yes'"),
        ({"config": {**VIDEOMAE, "_attn_implementation": "o/k"}}, "sets _attn_implementation="),
        ({"config": {**VIDEOMAE, "attn_implementation": "o/k"}}, "sets attn_implementation="),
        ({"config": {**VIDEOMAE, "custom_pipelines": {}}}, "sets custom_pipelines="),
        ({"config": {**VIDEOMAE, "quantization_config": {}}}, "sets quantization_config="),
        ({"config": {**VIDEOMAE, "dtype": "os"}}, "sets dtype='os'"),
    ],
)
def test_arguments_of_hugging_face_that_a_file_may_not_set(
    kwargs: dict[str, Any], sentence: str
) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(ValueError, match=sentence):
        checked_arguments("hf:any", {"config": VIDEOMAE, **kwargs}, source="model.pt")


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("x3d_xs", {"head_dim_out": 1 << 40}),
        ("x3d_xs", {"depth_factor": 1e9}),
        ("slow_r50", {"stem_dim_out": 1 << 30}),
        ("hf:any", {"config": {**VIDEOMAE, "hidden_size": 1 << 30}}),
        ("hf:any", {"config": {**VIDEOMAE, "num_hidden_layers": 1 << 40}}),
    ],
)
def test_a_file_cannot_ask_for_more_memory_than_its_tensors(
    name: str, kwargs: dict[str, Any]
) -> None:
    if name.startswith("hf"):
        pytest.importorskip("transformers")
    state = {"weight": torch.zeros(3)}
    sentence = "more than the 1 tensors of 3 numbers|arguments that build no"
    with pytest.raises(ValueError, match=sentence):
        rebuild_model(name, kwargs, 2, source="model.pt", state=state)


@pytest.mark.filterwarnings("ignore:Sparse invariant", "ignore:Validating sparse tensor")
@pytest.mark.parametrize("kind", ["view", "meta", "sparse"])
def test_tensors_of_a_few_bytes_promise_no_large_network(kind: str, tmp_path: Path) -> None:
    many = 10**9
    tensor = {
        "view": lambda: torch.zeros(1).expand(many),
        "meta": lambda: torch.empty(many, device="meta"),
        "sparse": lambda: torch.sparse_coo_tensor(size=(many,)),
    }[kind]()
    torch.save({f"{i}": tensor for i in range(400)}, tmp_path / "a.pt")
    assert (tmp_path / "a.pt").stat().st_size < 10_000
    state = read_checkpoint(tmp_path / "a.pt")
    sentence = r"more than the 400 tensors of 1 numbers|model.pt: Expected `'0'` to be a plain tensor with a name"
    with pytest.raises(ValueError, match=sentence):
        rebuild_model("slow_r50", {"stem_dim_out": 256}, 2, source="model.pt", state=state)


def test_tensors_that_share_their_numbers() -> None:
    # the numbers that weights are views of are all in the file
    model = create_model("x3d_xs", num_classes=2)
    state = model.state_dict()
    flat = torch.cat([tensor.flatten().float() for tensor in state.values()])
    parts = flat.split([tensor.numel() for tensor in state.values()])
    views = {
        name: part.view(tensor.shape)
        for (name, tensor), part in zip(state.items(), parts, strict=True)
    }
    rebuild_model("x3d_xs", {}, 2, source="model.pt", state=views)


@pytest.mark.parametrize("state", [{"a": "x"}, {3: torch.zeros(1)}])
def test_what_is_no_tensor_with_a_name(state: Any) -> None:
    with pytest.raises(ValueError, match="to be a plain tensor with a name"):
        rebuild_model("x3d_xs", {}, 2, source="model.pt", state=state)


def test_pretrained_folder_that_names_a_file(tmp_path: Path) -> None:
    kwargs = {"num_frames": 4, "crop_size": 32}
    model = create_model("x3d_xs", num_classes=2, **kwargs)
    recipe = ClipRecipe(num_frames=4, sampling_rate=12, side_size=32, crop_size=32)
    PretrainedModel(model, "x3d_xs", recipe, kwargs, labels=("a", "b")).save_pretrained(tmp_path)
    PretrainedModel.from_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    config["model_kwargs"]["weights"] = "/etc/passwd"
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ValueError, match=r"Refused to build the network .* sets weights="):
        PretrainedModel.from_pretrained(tmp_path)
