# SPDX-License-Identifier: Apache-2.0
"""Options of a run: what is kept, when it ends, on what it computes, how classes are weighed, where it logs."""

import csv
import json
import math
import subprocess
import sys
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from flash.cli.main import app
from flash.runs import fit, loggers, rates
from flash.runs import train as runs
from flash.runs.config import RunConfig
from flash.runs.folder import RunFolder
from flash.runs.sources import Sources

TINY: dict[str, Any] = {
    "frames": 4,
    "crop": 32,
    "batch_size": 4,
    "clip_duration": 0.8,
    "clips": 1,
    "seed": 1,
}


def screen() -> Console:
    return Console(file=StringIO(), width=200)


def model_state(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "model.pt", weights_only=True)["model_state"]
    return state


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def stop_after(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends training when the checkpoint of an epoch has been written."""

    def ends(self: fit.RunRecorder, trainer: Any, pl_module: Any) -> None:
        record(self, trainer, pl_module)
        if len(self.history) == epoch:
            raise OSError("the machine is gone")

    record = fit.RunRecorder.on_train_epoch_end
    monkeypatch.setattr(fit.RunRecorder, "on_train_epoch_end", ends)


@pytest.mark.slow
def test_a_run_with_all_options_goes_on_to_the_bit(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {
        "keep": "best",
        "balanced": True,
        "accumulate": 2,
        "logger": "csv",
        "ema": 0.5,
    }
    config = RunConfig(str(folder), epochs=3, precise_bn=2, **TINY, **options)
    whole = runs.train(config, tmp_path / "whole", console=screen())
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        with pytest.raises(OSError, match="the machine is gone"):
            runs.train(config, tmp_path / "cut", console=screen())
    console = screen()
    again = runs.train(config, tmp_path / "cut", resume=True, console=console)
    assert "epoch 2/3" not in console.file.getvalue()  # type: ignore[attr-defined]
    for row, same in zip(whole.history, again.history, strict=True):
        of_time = ("clips_per_second", "waiting")
        assert {k: v for k, v in row.items() if k not in of_time}.items() <= same.items()
    assert_equal(model_state(tmp_path / "whole"), model_state(tmp_path / "cut"))
    # two steps of two batches, and Lightning's own log of them
    assert torch.load(RunFolder(tmp_path / "cut").checkpoint, weights_only=True)["global_step"] == 3
    logs = [tmp_path / run / "logs/version_0/metrics.csv" for run in ("whole", "cut")]
    rows, same_rows = (list(csv.DictReader(log.read_text().splitlines())) for log in logs)
    assert {row["epoch"] for row in rows} == {"0", "1", "2"}
    # one curve; the kill came between a checkpoint and Lightning's row on that epoch
    assert [row for row in rows if row in same_rows] == same_rows
    assert len(same_rows) == len(rows) - 1
    assert [path.name for path in (tmp_path / "cut/logs").iterdir()] == ["version_0"]
    took = json.loads((tmp_path / "cut/report.json").read_text())["run"]
    assert took["duration"].endswith(" in 2 parts")
    assert took["as a command"].startswith("pytorchvideo train ")
    assert again.kept_epoch == fit.best_epoch(list(again.history))
    best = torch.load(RunFolder(tmp_path / "cut").best_checkpoint, weights_only=True)["state_dict"]
    saved = model_state(tmp_path / "cut")
    assert_equal(
        {f"backbone.{k}": v for k, v in saved.items()},
        {k: best[k] for k in best if k[:9] == "backbone."},
    )


def test_early_stopping_ends_and_stays_ended(folder: Path, tmp_path: Path) -> None:
    config = RunConfig(str(folder), epochs=5, early_stopping=1, lr=1e-9, **TINY)
    done = runs.train(config, tmp_path, console=screen())
    assert len(done.history) < 5
    before = model_state(tmp_path)
    (tmp_path / "model.pt").unlink()  # as if it had been killed in its last moments
    again = runs.train(config, tmp_path, resume=True, console=screen())
    assert again.history == done.history
    assert_equal(before, model_state(tmp_path))


def test_best_epoch() -> None:
    rows = [(0.5, 0.9), (0.75, 0.8), (0.75, 0.7), (0.75, 0.7), (0.25, 0.1)]
    history = [
        {"epoch": n, "val_accuracy": right, "val_loss": loss}
        for n, (right, loss) in enumerate(rows, 1)
    ]
    assert fit.best_epoch(history) == 3
    assert fit.best_epoch([{"epoch": 1}]) is None


@pytest.mark.slow
def test_a_rate_is_found_and_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "_FEWEST", 15)
    console = screen()
    config = RunConfig(str(folder), epochs=1, lr_find=True, **TINY)
    runs.train(config, tmp_path, console=console)
    found = RunFolder(tmp_path).read_config()
    assert found.lr_find and found.lr is not None and 1e-6 < found.lr < 1
    assert f"learning rate {found.lr:.2g}" in console.file.getvalue()  # type: ignore[attr-defined]
    assert (tmp_path / "lr_find.png").read_bytes()[:4] == b"\x89PNG"
    assert not list((tmp_path / "checkpoints").glob(".lr_find*"))
    checkpoint = torch.load(RunFolder(tmp_path).checkpoint, weights_only=True)
    assert checkpoint["lr_schedulers"][0]["base_lrs"] == [found.lr]


def sources(counts: dict[str, int]) -> Sources:
    train = [(f"{label}{n}.mp4", label) for label, count in counts.items() for n in range(count)]
    return Sources(list(counts), train, train)


def test_classes_are_weighed_and_drawn_alike() -> None:
    few = sources({"a": 90, "b": 10})
    weights = fit.class_weights(few)
    assert weights.tolist() == pytest.approx([100 / 180, 100 / 20])
    sampler = fit._balanced(few)()
    drawn = Counter(few.train[index][1] for index in sampler)
    assert sum(drawn.values()) == 100
    assert abs(drawn["a"] - 50) < 4 * math.sqrt(25)
    config = RunConfig("data", class_weights=True, frames=4, crop=32, lr=0.1)
    classifier = runs.build_classifier(config.completed(), few)
    logits, targets = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1])
    losses = -logits.log_softmax(1)[[0, 1], targets]
    expected = (losses * weights[targets]).sum() / weights[targets].sum()
    assert classifier._losses["cross_entropy"](logits, targets).item() == pytest.approx(
        expected.item()
    )


def test_old_configurations_are_read(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"data": "clips", "pretrained": false, "ema": null, "workers": 2}')
    config = RunConfig.from_file(file)
    # a run that was begun before there was precise BN goes on as it began
    assert (config.keep, config.pretrained, config.precise_bn) == ("last", False, 0)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"keep": "worst"}, "`keep` to be one of best, last"),
        ({"precision": "8"}, "one of 32, 16-mixed, bf16-mixed"),
        ({"precision": "16-mixed"}, "32 or bf16-mixed without a GPU"),
        ({"logger": "neptune"}, "one of csv, tensorboard, wandb"),
        ({"early_stopping": 0}, "`early-stopping` to be >= 1 epochs"),
        ({"accumulate": 0}, "`accumulate` to be >= 1"),
        ({"precise_bn": -1}, "`precise-bn` to be >= 0"),
        ({"device": "gpu"}, "auto, cpu, cuda, cuda:NUMBER or mps"),
        ({"device": "cuda:7"}, "`device` to be one of this machine, which has no NVIDIA GPU"),
        ({"balanced": True, "class_weights": True}, "either --class-weights or --balanced"),
        ({"lr_find": True, "layer_decay": 0.5}, "--lr find without --layer-decay"),
        (
            {"strategy": "probe", "pretrained": True, "logger": "csv", "balanced": True},
            "--logger, --balanced is of no use",
        ),
    ],
)
def test_unfit_options(
    changes: dict[str, Any], match: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match=match):
        RunConfig("data", **changes).completed()


def test_what_features_have_no_use_for_trains_the_trunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert RunConfig("data", pretrained=True).completed().strategy == "probe"
    assert RunConfig("data", pretrained=True, mix=True).completed().strategy == "no_freeze"


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_loggers_that_are_not_installed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loggers, "find_spec", lambda package: None)
    with pytest.raises(ValueError, match=f"--logger {name} needs the package {name}, which is not"):
        loggers.check_logger(RunConfig("data", logger=name))


# -- the command --------------------------------------------------------------------------------------------------


def test_command_takes_them_all(folder: Path, tmp_path: Path) -> None:
    videos = sorted(folder.rglob("*.mp4"))
    lists = {}
    for name, chosen in (("train", videos[::2]), ("val", videos[1::2])):
        lists[name] = tmp_path / f"{name}.csv"
        rows = [f"{video},{video.parent.name}" for video in chosen]
        lists[name].write_text("\n".join(["path,label", *rows]))
    run = tmp_path / "run"
    small = ["--frames", "4", "--crop", "32", "--clip-duration", "0.8", "--clips", "1"]
    asked = ["--val", str(lists["val"]), "--epochs", "1", "--lr", "0.001", "--keep", "best"]
    asked += ["--early-stopping", "2", "--device", "cpu", "--precision", "bf16-mixed"]
    asked += ["--class-weights", "--no-pretrained", "--accumulate", "2", "--precise-bn", "4"]
    command = ["train", str(lists["train"]), "--out", str(run), *small, *asked]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    first, second, third, *_ = done.stderr.splitlines()
    assert first == f"videos of the list {lists['train']}: x3d_xs, to {run}"
    assert "x3d_xs on the CPU, all of it, from random weights: 6 videos of 2 classes" in second
    assert third.startswith(
        "6 videos to train on, 6 held out; clips of 4 frames of 32 pixels; 1 step x 1 epoch"
    )
    assert "model.pt is of epoch 1 of 1, the best on the held-out videos" in done.stderr
    config = json.loads((run / "config.json").read_text())
    wanted = {"val": str(lists["val"]), "lr": 0.001, "lr_find": False, "keep": "best"}
    wanted |= {"early_stopping": 2, "device": "cpu", "precision": "bf16-mixed", "precise_bn": 4}
    wanted |= {"class_weights": True, "pretrained": False, "accumulate": 2}
    assert config.items() >= wanted.items()
    refused = CliRunner().invoke(app, ["train", "--resume", str(run), "--keep", "last"])
    assert refused.exit_code == 2
    assert "was started with keep=best, but got last" in refused.stderr
    wrong = CliRunner().invoke(app, [*command, "--lr", "fast"])
    assert wrong.exit_code == 2
    assert "Expected `--lr` to be a number or find" in wrong.stderr


def test_a_model_of_hugging_face(folder: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    size = {"image_size": 16, "patch_size": 8, "num_frames": 4, "tubelet_size": 2}
    size |= {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    size |= {"intermediate_size": 32, "decoder_num_hidden_layers": 1, "decoder_hidden_size": 16}
    saved = tmp_path / "videomae"
    config = transformers.VideoMAEConfig(**size)
    transformers.VideoMAEForVideoClassification(config).save_pretrained(saved)
    tiny: dict[str, Any] = {"batch_size": 4, "clips": 1, "clip_duration": 0.8}
    asked = RunConfig(str(folder), model=f"hf:{saved}", pretrained=None, epochs=2, **tiny)
    done = runs.train(asked, tmp_path / "run", console=screen())
    found = RunFolder(tmp_path / "run").read_config()
    assert (found.pretrained, found.model, found.frames, found.crop) == (True, f"hf:{saved}", 4, 16)
    assert len(done.history) == 2 and len(done.results) == 4


def test_counting_files_needs_no_torch(tmp_path: Path) -> None:
    """What ``train`` prints first, within a second."""
    for name in (
        "train/run/1.mp4",
        "train/run/2.mp4",
        "train/jump/3.mp4",
        "val/run/4.mp4",
        "x/5.mp4",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    code = (
        "import sys; from flash.runs.outline import outline; print(outline(sys.argv[1])); "
        "assert 'torch' not in sys.modules"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert said.stdout == f"4 files in 2 classes, {tmp_path}\n"
