# SPDX-License-Identifier: Apache-2.0
"""Model files and checkpoints that somebody made to run code or to read other files."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.core.saving import save_hparams_to_tags_csv, save_hparams_to_yaml

from flash.video import VideoClassifier, VideoPredictor

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
        ({"backbone_kwargs": {"pretrained": True}}, "does not say `backbone` and `num_classes`"),
        ({"backbone": "x3d_xs", "backbone_kwargs": {"pretrained": True}}, "sets pretrained=True"),
        ({"backbone": "x3d_xs", "num_classes": 1 << 40}, "a network with more than the 0 tensors"),
        (
            {"backbone": "slow_r50", "backbone_kwargs": {"stem_dim_out": 1 << 20}},
            "a network with more than the 0 tensors",
        ),
        ({"backbone": "x3d_xs", "labels": "abc"}, "Expected `labels` to be what such checkpoints"),
        ({"backbone": "x3d_xs", "labels": [b"a"]}, "Expected `labels` to be what such checkpoints"),
        ({"backbone": "x3d_xs", "threshold": None}, "Expected `threshold` to be what such"),
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
    with pytest.raises(ValueError, match=r"run.ckpt: .* more than plain data .*weights_only=False"):
        VideoClassifier.load_from_checkpoint(path)
    torch.save({"format": "pytorchvideo.classifier", "labels": Code(tmp_path / "ran")}, path)
    with pytest.raises(ValueError, match="holds more than plain data"):
        VideoPredictor.from_file(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("key", ["model_kwargs", "model_state", "labels", "recipe", "model_name"])
def test_model_file_without_a_part(tmp_path: Path, key: str) -> None:
    model = VideoClassifier(labels=["a", "b"], pretrained=False)
    model.save(tmp_path / "model.pt")
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    for wrong in ({k: v for k, v in content.items() if k != key}, {**content, key: 3}):
        torch.save(wrong, tmp_path / "model.pt")
        with pytest.raises(ValueError, match=f"model.pt is a damaged model file: its '{key}' is"):
            VideoPredictor.from_file(tmp_path / "model.pt")


@pytest.mark.parametrize("change", ["shape", "missing"])
def test_model_file_with_weights_of_another(tmp_path: Path, change: str) -> None:
    path = tmp_path / "model.pt"
    VideoClassifier(labels=["a", "b"], pretrained=False).save(path)
    content = torch.load(path, weights_only=True)
    key = max(content["model_state"], key=lambda name: content["model_state"][name].numel())
    shape = content["model_state"].pop(key).shape
    if change == "shape":
        content["model_state"][key] = torch.zeros(shape[::-1])
    torch.save(content, path)
    said = f"model.pt holds weights that are not those of its network, .*{key}"
    with pytest.raises(ValueError, match=said):
        VideoPredictor.from_file(path)


def test_model_file_with_labels_that_are_no_texts(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    VideoClassifier(labels=["a", "b"], pretrained=False).save(path)
    torch.save({**torch.load(path, weights_only=True), "labels": ["a", ["b"]]}, path)
    with pytest.raises(
        ValueError, match=r"model\.pt is a damaged .*: its labels are not all texts"
    ):
        VideoPredictor.from_file(path)


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


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labels": ["a", 3]}, "its labels are not all texts"),
        ({"model_state": {"a": 1}}, "Expected `'a'` to be a plain tensor with a name"),
        (
            {"model_state": {f"a{i}": torch.zeros(1 << 14) for i in range(600)}},
            "weights that are not those of its network, x3d_xs",
        ),
        ({"multi_label": "no"}, "its 'multi_label' is str"),
        ({"threshold": None}, "its 'threshold' is NoneType"),
        ({"recipe": {"num_frames": 4}}, "Expected `recipe` to be made of"),
    ],
)
def test_model_file_with_other_parts(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    path = tmp_path / "model.pt"
    VideoClassifier(labels=["a", "b"], pretrained=False).save(path)
    torch.save({**torch.load(path, weights_only=True), **change}, path)
    with pytest.raises(ValueError, match=sentence):
        VideoPredictor.from_file(path)


def test_hyperparameters_of_old_are_not_read(tmp_path: Path) -> None:
    # Lightning takes these, too: they would go around what is checked
    path = saved(tmp_path)
    content = torch.load(path, weights_only=True)
    asks = {"pretrained": True, "weights": "/etc/passwd", "labels": ["x", "y"]}
    torch.save({**content, "hparams": asks, "module_arguments": asks, "hparams_name": "kw"}, path)
    again = VideoClassifier.load_from_checkpoint(path)
    assert again.labels == ["run", "walk"]


@pytest.mark.parametrize(
    "content",
    [3, [], {"state_dict": 3}, {"state_dict": {"a": 1}}, {"state_dict": {}, "hyper_parameters": 3}],
)
def test_what_is_no_checkpoint(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "run.ckpt")
    with pytest.raises(ValueError, match=r"run.ckpt(: it has no mapping| is no checkpoint)"):
        VideoClassifier.load_from_checkpoint(tmp_path / "run.ckpt")
    (tmp_path / "run.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"Cannot read .*run.ckpt: it is damaged"):
        VideoClassifier.load_from_checkpoint(tmp_path / "run.ckpt")


def test_a_checkpoint_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read, asked = saved(tmp_path), torch.load, []
    monkeypatch.setattr(torch, "load", lambda *a, **k: asked.append(k) or read(*a, **k))
    checked = VideoClassifier.load_from_checkpoint(path)
    assert [options["weights_only"] for options in asked] == [True]
    with path.open("rb") as file:
        of_file = VideoClassifier.load_from_checkpoint(file, map_location="cpu", learning_rate=0.5)
    assert len(asked) == 2
    assert of_file.learning_rate == 0.5
    # Lightning's own loader makes the same of it
    trusted = VideoClassifier.load_from_checkpoint(path, weights_only=False)
    for again in (checked, of_file):
        assert dict(again.hparams) | {"learning_rate": 1} == trusted.hparams | {"learning_rate": 1}
        torch.testing.assert_close(again.state_dict(), trusted.state_dict(), rtol=0, atol=0)


def test_tensors_that_do_not_fit(tmp_path: Path) -> None:
    path = saved(tmp_path)
    content = torch.load(path, weights_only=True)
    key = next(iter(content["state_dict"]))
    content["state_dict"]["other"] = content["state_dict"].pop(key)
    torch.save(content, path)
    with pytest.raises(RuntimeError, match=f"Missing key.*{key}"):
        VideoClassifier.load_from_checkpoint(path)
    with (
        pytest.warns(UserWarning, match=f"1 tensor is missing in .*run.ckpt: {key}"),
        pytest.warns(UserWarning, match=r"1 tensor is unknown in .*run.ckpt: other"),
    ):
        VideoClassifier.load_from_checkpoint(path, strict=False)


@pytest.mark.parametrize("ending", ["yaml", "csv"])
def test_hyperparameters_that_lightning_wrote(tmp_path: Path, ending: str) -> None:
    path, file = saved(tmp_path), tmp_path / f"hparams.{ending}"
    hyper = torch.load(path, weights_only=True)["hyper_parameters"]
    write = save_hparams_to_yaml if ending == "yaml" else save_hparams_to_tags_csv
    write(file, {**hyper, "labels": ["hop", "sit"]})
    again = VideoClassifier.load_from_checkpoint(path, hparams_file=file)
    assert again.labels == ["hop", "sit"]
    assert again.hparams["optimizer"] == hyper["optimizer"]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.yaml", "weights: /etc/passwd", "a.yaml: it sets weights, which no checkpoint"),
        ("a.yaml", "pretrained: true", "a.yaml: it asks for other weights than its own"),
        (
            "a.yaml",
            "backbone: x3d_xs\nnum_classes: 2\nbackbone_kwargs: {a: 1}",
            "a.yaml: it sets a=1",
        ),
        ("a.yaml", "labels: !!python/object/apply:os.system [touch ran]", "not plain yaml: could"),
        ("a.yaml", "labels: !!python/name:os.system", "not plain yaml: could not determine"),
        ("a.yaml", "labels: &a [b]\noutput: *a", r"not plain yaml: it has an alias \(\*\)"),
        ("a.yaml", "[" * 5000, "a.yaml: not plain yaml"),
        ("a.yaml", "- a", "a.yaml: it has no mapping"),
        ("a.yaml", "a: b: c", "a.yaml: not plain yaml: mapping values are not allowed"),
        ("a.csv", "key,value\nweights,/etc/passwd\n", "a.csv: it sets weights, which no"),
        ("a.csv", "no,header\n", "a.csv, line 1: .*a header with the columns key, value"),
        ("a.csv", f"key,value\nlabels,{'-' * 9000}1\n", "Expected `labels` to be what such"),
        ("a.json", "{}", r"Expected `hparams_file` to be a .csv, .yml or .yaml file"),
    ],
)
def test_hyperparameters_in_a_file_of_a_stranger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=sentence):
        VideoClassifier.load_from_checkpoint(saved(tmp_path), hparams_file=tmp_path / name)
    assert not (tmp_path / "ran").exists()


def saved(folder: Path) -> Path:
    """What Lightning writes of a small classifier."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
        )
        model = VideoClassifier(
            labels=["run", "walk"],
            pretrained=False,
            optimizer=("AdamW", {"weight_decay": 0.1}),
            backbone_kwargs={"num_frames": 4, "crop_size": 32},
        )
        trainer.strategy.connect(model)
        trainer.save_checkpoint(folder / "run.ckpt")
    return folder / "run.ckpt"
