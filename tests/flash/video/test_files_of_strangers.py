# SPDX-License-Identifier: Apache-2.0
"""Model files and checkpoints that somebody made to run code or to read other files."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from flash.video import VideoClassifier, VideoPredictor
from flash.video.predict import read_classifier

CONFIG = {
    "model_type": "videomae",
    "auto_map": {"AutoModelForVideoClassification": "FOLDER--evil.Model"},
}


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """A folder that looks like a model of transformers, whose code leaves a file ``ran`` behind."""
    folder = tmp_path / "hf"
    folder.mkdir()
    code = f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Config: pass\nclass Model: pass\n"
    (folder / "evil.py").write_text(code)
    auto_map = {"AutoConfig": "evil.Config", "AutoModelForVideoClassification": "evil.Model"}
    (folder / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": auto_map}))
    return folder


def stolen(folder: Path) -> list[dict[str, Any]]:
    config = json.loads(json.dumps(CONFIG).replace("FOLDER", str(folder)))
    return [
        {"trust_remote_code": True},
        {"trust_remote_code": True, "config": config},
        {"config": config},
        {},
    ]


@pytest.mark.parametrize("number", range(4))
def test_model_file(tmp_path: Path, evil: Path, number: int) -> None:
    pytest.importorskip("transformers")
    content = {
        "format": "pytorchvideo.classifier",
        "version": 1,
        "model_name": f"hf:{evil}",
        "model_kwargs": stolen(evil)[number],
        "model_state": {},
        "labels": ["a", "b"],
        "recipe": {"num_frames": 4, "sampling_rate": 1},
    }
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(
        ValueError, match=r"Refused to build .*model.pt|model.pt: Expected `config`"
    ):
        VideoPredictor.from_file(tmp_path / "model.pt")
    torch.save({**content, "model_name": str(evil)}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="which is none of the zoo"):
        VideoPredictor.from_file(tmp_path / "model.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("number", range(4))
def test_lightning_checkpoint(tmp_path: Path, evil: Path, number: int) -> None:
    pytest.importorskip("transformers")
    hyper = {"num_classes": 2, "backbone": f"hf:{evil}", "backbone_kwargs": stolen(evil)[number]}
    with pytest.raises(
        ValueError, match=r"Refused to build .*run.ckpt|run.ckpt: Expected `config`"
    ):
        VideoClassifier.load_from_checkpoint(checkpoint(tmp_path, hyper))
    with checkpoint(tmp_path, hyper).open("rb") as file, pytest.raises(ValueError, match="ckpt"):
        VideoClassifier.load_from_checkpoint(file)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("hyper", "sentence"),
    [
        ({"weights": "/etc/passwd"}, "it sets weights, which no checkpoint"),
        ({"model": "hf:x", "model_kwargs": {}}, "it sets model, model_kwargs, which"),
        ({"pretrained": True}, "asks for other weights than its own"),
        ({"backbone": "x3d_xs", "backbone_kwargs": {"weights": "/etc/passwd"}}, "sets weights="),
        ({"backbone": "/tmp"}, "names the network '/tmp', which is none of the zoo"),
    ],
)
def test_hyperparameters_that_no_checkpoint_has(
    tmp_path: Path, hyper: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        VideoClassifier.load_from_checkpoint(checkpoint(tmp_path, {"num_classes": 2, **hyper}))


class Code:
    """Runs when it is unpickled."""

    def __init__(self, ran: Path) -> None:
        self._ran = ran

    def __reduce__(self) -> Any:
        return Path.touch, (self._ran,)


def test_pickled_code(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, {"labels": Code(tmp_path / "ran")})
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        VideoClassifier.load_from_checkpoint(path)
    torch.save({"format": "pytorchvideo.classifier", "labels": Code(tmp_path / "ran")}, path)
    with pytest.raises(ValueError, match="holds more than plain data"):
        VideoPredictor.from_file(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("key", ["model_kwargs", "model_state", "labels", "recipe", "model_name"])
def test_model_file_without_a_part(tmp_path: Path, key: str) -> None:
    model = VideoClassifier(labels=["a", "b"], pretrained=False)
    model.save(tmp_path / "model.pt")
    content = read_classifier(tmp_path / "model.pt")
    for wrong in ({k: v for k, v in content.items() if k != key}, {**content, key: 3}):
        torch.save(wrong, tmp_path / "model.pt")
        with pytest.raises(ValueError, match=f"model.pt is a damaged model file: its '{key}' is"):
            VideoPredictor.from_file(tmp_path / "model.pt")


def checkpoint(folder: Path, hyper: dict[str, Any]) -> Path:
    content = {
        "state_dict": {},
        "hyper_parameters": hyper,
        "pytorch-lightning_version": "2.6.0",
        "epoch": 0,
        "global_step": 0,
    }
    torch.save(content, folder / "run.ckpt")
    return folder / "run.ckpt"
