# SPDX-License-Identifier: Apache-2.0
"""Folders of models for transformers that somebody made to run code, or that are broken."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flash.video.classification.backbones import build_backbone
from pytorchvideo.models.huggingface import create_hugging_face
from pytorchvideo.models.zero_shot import create_zero_shot

transformers = pytest.importorskip("transformers")

READERS: list[Callable[[Path], Any]] = [
    create_hugging_face,
    lambda folder: create_zero_shot(folder, ["run", "walk"]),
    lambda folder: build_backbone(
        f"hf:{folder}", {}, 2, pretrained=False, weights=None, recipe=None, has_head=False
    ),
]


def config(**changes: Any) -> dict[str, Any]:
    small = transformers.VideoMAEConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=32,
        num_frames=4,
    )
    return {**small.to_dict(), **changes}


@pytest.mark.parametrize("read", READERS)
def test_code_of_a_model_is_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], Any]
) -> None:
    # transformers asks on the terminal, and 15 s later says no
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nC = object\n")
    content = {"model_type": "evil", "auto_map": {"AutoConfig": "evil.C", "AutoModel": "evil.C"}}
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"Cannot load .* code of the model's own is not run"):
        read(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"attn_implementation": "evil/kernel"},
        {"_attn_implementation": "evil/kernel"},
        {"_attn_implementation_internal": "evil/kernel"},
        {"_attn_implementation": {"": "sdpa", "vision_config": "evil/kernel:f"}},
        {"vision_config": {"_attn_implementation": "evil/kernel"}},
    ],
)
def test_kernels_of_the_hub_are_not_fetched(tmp_path: Path, changes: dict[str, Any]) -> None:
    # it would reach the model: transformers takes it over from config.json
    (tmp_path / "config.json").write_text(json.dumps(config(**changes)))
    for read in READERS:
        with pytest.raises(
            ValueError, match=r"attn_implementation.*one of torch's own.*evil/kernel"
        ):
            read(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        json.dumps({"model_type": ["videomae"]}),
        json.dumps({"model_type": None}),
        json.dumps("videomae"),
        json.dumps({"model_type": "videomae", "hidden_size": "large"}),
        json.dumps({"model_type": "videomae", "hidden_size": None}),
        json.dumps({"model_type": "videomae", "id2label": [1]}),
        json.dumps({"model_type": "videomae", "image_size": -1}),
        json.dumps({"model_type": "videomae", "dtype": "no_dtype"}),
    ],
)
def test_broken_configurations_are_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    for read in (create_hugging_face, READERS[2]):
        with pytest.raises(
            (OSError, ValueError), match=r"Cannot load '.*'|`[a-z_]+` to be"
        ) as caught:
            read(tmp_path)
        assert "\n" not in str(caught.value)


def test_text_that_is_no_json(tmp_path: Path) -> None:
    for content in (b"{", b"\xff\xfe", b"", b"\xef\xbb\xbf{}"):
        (tmp_path / "config.json").write_bytes(content)
        with pytest.raises((OSError, ValueError), match="Cannot load"):
            create_hugging_face(tmp_path)
