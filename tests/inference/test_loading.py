# SPDX-License-Identifier: Apache-2.0
"""Loading of predictors, and the names of their classes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from flash.cli.main import app
from flash.video import VideoClassifier
from pytorchvideo.accelerator.deployment.artefact import (
    ArtefactInfo,
    ArtefactModel,
    write_artefact,
)
from pytorchvideo.inference.loading import (
    absolute_source,
    find_model,
    load_predictor,
    load_trained,
    read_names,
)
from pytorchvideo.models import ClipRecipe, PretrainedModel, get_weights
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
    with pytest.raises(FileNotFoundError, match="no file of weights"):
        load_predictor("x3d_xs", weights=tmp_path / "none.pth")
    weights = tmp_path / "w.pth"
    torch.save({"model_state": create_model("x3d_xs", num_classes=2).state_dict()}, weights)
    (tmp_path / "labels.txt").write_text("run\nwalk\n")
    predictor = load_predictor("x3d_xs", weights=weights, labels=tmp_path / "labels.txt")
    assert predictor.labels == ["run", "walk"]


def test_a_classifier_that_would_be_untrained(tmp_path: Path) -> None:
    weights, labels = tmp_path / "two.pth", tmp_path / "three.txt"
    torch.save({"model_state": create_model("x3d_xs", num_classes=2).state_dict()}, weights)
    labels.write_text("a\nb\nc\n")
    for names in (labels, None):
        with pytest.raises(
            ValueError, match=r"two\.pth has another number of classes .* untrained"
        ):
            load_predictor("x3d_xs", weights=weights, labels=names)
    with pytest.raises(ValueError, match=r"a name for each of the 400 classes .*'3 names"):
        load_predictor("x3d_xs", labels=labels)


def test_labels_beside_a_model_file(tmp_path: Path) -> None:
    recipe = ClipRecipe(4, 2, side_size=32, crop_size=32)
    model = VideoClassifier(
        num_classes=2, pretrained=False, recipe=recipe, multi_label=True, threshold=0.2
    )
    model.save(tmp_path / "model.pt")
    assert load_predictor(tmp_path / "model.pt").labels == ["0", "1"]
    (tmp_path / "labels.txt").write_text("\ufeffrun\nwalk\n", encoding="utf-8")
    predictor = load_predictor(tmp_path / "model.pt", labels=tmp_path / "labels.txt")
    assert (predictor.labels, predictor.threshold) == (["run", "walk"], 0.2)
    (tmp_path / "labels.txt").write_text("run\nwalk\njump\n")
    with pytest.raises(ValueError, match="each of the 2 classes of the weights, but got '3 names"):
        load_predictor(tmp_path / "model.pt", labels=tmp_path / "labels.txt")


def test_an_artefact_keeps_its_threshold(tmp_path: Path) -> None:
    net = torch.nn.Sequential(
        torch.nn.Conv3d(3, 3, 1), torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten()
    )
    recipe = ClipRecipe(4, 2, side_size=8, crop_size=8)
    about = ArtefactInfo(
        "torch-export", "net", recipe, ("a", "b", "c"), multi_label=True, threshold=0.3
    )
    write_artefact(net, about, tmp_path)
    predictor = load_predictor(tmp_path, trust=True)
    assert (predictor.multi_label, predictor.threshold) == (True, 0.3)


NAMES = ("jump", "run", "sit")


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network as a file, a run, a saved folder, an artefact, and weights with labels."""
    folder = tmp_path_factory.mktemp("forms")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = create_model("x3d_xs", num_classes=3).eval()
    recipe = get_weights("x3d_xs").recipe
    trained = PretrainedModel(model, "x3d_xs", recipe, labels=NAMES)
    (folder / "run").mkdir()
    (folder / "run" / "config.json").write_text(json.dumps({"data": "clips"}))
    trained.save(folder / "run" / "model.pt")
    trained.save(folder / "other_name")
    trained.save_pretrained(folder / "saved")
    write_artefact(
        model, ArtefactInfo("torch-export", "x3d_xs", recipe, NAMES), folder / "artefact"
    )
    torch.save(model.state_dict(), folder / "weights.pth")
    (folder / "labels.txt").write_text("\n".join(NAMES))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("run", "run"),
        ("run/model.pt", "file"),
        ("other_name", "file"),
        ("saved", "saved"),
        ("artefact", "artefact"),
        ("me/gestures", "hub"),
        ("x3d_xs", "zoo"),
    ],
)
@pytest.mark.parametrize("as_path", [False, True])
def test_one_network_in_every_form(
    name: str, kind: str, as_path: bool, forms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(forms)
    files = {"weights": "weights.pth", "labels": "labels.txt"} if kind == "zoo" else {}
    monkeypatch.setattr(
        "pytorchvideo.models.pretrained.download",
        lambda repo_id, file, **_: {"me/gestures": forms / "saved"}[repo_id] / file,
    )
    source = Path(name) if as_path else name
    if as_path and kind in ("hub", "zoo"):
        with pytest.raises(FileNotFoundError, match=f"no file of weights or folder {name}"):
            load_predictor(source)
        return
    assert find_model(source) == (kind, name)
    predictor = load_predictor(source, trust=True, **files)
    wanted = load_predictor(forms / "other_name")
    assert (predictor.labels, predictor.recipe) == (list(NAMES), wanted.recipe)
    clip = torch.rand(3, 4, 182, 182, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        predictor.score_inputs([[clip]]), wanted.score_inputs([[clip]]), atol=1e-5, rtol=0
    )


def test_an_artefact_that_can_run_code_needs_trust(forms: Path) -> None:
    for kind in (None, "artefact"):
        with pytest.raises(ValueError, match=r"Refused to load .*artefact: .*--trust"):
            load_predictor(forms / "artefact", kind=kind)
    with pytest.raises(ValueError, match="is an artefact already"):
        load_trained(forms / "artefact")


def write(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    return folder


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, r"x holds no model: expected model.pt .* but found nothing"),
        (
            {"a_mp4": "", "b_mp4": "", "c_mp4": "", "d_txt": ""},
            r"but found a\.mp4, b\.mp4, c\.mp4 and 1 more",
        ),
        ({"config_json": '{"data": "clips"}'}, "x is not finished: there is no model.pt"),
        ({"config_json": '{"model_type": "videomae"}'}, r"of transformers: give hf:.*x"),
        ({"config_json": '{"format": "pytorchvideo.pretrained"}'}, "does not say labels"),
        ({"config_json": "[]"}, r"config\.json: expected the description of a model"),
        ({"artefact_json": "{}"}, "is not the description of an artefact"),
        (
            {"model_pt": "", "artefact_json": "{}"},
            r"holds a run \(model.pt\) and an artefact \(artefact.json\): .* --artefact",
        ),
        (
            {"model_pt": "", "config_json": '{"format": "pytorchvideo.pretrained"}'},
            r"holds a run \(model.pt\) and a saved model \(config.json\)",
        ),
    ],
)
def test_folders_that_hold_no_model(files: dict[str, str], sentence: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "x", **files)
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        load_predictor(str(folder))


