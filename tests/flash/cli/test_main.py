# SPDX-License-Identifier: Apache-2.0
"""The command line: its answers, and one sentence with status 2 for everything that a user can get wrong."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from flash._errors import sentence_of
from flash.cli.main import app
from pytorchvideo.accelerator.deployment.artefact import ArtefactInfo, write_artefact
from pytorchvideo.models._registry import create_model
from pytorchvideo.models.pretrained import PretrainedModel
from pytorchvideo.transforms.clip_recipe import ClipRecipe

RECIPE = ClipRecipe(num_frames=4, sampling_rate=1, frames_per_second=4, side_size=32, crop_size=32)
MakeVideo = Callable[..., Path]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def assert_bad(result: Result, *words: str) -> None:
    """Status 2, nothing on standard output, one line on standard error with these words in it."""
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stdout == ""
    *before, _ = result.stderr.strip().splitlines()
    # what `train` begins with, before PyTorch is imported
    assert all(re.search(r": \S+, to ", line) for line in before), result.stderr
    assert len(before) <= 1
    assert "Traceback" not in result.stderr
    assert result.stderr.strip()[-1] in ".?", result.stderr
    for word in words:
        assert word in result.stderr


@pytest.fixture(scope="module")
def model_file(make_model_file: Callable[..., Path]) -> Path:
    """A small classifier with random weights."""
    return make_model_file(RECIPE)


@pytest.fixture(scope="module")
def video(make_video: MakeVideo) -> Path:
    return make_video("fine.mp4", num_frames=60, audio_rate=16000)


@pytest.fixture
def classes(make_video: MakeVideo, tmp_path: Path) -> Path:
    """Two classes of two videos."""
    for label in ("run", "walk"):
        for i in range(2):
            make_video(f"{i}.mp4", folder=tmp_path / "data" / label, num_frames=20)
    return tmp_path / "data"


@pytest.fixture
def bad_files(video: Path, tmp_path: Path) -> dict[str, Path]:
    """One file for each way in which a file is no video."""
    import av

    files = {
        name: tmp_path / f"{name}.mp4" for name in ("missing", "empty", "text", "cut", "sound")
    }
    files["folder"] = tmp_path / "folder.mp4"
    files["folder"].mkdir()
    files["empty"].touch()
    files["text"].write_text("this is a text, not a video\n" * 40)
    files["cut"].write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    with av.open(str(video)) as source, av.open(str(files["sound"]), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return files


# -- help -------------------------------------------------------------------------------------------------------


def test_no_arguments_show_the_help() -> None:
    result = run()
    assert "Usage" in result.output
    for command in ("demo", "train", "evaluate", "predict", "models", "check", "doctor"):
        assert command in result.output
        assert run(command, "--help").exit_code == 0


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, flash.cli.main; print('torch' in sys.modules, 'av' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert answer.stdout.split() == ["False", "False"]


# -- answers ----------------------------------------------------------------------------------------------------


def test_predict_prints_json_and_nothing_else(model_file: Path, video: Path) -> None:
    result = run("predict", video, "--weights", model_file, "--json", "--top", 2)
    assert result.exit_code == 0, result.stderr
    (answer,) = json.loads(result.stdout)
    assert answer["video"] == str(video)
    assert {entry["label"] for entry in answer["labels"]} == {"run", "walk"}
    scores = [entry["score"] for entry in answer["labels"]]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1)
    assert result.stderr == ""


def test_predict_in_words(model_file: Path, video: Path) -> None:
    result = run("predict", video, "--weights", model_file, "--views", 3, "--clips", 2)
    assert result.exit_code == 0
    assert str(video) in result.stdout
    assert "walk" in result.stdout
    assert "%" in result.stdout


def test_good_videos_are_answered_although_others_are_bad(
    model_file: Path, video: Path, bad_files: dict[str, Path]
) -> None:
    arguments = [bad_files["missing"], video, bad_files["text"]]
    result = run("predict", *arguments, "--weights", model_file, "--json")
    assert result.exit_code == 2
    assert [answer["video"] for answer in json.loads(result.stdout)] == [str(video)]
    missing, text = result.stderr.strip().splitlines()
    assert "There is no video file" in missing
    assert "text.mp4 is not a readable video" in text


def test_part_of_a_video(model_file: Path, video: Path) -> None:
    window = ("--start", 0.5, "--end", 1.5)
    result = run("predict", video, "--weights", model_file, "--json", *window)
    assert result.exit_code == 0, result.stderr


def test_evaluate(
    model_file: Path, classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    options = ("--weights", model_file, "--clips", 1)
    monkeypatch.chdir(tmp_path)
    result = run("evaluate", "data", *options, "--json", "--out", out)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["videos"] == 4
    assert 0 <= found["accuracy"] <= 1
    assert (out / "report.html").is_file()
    # absolute, wherever it was called: `compare` finds the videos of a run among them
    predictions = json.loads((out / "predictions.json").read_text())
    assert [Path(row["video"]) for row in predictions] == sorted(classes.rglob("*.mp4"))
    assert "accuracy" in run("evaluate", classes, *options).stdout


def test_evaluate_knows_classes_that_no_video_has(
    make_model_file: Callable[..., Path], classes: Path, tmp_path: Path
) -> None:
    """Of more than 100 classes a report shows those that occur, also as mistakes."""
    names = ["run", "walk", *(f"class {number}" for number in range(99))]
    model, out = make_model_file(RECIPE, names), tmp_path / "out"
    result = run("evaluate", classes, "--weights", model, "--clips", 1, "--out", out)
    assert result.exit_code == 0, (result.output, result.exception)
    predictions = json.loads((out / "predictions.json").read_text())
    said = {row[key] for row in predictions for key in ("label", "predicted")}
    assert said - {"run", "walk"}
    report = json.loads((out / "report.json").read_text())
    assert {row["label"] for row in report["classes"]} == said
    assert sum(map(sum, report["confusion"])) == 4


def test_models() -> None:
    zoo = json.loads(run("models", "--json").stdout)
    x3d = next(row for row in zoo if row["model"] == "x3d_xs")
    assert x3d["metrics"]["top1"] == 69.12
    assert x3d["num_classes"] == 400
    suited = {row["model"]: row["suits"] for row in zoo}
    assert (suited["efficient_x3d_xs"], suited["x3d_m"], suited["slow_r50"]) == (
        "phone",
        "CPU",
        "GPU",
    )
    table = CliRunner().invoke(app, ["models"], env={"COLUMNS": "80"}).stdout
    assert "slowfast_16x8_r101_50_50" in table
    assert "…" not in table
    assert "a multiplication with its addition counts once" in table
    assert_bad(run("models", "x3d_xx"), "Did you mean x3d_xs")


def test_measured_models(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def clips_per_second(name: str, *, seconds: float, device: str) -> float:
        asked.append((name, seconds, device))
        return 12.345

    monkeypatch.setattr("pytorchvideo.inference.speed.clips_per_second", clips_per_second)
    found = run("models", "x3d_s", "slow_r50", "--measure", "--seconds", 2, "--json")
    assert [row["clips_per_second"] for row in json.loads(found.stdout)] == [12.345] * 2
    assert asked == [("x3d_s", 2.0, "auto"), ("slow_r50", 2.0, "auto")]
    assert "12.35" in run("models", "x3d_s", "--measure").stdout
    assert_bad(run("models", "--seconds", 2), "--seconds is of no use without --measure.")


def test_check_says_which_are_bad(video: Path, bad_files: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    (folder / "good.mp4").symlink_to(video)
    assert run("check", folder).exit_code == 0
    (folder / "bad.mp4").symlink_to(bad_files["text"])
    result = run("check", folder, "--out", tmp_path / "report.json")
    assert result.exit_code == 1
    assert "bad.mp4 is not a readable video" in result.stdout
    assert "2 videos, 1 bad" in result.stdout
    assert [e["good"] for e in json.loads((tmp_path / "report.json").read_text())] == [False, True]
    assert len(json.loads(run("check", folder, "--json").stdout)) == 2


def test_prepare_ends_as_check_does(
    video: Path, bad_files: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    (folder / "good.mp4").symlink_to(video)
    options = ("--short-side", 16, "--preset", "ultrafast", "--jobs", 1)
    good = run("prepare", folder, "--out", tmp_path / "good", *options)
    assert (good.exit_code, run("check", folder).exit_code) == (0, 0), good.output
    (folder / "bad.mp4").symlink_to(bad_files["text"])
    for _ in range(2):  # the second has nothing left to do, and the same to say
        some = run("prepare", folder, "--out", tmp_path / "some", *options)
        assert (some.exit_code, run("check", folder).exit_code) == (1, 1), some.output
        assert "bad.mp4" in some.stdout
    (folder / "good.mp4").unlink()
    (folder / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    for _ in range(2):
        none = run("prepare", folder, "--out", tmp_path / "none", *options)
        assert (none.exit_code, run("check", folder).exit_code) == (1, 1), none.output
        assert "gone.mp4 cannot be opened: no such file or directory." in none.stdout
        assert "None of the 2 videos could be read" in none.stdout


def test_train_says_what_it_skipped(classes: Path, tmp_path: Path) -> None:
    (classes / "run" / "bad.mp4").write_text("no video")
    small = ("--frames", 4, "--crop", 32, "--clip-duration", 0.5, "--epochs", 1, "--val-split", 0.5)
    result = run("train", classes, "--out", tmp_path / "run", *small)
    assert result.exit_code == 0, result.stderr
    assert "skipped" in result.stderr
    assert "bad.mp4 is not a readable video" in result.stderr
    assert "accuracy" in result.stdout
    skipped = json.loads((tmp_path / "run" / "skipped.json").read_text())
    assert [Path(entry["video"]).name for entry in skipped] == ["bad.mp4"]
    again = run("train", classes, "--out", tmp_path / "run", *small)
    assert_bad(again, "holds a run already", "--resume")
    assert_bad(
        run("train", "--out", tmp_path / "run", "--resume", "--seed", 7), "seed=0, but got 7"
    )
    predicted = run("predict", classes / "run" / "0.mp4", "--run", tmp_path / "run", "--json")
    assert len(json.loads(predicted.stdout)[0]["labels"]) == 2


# -- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "There is no video file"),
        ("folder", "has no video"),
        ("empty", "is empty (0 bytes)"),
        ("text", "is not a readable video"),
        ("cut", "is not a readable video"),
        ("sound", "has no video stream"),
    ],
)
def test_files_that_are_no_videos(
    kind: str, words: str, model_file: Path, bad_files: dict[str, Path]
) -> None:
    assert_bad(run("predict", bad_files[kind], "--weights", model_file), words, f"{kind}.mp4")


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (("--start", 9), "beyond the end"),
        (("--start", -1), ">= 0 seconds"),
        (("--start", 1, "--end", 0.5), "`--end`"),
        (("--views", 2), "`--views`"),
    ],
)
def test_windows_that_are_none(
    window: tuple[object, ...], words: str, model_file: Path, video: Path
) -> None:
    assert_bad(run("predict", video, "--weights", model_file, *window), words)


def test_folders_that_cannot_be_trained_on(classes: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "run")
    (classes / "jump").mkdir()
    assert_bad(run("train", classes, *out), "jump has no video")
    assert_bad(run("train", classes / "run", *out), "has no subfolder")
    assert_bad(run("train", tmp_path / "nowhere", *out), "There is no file and no folder")
    (classes / "jump").rmdir()
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "run").symlink_to(classes / "run")
    assert_bad(run("train", tmp_path / "one", "--out", tmp_path / "run2"), "one class only")
    assert_bad(run("train", "--out", tmp_path / "run3"), "Expected DATA")


def test_run_that_failed_on_its_data_can_be_repeated(classes: Path, tmp_path: Path) -> None:
    (classes / "jump").mkdir()
    command = ("train", classes, "--out", tmp_path / "run", "--epochs", 1)
    assert_bad(run(*command), "jump has no video")
    assert_bad(run(*command), "jump has no video")


def test_lists_that_cannot_be_read(classes: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("a.mp4 0\nb.mp4 one\n")
    assert_bad(run("train", listed, "--out", tmp_path / "a"), "list.txt, line 2")
    listed.write_text("a.mp4 0\nb.mp4 1\n")
    assert_bad(run("train", listed, "--out", tmp_path / "b"), "None of the 2 videos")
    assert_bad(run("check", listed), "None of the 2 videos")
    listed.write_text("")
    assert_bad(run("train", listed, "--out", tmp_path / "c"), "lists no video")


def test_models_that_are_none(video: Path, model_file: Path, tmp_path: Path) -> None:
    assert_bad(run("predict", video, "--model", "x3d_sx"), "x3d_sx", "Did you mean x3d_s")
    assert_bad(run("train", tmp_path, "--model", "slow_r5"), "Did you mean slow_r50")
    assert_bad(run("predict", video), "--run DIR")
    other = tmp_path / "other.pth"
    torch.save({"model_state": create_model("x3d_s").state_dict()}, other)
    assert_bad(run("predict", video, "--model", "c2d_r50", "--weights", other), "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    weights = ("--weights", tmp_path / "text.pth")
    assert_bad(run("predict", video, "--model", "x3d_s", *weights), "text.pth")
    assert_bad(run("predict", video, *weights), "text.pth")
    assert_bad(run("predict", video, "--weights", tmp_path / "none.pt"), "none.pt")
    assert_bad(run("predict", video, "--run", tmp_path), "holds no run")


@pytest.fixture(scope="module")
def forms(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classifier as a saved folder and as an artefact that needs trust."""
    folder = tmp_path_factory.mktemp("forms")
    trained = PretrainedModel.from_file(model_file)
    trained.save_pretrained(folder / "saved")
    about = ArtefactInfo("torch-export", trained.name, trained.recipe, trained.labels)
    write_artefact(trained.model.eval(), about, folder / "artefact")
    return folder


def test_every_command_takes_every_model() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    wanted = {"--run", "--model", "--weights", "--labels", "--artefact", "--trust"}
    for name in ("predict", "evaluate", "embed", "timeline", "stream", "serve"):
        assert wanted <= {option for one in commands[name].params for option in one.opts}, name
    shown = {name for name, one in commands.items() if "zero_shot" in {p.name for p in one.params}}
    assert shown == {"predict", "timeline"}


@pytest.mark.slow
def test_a_saved_model_and_an_artefact_answer_alike(
    model_file: Path, forms: Path, classes: Path, video: Path, tmp_path: Path
) -> None:
    answers = []
    for source in (
        ("--model", model_file),
        ("--model", forms / "saved"),
        ("--model", forms / "artefact", "--trust"),
        ("--artefact", forms / "artefact", "--trust"),
    ):
        predicted = run("predict", video, *source, "--json")
        evaluated = run("evaluate", classes, *source, "--clips", 1, "--json")
        streamed = run("stream", video, *source, "--json", "--seconds", 0.5)
        for result in (predicted, evaluated, streamed):
            assert result.exit_code == 0, result.output
        (answer,) = json.loads(predicted.stdout)
        scores = {row["label"]: row["score"] for row in answer["labels"]}
        answers.append({**scores, "accuracy": json.loads(evaluated.stdout)["accuracy"]})
    assert all(answer == pytest.approx(answers[0], abs=1e-4) for answer in answers)


