# SPDX-License-Identifier: Apache-2.0
"""Parts of a run: their times add up, whatever ended them, and the report states the commands that were typed."""

import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from flash.cli.main import app
from flash.runs import fit, loggers
from flash.runs.config import RunConfig
from flash.runs.folder import RunFolder
from flash.runs.parts import Part, Parts, read_parts
from flash.runs.reports.facts import run_facts


def ticking(*seconds: float) -> Callable[[], float]:
    return iter(seconds).__next__


def test_a_part_that_was_killed_counts_up_to_what_it_kept(tmp_path: Path) -> None:
    file = tmp_path / "parts.json"
    first = Parts(file, "train clips", is_new=True, clock=ticking(100.0, 100.5, 130.0))
    first.keep()
    first.keep()  # an epoch later; then it is killed
    second = Parts(file, "train --resume run", is_new=False, clock=ticking(3.0, 3.0, 8.0, 8.0))
    with pytest.raises(OSError, match="disk"), second.kept():
        raise OSError("the disk is gone")
    assert [part.seconds for part in read_parts(file)] == [30.0, 5.0]
    assert [part.command for part in read_parts(file)] == ["train clips", "train --resume run"]
    old, new = (Parts(tmp_path / "none.json", is_new=is_new).all() for is_new in (False, True))
    assert (len(old), old[0], len(new)) == (2, Part(None, 0.0), 1)


def test_damaged_records(tmp_path: Path) -> None:
    file = tmp_path / "parts.json"
    for content in ('[{"began": 3, "seconds": 1}]', '[{"start": 3}]', "[3]", "3"):
        file.write_text(content)
        with pytest.raises(ValueError, match=r"parts\.json does not hold the parts of a run"):
            read_parts(file)


def test_facts_of_a_report() -> None:
    now = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
    config = RunConfig("clips").completed()
    parts = [Part("", 50.0, "pytorchvideo train clips"), *[Part("", 5.0, "train --resume run")] * 2]
    facts = run_facts(config, Path("run"), parts, now)
    assert facts == {
        "date": "2026-11-30 12:00 UTC",
        "duration": "1 min 0 s in 3 parts",
        "command": "pytorchvideo train clips",
        "command of parts 2 to 3": "train --resume run",
    }
    old = [Part(None, 0.0), Part("", 5.0, "train --resume run")]
    facts = run_facts(config, Path("run"), old, now)
    assert facts["duration"] == "5.0 s in 2 parts, of which the first is not recorded"
    assert facts["as a command"].startswith("pytorchvideo train ") and "command" not in facts


def train(*words: object) -> Result:
    return CliRunner().invoke(app, ["train", *map(str, words)])


def test_a_resumed_command(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One curve, the sum of the times, the commands as they were typed."""
    run = tmp_path / "my run"
    small = ["--frames", 4, "--crop", 32, "--clip-duration", 0.8, "--batch-size", 4, "--clips", 1]
    asked = [folder, "--out", run, "--epochs", 1, "--no-pretrained", "--logger", "csv", *small]

    def killed(*_: object) -> None:
        raise OSError("the machine is gone")

    with monkeypatch.context() as patch:
        patch.setattr(fit.PreciseBN, "on_train_end", killed)
        assert train(*asked).exit_code != 0
    log = run / "logs/version_0/metrics.csv"
    before = log.read_text().splitlines()
    began = read_parts(run / "parts.json")[0]
    assert began.seconds > 0
    done = train("--resume", run, "--epochs", 2)
    assert done.exit_code == 0, done.output
    after = log.read_text().splitlines()
    assert after[: len(before)] == before
    assert [path.name for path in (run / "logs").iterdir()] == ["version_0"]
    epoch = before[0].split(",").index("epoch")
    assert [row.split(",")[epoch] for row in after[1:]] == sorted(
        row.split(",")[epoch] for row in after[1:]
    )
    report = json.loads((run / "report.json").read_text())
    problems = [one["text"] for one in report["findings"] if one["level"] == "problem"]
    assert problems  # after two epochs
    assert all(f"problem: {text}" in done.stdout for text in problems)
    said = report["run"]
    assert said["command"].startswith(f"pytorchvideo train {folder} --out '{run}' --epochs 1")
    assert said["command of part 2"] == f"pytorchvideo train --resume '{run}' --epochs 2"
    parts = read_parts(run / "parts.json")
    assert len(parts) == 2 and parts[0] == began
    assert said["duration"].endswith("s in 2 parts")


def test_what_is_no_run_is_not_data(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for named in (folder, "runs/typo"):
        refused = train("--resume", named)
        assert refused.exit_code == 2
        said = " ".join(refused.stderr.split())
        assert said.startswith(f"{named} holds no run: there is no config.json in it. Expected")
    assert not list(tmp_path.iterdir())


def test_loggers_know_what_has_been_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, done = RunFolder(tmp_path), loggers.Done(epochs=2, steps=6)
    for name in ("TensorBoardLogger", "WandbLogger"):
        monkeypatch.setattr(loggers, name, lambda *_, **options: options)
    board = RunConfig("data", logger="tensorboard")
    assert loggers.make_logger(board, folder) == {"name": "logs", "version": 0}
    assert loggers.make_logger(board, folder, done) == {
        "name": "logs",
        "version": 0,
        "purge_step": 6,
    }
    Parts(folder.parts_file, is_new=True).keep()
    marks = set()
    for _ in range(2):
        made: Any = loggers.make_logger(RunConfig("data", logger="wandb"), folder, done)
        marks.add(made["id"])
        Parts(folder.parts_file, is_new=False).keep()
    assert len(marks) == 1 and None not in marks
