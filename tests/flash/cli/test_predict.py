# SPDX-License-Identifier: Apache-2.0
"""Predictions of folders and lists, into tables, by the run that is there, on a device."""

import csv
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from flash.cli.main import app
from pytorchvideo.transforms.clip_recipe import ClipRecipe

RECIPE = ClipRecipe(num_frames=4, sampling_rate=1, frames_per_second=4, side_size=32, crop_size=32)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def model(make_model_file: Callable[..., Path]) -> Path:
    return make_model_file(RECIPE)


@pytest.fixture(scope="module")
def folder(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos, one of them a level deeper."""
    folder = tmp_path_factory.mktemp("videos")
    for name in ("a.mp4", "b.mp4", "deep/c.mp4"):
        make_video(name, folder=folder, num_frames=30)
    return folder


def names(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [Path(answer["video"]).name for answer in json.loads(result.stdout)]


def test_folders_lists_and_videos_together(folder: Path, model: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(f"{folder / 'b.mp4'} walk\n{folder / 'a.mp4'} run\n")
    assert names(run("predict", folder, "-m", model, "--json")) == ["a.mp4", "b.mp4", "c.mp4"]
    asked = ("predict", listed, folder / "deep", folder / "a.mp4", "-m", model, "--json")
    assert names(run(*asked)) == ["b.mp4", "a.mp4", "c.mp4", "a.mp4"]
    (tmp_path / "none").mkdir()
    empty = run("predict", tmp_path / "none", "-m", model)
    assert (empty.exit_code, "none has no video" in empty.stderr) == (2, True)


def test_tables(folder: Path, model: Path, tmp_path: Path) -> None:
    asked = ("predict", folder, "-m", model, "--clips", 1, "--timeline")
    answers = json.loads(run(*asked, "--json").stdout)
    tables = {}
    for ending in ("csv", "json", "parquet"):
        out = tmp_path / f"results.{ending}"
        done = run(*asked, "--out", out)
        assert (done.exit_code, done.stdout) == (0, f"{out}: 3 of 3 videos\n"), done.output
        if ending == "csv":
            with open(out, newline="") as file:
                tables[ending] = [
                    {k: v or None for k, v in row.items()} for row in csv.DictReader(file)
                ]
        elif ending == "json":
            tables[ending] = json.loads(out.read_text())
        else:
            parquet = pytest.importorskip("pyarrow.parquet")
            tables[ending] = parquet.read_table(out).to_pylist()
    assert tables["json"] == tables.get("parquet", tables["json"])
    plain = [{k: None if v is None else str(v) for k, v in row.items()} for row in tables["json"]]
    assert tables["csv"] == plain
    for answer in answers:
        rows = [row for row in tables["json"] if row["video"] == answer["video"]]
        whole = [row for row in rows if row["start_sec"] is None]
        assert [(row["label"], row["score"]) for row in whole] == [
            (row["label"], row["score"]) for row in answer["labels"]
        ]
        assert [row["rank"] for row in whole] == [1, 2]
        clips = [{k: row[k] for k in answer["timeline"][0]} for row in rows if row not in whole]
        assert clips == answer["timeline"]


def test_tables_that_cannot_be_written(
    folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("predict", folder, "-m", model, "--out")
    other = run(*asked, tmp_path / "a.xlsx")
    assert other.exit_code == 2
    assert "a name that ends in .csv, .json or .parquet" in other.stderr
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    without = run(*asked, tmp_path / "a.parquet")
    assert (without.exit_code, without.stdout) == (2, "")
    assert without.stderr == (
        "Parquet files need pyarrow: pip install pyarrow, or write a .csv or .json file.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_bad_videos_of_a_table_are_said(folder: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    out = tmp_path / "out.csv"
    done = run("predict", tmp_path / "bad.mp4", folder / "a.mp4", "-m", model, "-o", out)
    assert (done.exit_code, done.stdout) == (2, f"{out}: 1 of 2 videos\n")
    assert "bad.mp4 is not a readable video" in done.stderr
    assert "bad.mp4" not in out.read_text()


def test_the_run_that_is_there(
    folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")  # one that is not finished
    nothing = run("predict", folder / "a.mp4")
    assert (nothing.exit_code, "--run DIR" in nothing.stderr) == (2, True)
    (tmp_path / "run" / "model.pt").write_bytes(model.read_bytes())
    for command, more in (
        ("predict", ()),
        ("stream", ("--seconds", 0.5)),
        ("embed", ("--out", "e.safetensors")),
        ("timeline", ("--out", "t")),
    ):
        done = run(command, folder / "a.mp4", *more)
        assert done.exit_code == 0, done.output
        assert done.stderr.startswith("no model is named: the run in run is used\n")
    named = run("predict", folder / "a.mp4", "--model", model)
    assert (named.exit_code, named.stderr) == (0, "")
    # search needs no model where the video is in the file, and finds the one that made it where it is not
    found = run("search", "e.safetensors", folder / "b.mp4", "--json")
    assert [Path(row["video"]).name for row in json.loads(found.stdout)] == ["a.mp4"]


@pytest.mark.parametrize("command", ["predict", "evaluate", "embed", "timeline", "stream", "serve"])
def test_devices(command: str, folder: Path, model: Path, tmp_path: Path) -> None:
    subject = () if command == "serve" else (folder if command == "evaluate" else folder / "a.mp4",)
    out = {"embed": ("--out", tmp_path / "e.safetensors"), "timeline": ("--out", tmp_path / "t")}
    asked = (command, *subject, *out.get(command, ()), "--model", model, "--device")
    if command == "evaluate":
        (tmp_path / "list.txt").write_text(f"{folder / 'a.mp4'} run\n")
        asked = (command, tmp_path / "list.txt", *asked[2:])
    for name, words in (("gpu", "auto, cpu, cuda, cuda:NUMBER or mps"), ("cuda:99", "which has")):
        done = run(*asked, name)
        assert (done.exit_code, words in done.stderr) == (2, True), done.output
        assert len(done.stderr.splitlines()) == 1
    if command != "serve":
        assert run(*asked, "cpu").exit_code == 0


def test_sizes_of_embedded_clips(folder: Path, model: Path, tmp_path: Path) -> None:
    """The network is built for them, as ``train`` does: its pools have other sizes."""
    out = tmp_path / "e.safetensors"
    asked = ("embed", folder, "-m", model, "--clips", 1, "-o", out)
    done = run(*asked, "--frames", 6, "--crop", 64)
    assert done.exit_code == 0, done.output
    from pytorchvideo.inference.embeddings import Embeddings

    found = Embeddings.load(out)
    assert (found.made_by["recipe"]["num_frames"], found.made_by["recipe"]["crop_size"]) == (6, 64)
    assert torch.isfinite(found.vectors).all() and len(found.vectors) == 3
    (tmp_path / "again").mkdir()
    same = run("search", out, folder / "a.mp4", "--json")
    assert same.exit_code == 0, same.output
    assert run(*asked, "--crop", 0).exit_code == 2


def test_names_that_tables_must_escape(
    folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A formula for a spreadsheet, and bytes that are no UTF-8."""
    monkeypatch.chdir(tmp_path)
    strange = ["=cmd.mp4", "b\udcff.mp4"]
    try:
        for name in strange:
            Path(name).symlink_to(folder / "a.mp4")
    except (OSError, UnicodeError):
        pytest.skip("this disk takes no such names")
    for ending in ("CSV", "json", "parquet"):  # of capitals, too
        done = run(
            "predict", *strange, "-m", model, "--clips", 1, "--top", 1, "--out", f"r.{ending}"
        )
        assert done.exit_code == 0, (done.output, done.exception)
    rows = Path("r.CSV").read_bytes().splitlines()
    assert [row.split(b",")[0] for row in rows[1:]] == [b"'=cmd.mp4", b"b\xff.mp4"]
    assert [row["video"] for row in json.loads(Path("r.json").read_text())] == strange


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--clips", 10**8), "Expected `--clips` to be 1 to 100,000, but got 100000000."),
        (("--clips", "99999999x3"), "Expected `--clips` to be 1 to 100,000, but got 99999999."),
        (("--end", 0), "Expected `end_sec` to be > 0 s, where the part of "),
        (("--out", "r.xlsx"), "a name that ends in .csv, .json or .parquet, but got 'r.xlsx'."),
        (("--zero-shot", ","), "Expected `--zero-shot` to be names of classes"),
        (("-m", "hf:"), "a name or a folder after hf:"),
    ],
)
def test_what_predict_refuses(
    options: tuple[object, ...], sentence: str, folder: Path, model: Path
) -> None:
    named = () if options[0] in ("-m", "--zero-shot") else ("-m", model)
    done = run("predict", folder / "a.mp4", *named, *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr


def test_warnings_are_sentences(
    folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not lines of code: a hook of Python's formats what its own printer of warnings writes."""
    (tmp_path / "a.mp4").symlink_to(folder / "a.mp4")
    (tmp_path / "notes.doc").touch()
    seen: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        monkeypatch.setattr(
            warnings,
            "showwarning",
            lambda *about, **_: seen.append(warnings.formatwarning(*about[:4])),
        )
        assert run("predict", tmp_path, "-m", model, "--clips", 1).exit_code == 0
    assert seen == [f"{tmp_path}: 1 file is left out, since a video ends otherwise: 1 x .doc.\n"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--frames", 10**8), "a clip has at most 268,435,456 numbers"),
        (("--crop", 10**8), "a clip has at most 268,435,456 numbers"),
        (("--clip-duration", "nan"), "Expected `--clip-duration` to be > 0 seconds, but got nan."),
    ],
)
def test_what_embed_refuses(
    options: tuple[object, ...], sentence: str, folder: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "e.safetensors"
    done = run("embed", folder / "a.mp4", "-m", model, "-o", out, *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr
