# SPDX-License-Identifier: Apache-2.0
"""What commands refuse is said in their own words, and what was typed is known."""

from pathlib import Path

import click
import pytest
import typer
from typer.testing import CliRunner

from flash.cli.command import as_typed, in_words_of
from flash.cli.main import app

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("command", "name", "option"),
    [
        ("train", "val_split", "--val-split"),
        ("train", "batch-size", "--batch-size"),
        ("train", "num_frames", "--frames"),
        ("timeline", "every_sec", "--every"),
        ("timeline", "min_duration_sec", "--min-duration"),
        ("predict", "top_k", "--top"),
        ("serve", "max_bytes", "--max-size"),
        ("embed", "file", "--out"),
        # of no option: an argument, another command's, none's
        ("train", "data", "data"),
        ("predict", "val_split", "val_split"),
        ("check", "decoder", "decoder"),
    ],
)
def test_arguments_are_named_as_options(command: str, name: str, option: str) -> None:
    said = in_words_of(COMMANDS[command], f"Expected `{name}` to be `path label`.")
    assert said == f"Expected `{option}` to be `path label`."


def test_command_as_it_was_typed() -> None:
    words = ["my clips", "--out", "run 1", "-w", "a.pth"]
    made: click.Context = COMMANDS["train"].make_context("train", list(words))
    assert as_typed(made) == "pytorchvideo train 'my clips' --out 'run 1' -w a.pth"


def test_lists_of_missing_videos_name_no_argument_of_python(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    for rows in (
        "path,label\na.mp4,run\nb.mp4,jump\n",
        "label,youtube_id,time_start,time_end,split\nrun,-abc_DEF123,12,22,train\n",
    ):
        file.write_text(rows)
        refused = CliRunner().invoke(app, ["train", str(file), "--out", str(tmp_path / "run")])
        assert refused.exit_code == 2
        assert "`" not in refused.stderr and "_prefix" not in refused.stderr