def test_a_saved_model_is_no_run(forms: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"saved model \(config.json\) and no run: .*--model"
    ):
        load_predictor(forms / "saved", kind="run")
    with pytest.raises(FileNotFoundError, match="run holds no artefact"):
        load_predictor(forms / "run", kind="artefact")
    with pytest.raises(FileNotFoundError, match=r"no folder .*none"):
        load_predictor(forms / "none", kind="saved")


@pytest.mark.slow
def test_a_folder_with_two_models(forms: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    shutil.copytree(forms / "run", both)
    trained = load_trained(forms / "run")
    about = ArtefactInfo("torch-export", "x3d_xs", trained.recipe, NAMES)
    write_artefact(trained.model.eval(), about, both)  # as `export --out` of the same folder does
    with pytest.raises(ValueError, match="expected one of them"):
        load_predictor(both, trust=True)
    assert isinstance(load_predictor(both, kind="artefact", trust=True).model, ArtefactModel)
    assert not isinstance(load_predictor(both, kind="run").model, ArtefactModel)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nope", "There is no model named 'nope'"),
        ("nope.pt", r"no file of weights or folder nope\.pt"),
        ("runs/nope/now", "no file of weights or folder runs/nope/now"),
        ("./runs/nope", r"no file of weights or folder \./runs/nope"),
    ],
)
def test_names_of_nothing(name: str, sentence: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        load_predictor(name)


def test_a_typo_beside_a_folder_is_no_name_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_model("runs/typo") == ("hub", "runs/typo")
    (tmp_path / "runs").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no file of weights or folder runs/typo\."):
        find_model("runs/typo")


def test_a_name_that_the_hub_is_not_reached_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Could not reach the Hub.")

    monkeypatch.setattr("pytorchvideo.models.pretrained.download", unreachable)
    with pytest.raises(
        ConnectionError, match=r"no file or folder runs/mine here\. Could not reach"
    ):
        load_predictor("runs/mine")


def test_a_folder_called_as_a_model_of_the_zoo(
    forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x3d_xs").mkdir()
    assert find_model("x3d_xs") == ("zoo", "x3d_xs")
    shutil.copy(forms / "other_name", tmp_path / "x3d_xs" / "model.pt")
    with pytest.raises(ValueError, match=r"also a folder with a run .* Write \./x3d_xs"):
        find_model("x3d_xs")
    assert find_model("./x3d_xs") == ("run", "./x3d_xs")


def test_sources_that_hold_everywhere(forms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(forms)
    for name in ("run", "saved", "artefact", "other_name"):
        assert absolute_source(name) == str(forms / name)
    assert absolute_source("hf:saved") == f"hf:{forms / 'saved'}"
    for name in ("x3d_xs", "me/gestures", "hf:me/gestures", str(forms / "run")):
        assert absolute_source(name) == name


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("run", {"labels": "labels.txt"}, "run without --labels: a run has its own weights"),
        ("artefact", {"weights": "weights.pth"}, "artefact without --weights: an artefact has"),
        ("saved", {"weights": "weights.pth"}, "saved without --weights: a saved model has its"),
        ("weights.pth", {}, "weights.pth is not a model file of the format"),
    ],
)
def test_options_that_a_model_has_not(
    name: str, options: dict[str, str], sentence: str, forms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(forms)
    with pytest.raises(ValueError, match=sentence):
        load_predictor(name, **options)


def test_classes_of_a_saved_model_by_other_names(forms: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    predictor = load_predictor(forms / "saved", labels=tmp_path / "names.txt")
    assert predictor.labels == ["a", "b", "c"]


@pytest.mark.slow
def test_real_weights_name_real_clips(shared_data: Path, shared_weights: Path) -> None:
    weights = shared_weights / "i3d_inception_rgb_kinetics400.pth"
    predictor = load_predictor("i3d_inception", weights=weights)
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
    predictor = load_predictor(clip_model, zero_shot=["archery", "chess"])
    assert predictor.labels == ["archery", "chess"]
    video = make_video("a.mp4", num_frames=20)
    arguments = ["predict", str(video), "--zero-shot", "archery, chess", "--json", "--clips", "1"]
    result = CliRunner().invoke(app, [*arguments, "--model", f"hf:{clip_model}"])
    assert result.exit_code == 0, result.output
    (answer,) = json.loads(result.stdout)
    assert {row["label"] for row in answer["labels"]} == {"archery", "chess"}
    assert sum(row["score"] for row in answer["labels"]) == pytest.approx(1, abs=1e-5)
    with pytest.raises(ValueError, match="--zero-shot without --weights and --labels"):
        load_predictor(labels=tmp_path, zero_shot=["archery", "chess"])
    with pytest.raises(ValueError, match="two or more names"):
        load_predictor(clip_model, zero_shot=["archery"])


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
    predictor = load_predictor(f"hf:{tmp_path / 'mae'}")
    assert predictor.labels == ["run", "walk"]
    assert predictor.recipe.num_frames == 4
    with pytest.raises(ValueError, match="without --weights: a model of Hugging Face has its own"):
        load_predictor(f"hf:{tmp_path / 'mae'}", weights=tmp_path / "w.pth")