@pytest.mark.slow
def test_embeddings_of_a_saved_model(
    forms: Path, video: Path, make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, out = make_video("other.mp4", num_frames=30), tmp_path / "clips.safetensors"
    monkeypatch.chdir(forms)
    done = run("embed", video, "--model", "saved", "--clips", 1, "--out", out)
    assert done.exit_code == 0, done.output
    monkeypatch.chdir(tmp_path)
    found = run("search", out, other, "--json")
    assert [row["video"] for row in json.loads(found.stdout)] == [str(video)]
    trusted = ("--artefact", forms / "artefact", "--trust")
    assert_bad(run("embed", video, *trusted, "--out", out), "no features, as artefacts have")


def test_models_that_cannot_be_told(forms: Path, video: Path, tmp_path: Path) -> None:
    artefact, saved = forms / "artefact", forms / "saved"
    assert_bad(run("predict", video, "-m", tmp_path), "holds no model: expected model.pt")
    assert_bad(run("serve", "--port", 0, "-m", artefact), "Refused to load", "--trust")
    assert_bad(run("serve", "--port", 0, "-m", saved, "--run", saved), "got --run and --model")
    assert_bad(run("serve", "--port", 0, "--max-size", "nan"), "Expected `--max-size` to be > 0 MB")
    assert_bad(run("embed", video, "-m", "x/none.pt", "-o", "x.parquet"), "or folder x/none.pt")
    assert_bad(
        run("export", artefact, "--to", "onnx", "-o", tmp_path / "a"), "is an artefact already"
    )


def test_outputs_that_cannot_be_written(classes: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    out = tmp_path / "file" / "run"
    assert_bad(run("train", classes, "--out", out), "Expected a folder, but", "is a file")
    assert_bad(run("demo", "--out", out), "is a file")
    assert_bad(run("check", classes, "--out", out / "a.json"), "is a file")


def test_usage(video: Path) -> None:
    assert_bad(run("predict", video, "--top", 0), "--top")
    assert_bad(run("predict"), "VIDEO")
    assert_bad(run("predict", video, "--colour", "red"), "--colour")
    assert_bad(run("train", ".", "--strategy", "melt"), "melt")
    assert_bad(run("dance"), "dance")


def test_defects_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    import flash.cli.diagnosis

    def broken() -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(flash.cli.diagnosis, "diagnose", broken)
    assert isinstance(run("doctor").exception, ZeroDivisionError)


def test_error_of_another_library_is_a_defect() -> None:
    with pytest.raises(RuntimeError, match="invalid for input") as caught:
        torch.zeros(2).reshape(3)
    assert sentence_of(caught.value) is None
    assert sentence_of(PermissionError(13, "Permission denied", "/x")) == "/x: permission denied."
    assert sentence_of(BrokenPipeError()) is None


def test_process_ends_with_status_two_and_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flash.cli.main", "train", str(tmp_path / "nowhere")]
    answer = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert len(answer.stderr.strip().splitlines()) == 1
    assert "There is no file and no folder" in answer.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_demo_learns(tmp_path: Path) -> None:
    """Four classes: one answer of four is right by chance."""
    out = tmp_path / "demo"
    command = [sys.executable, "-m", "flash", "demo", "--out", str(out)]
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert f"report: {out / 'run' / 'report.html'}" in answer.stdout
    assert len(list((out / "data").rglob("*.mp4"))) == 4 * (60 + 12) + 1
    for name in ("model.pt", "config.json", "history.json", "report.html"):
        assert (out / "run" / name).is_file()
    predictions = json.loads((out / "run" / "predictions.json").read_text())
    right = sum(entry["label"] == entry["predicted"] for entry in predictions)
    assert len(predictions) == 48
    assert right / len(predictions) >= 0.9


def test_predict_clip_by_clip(model_file: Path, video: Path) -> None:
    asked = ("predict", video, "--weights", model_file, "--clips", "uniform", "--timeline")
    result = run(*asked, "--json")
    assert result.exit_code == 0, result.output
    (answer,) = json.loads(result.stdout)
    spans = [(row["start_sec"], row["end_sec"]) for row in answer["timeline"]]
    assert len(spans) > 1
    assert all(before[1] >= after[0] for before, after in pairwise(spans))
    assert {row["label"] for row in answer["timeline"]} <= {"run", "walk"}
    lines = run(*asked).stdout.splitlines()
    assert len([line for line in lines if " to " in line]) == len(spans)
    assert_bad(run("predict", video, "--weights", model_file, "--clips", "ten"), "10x3")
