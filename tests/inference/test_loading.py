# SPDX-License-Identifier: Apache-2.0
"""Loading of predictors, and the names of their classes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from flash.cli.main import app
from flash.video import VideoClassifier
from pytorchvideo.accelerator.deployment.artefact import ArtefactInfo, write_artefact
from pytorchvideo.inference.loading import load_predictor, read_names
from pytorchvideo.models import ClipRecipe
from pytorchvideo.models._registry import create_model


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "run\nwalk\n"),
        ("a.json", '["run", "walk"]'),
        ("b.json", '{"\\"walk\\"": 1, "run": 0}'),
        ("c.json", '{"0": "run", "1": "walk"}'),
    ],
)
def test_names_in_every_form(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert read_names(tmp_path / name) == ["run", "walk"]


def test_names_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file .*none.txt. Expected class names"):
        read_names(tmp_path / "none.txt")
    (tmp_path / "empty.txt").touch()
    with pytest.raises(ValueError, match="a class name a line"):
        read_names(tmp_path / "empty.txt")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ValueError, match=r"bad.json, line 1: not json"):
        read_names(tmp_path / "bad.json")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.txt", "run\n\nwalk\nrun\n", r"a\.txt, line 4: the name 'run' stands in line 1 already"),
        ("a.json", '{"run": 0, "walk": 0}', r"the number 0 is that of 'run' and of 'walk'"),
        ("a.json", '{"run": 1, "walk": 2}', "the numbers 0 to 1 for 2 classes, but 0 is missing"),
        ("a.json", '{"0": "run", "2": "walk"}', "the numbers 0 to 1 .*, but 1 is missing"),
        ("a.json", '{"run": 0, "run": 1}', "the name 'run' comes twice"),
        ("a.json", '{"run": 1.5}', "Expected `run` to be .*but got 1.5"),
        ("a.json", '{"run": -1}', "Expected `run` to be .*but got -1"),
        ("a.json", '["run", ["walk"]]', r"Expected `class 1` to be a name, but got \['walk'\]"),
        ("a.json", '["run", "run"]', r"a\.json, class 1: the name 'run' stands in class 0 already"),
        ("a.json", "3", "expected a list of names"),
    ],
)
def test_names_that_are_not_clear(name: str, content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=sentence):
        read_names(tmp_path / name)


def test_which_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--run DIR"):
        load_predictor()
    with pytest.raises(ValueError, match="but got both"):
        load_predictor(run=tmp_path, model="x3d_xs")
    with pytest.raises(FileNotFoundError, match="no file of weights"):
        load_predictor(model="x3d_xs", weights=tmp_path / "none.pth")
    weights = tmp_path / "w.pth"
    torch.save({"model_state": create_model("x3d_xs", num_classes=2).state_dict()}, weights)
    (tmp_path / "labels.txt").write_text("run\nwalk\n")
    predictor = load_predictor(model="x3d_xs", weights=weights, labels=tmp_path / "labels.txt")
    assert predictor.labels == ["run", "walk"]


def test_a_classifier_that_would_be_untrained(tmp_path: Path) -> None:
    weights, labels = tmp_path / "two.pth", tmp_path / "three.txt"
    torch.save({"model_state": create_model("x3d_xs", num_classes=2).state_dict()}, weights)
    labels.write_text("a\nb\nc\n")
    for names in (labels, None):
        with pytest.raises(
            ValueError, match=r"two\.pth has another number of classes .* untrained"
        ):
            load_predictor(model="x3d_xs", weights=weights, labels=names)
    with pytest.raises(ValueError, match=r"a name for each of the 400 classes .*'3 names"):
        load_predictor(model="x3d_xs", labels=labels)


def test_labels_beside_a_model_file(tmp_path: Path) -> None:
    recipe = ClipRecipe(4, 2, side_size=32, crop_size=32)
    model = VideoClassifier(
        num_classes=2, pretrained=False, recipe=recipe, multi_label=True, threshold=0.2
    )
    model.save(tmp_path / "model.pt")
    assert load_predictor(weights=tmp_path / "model.pt").labels == ["0", "1"]
    (tmp_path / "labels.txt").write_text("\ufeffrun\nwalk\n", encoding="utf-8")
    predictor = load_predictor(weights=tmp_path / "model.pt", labels=tmp_path / "labels.txt")
    assert (predictor.labels, predictor.threshold) == (["run", "walk"], 0.2)
    (tmp_path / "labels.txt").write_text("run\nwalk\njump\n")
    with pytest.raises(ValueError, match="each of the 2 classes of the weights, but got '3 names"):
        load_predictor(weights=tmp_path / "model.pt", labels=tmp_path / "labels.txt")


def test_an_artefact_keeps_its_threshold(tmp_path: Path) -> None:
    net = torch.nn.Sequential(
        torch.nn.Conv3d(3, 3, 1), torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten()
    )
    recipe = ClipRecipe(4, 2, side_size=8, crop_size=8)
    about = ArtefactInfo(
        "torch-export", "net", recipe, ("a", "b", "c"), multi_label=True, threshold=0.3
    )
    write_artefact(net, about, tmp_path)
    predictor = load_predictor(artefact=tmp_path, trust=True)
    assert (predictor.multi_label, predictor.threshold) == (True, 0.3)


@pytest.mark.slow
def test_real_weights_name_real_clips(shared_data: Path, shared_weights: Path) -> None:
    weights = shared_weights / "i3d_inception_rgb_kinetics400.pth"
    predictor = load_predictor(model="i3d_inception", weights=weights)
    for name, label in (
        ("mmaction2_demo_arm_wrestling.mp4", "arm wrestling"),
        ("decord_kinetics_flipping_a_pancake.mkv", "flipping pancake"),
        ("sam2_05_default_juggle.mp4", "juggling soccer ball"),
    ):
        named = predictor.predict(shared_data / "clips" / name, clips=1, top_k=1)
        assert named[0][0] == label


MakeVideo = Callable[..., Path]
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def clip_model(tmp_path: Path) -> Path:
    """A CLIP drawn at random, with a tokenizer of single letters."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path / "clip"
    words = [*LETTERS, *(f"{c}</w>" for c in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: i for i, word in enumerate(words)}
    transformers.CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    sizes |= {"num_attention_heads": 2}
    tokens = {"bos_token_id": 52, "eos_token_id": 53, "pad_token_id": 53}
    config = transformers.CLIPConfig(
        vision_config={**sizes, "image_size": 32, "patch_size": 8},
        text_config={**sizes, **tokens, "vocab_size": 54, "max_position_embeddings": 40},
        projection_dim=16,
    )
    with torch.random.fork_rng(devices=[]):
        transformers.CLIPModel(config).save_pretrained(folder)
    return folder


def test_classes_without_training(clip_model: Path, tmp_path: Path, make_video: MakeVideo) -> None:
    predictor = load_predictor(model=str(clip_model), zero_shot=["archery", "chess"])
    assert predictor.labels == ["archery", "chess"]
    video = make_video("a.mp4", num_frames=20)
    arguments = ["predict", str(video), "--zero-shot", "archery, chess", "--json", "--clips", "1"]
    result = CliRunner().invoke(app, [*arguments, "--model", f"hf:{clip_model}"])
    assert result.exit_code == 0, result.output
    (answer,) = json.loads(result.stdout)
    assert {row["label"] for row in answer["labels"]} == {"archery", "chess"}
    assert sum(row["score"] for row in answer["labels"]) == pytest.approx(1, abs=1e-5)
    with pytest.raises(ValueError, match="--zero-shot with --model alone"):
        load_predictor(run=tmp_path, zero_shot=["archery", "chess"])
    with pytest.raises(ValueError, match="two or more names"):
        load_predictor(model=str(clip_model), zero_shot=["archery"])


def test_models_of_hugging_face(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.VideoMAEConfig(
        image_size=32,
        patch_size=16,
        num_frames=4,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        id2label={0: "run", 1: "walk"},
        label2id={"run": 0, "walk": 1},
    )
    with torch.random.fork_rng(devices=[]):
        transformers.VideoMAEForVideoClassification(config).save_pretrained(tmp_path / "mae")
    predictor = load_predictor(model=f"hf:{tmp_path / 'mae'}")
    assert predictor.labels == ["run", "walk"]
    assert predictor.recipe.num_frames == 4
    with pytest.raises(ValueError, match="without --weights and --labels"):
        load_predictor(model=f"hf:{tmp_path / 'mae'}", weights=tmp_path / "w.pth")
