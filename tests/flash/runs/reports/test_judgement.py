# SPDX-License-Identifier: Apache-2.0
"""Every finding from results that show it, none from results that do not, and commands that the app takes."""

import dataclasses
import math
import shlex
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
import typer

from flash.cli.main import app
from flash.runs.config import RunConfig
from flash.runs.grouping import grouping
from flash.runs.reports.commands import corrected_command, option_of, train_command
from flash.runs.reports.findings import Evidence, Finding
from flash.runs.reports.judgement import NAMED_SOURCE, judge
from flash.runs.reports.leaks import Leaks
from pytorchvideo.data.near_duplicates import name_of_source
from pytorchvideo.evaluation.scores import ClipResult

LABELS = ("run", "walk", "jump")
CONFIG = RunConfig("/data/my clips", epochs=4).completed()
FALLING = [{"epoch": float(i), "train_loss": 1 / i, "val_loss": 1 / i} for i in range(1, 5)]
RISING = [{"epoch": float(i), "train_loss": 1 / i, "val_loss": 0.5 * i} for i in range(1, 5)]


def said(label: str, predicted: str, times: int) -> list[ClipResult]:
    scores = tuple(0.8 if name == predicted else 0.1 for name in LABELS)
    return [ClipResult(f"{label}{i}.mp4", label, scores, LABELS) for i in range(times)]


def right(times: int) -> list[ClipResult]:
    return [result for label in LABELS for result in said(label, label, times)]


def found(results: Sequence[ClipResult], **more: object) -> dict[str, Finding]:
    values = {"config": CONFIG, "out": Path("runs/my run"), **more}
    return {one.kind: one for one in judge(Evidence(LABELS, results, **values))}  # type: ignore[arg-type]


def parsed(line: str) -> click.Context:
    """The command as the app reads it; an error if it would not take it."""
    program, name, *arguments = shlex.split(line)
    assert program == "pytorchvideo"
    one = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    context: click.Context = one.make_context(name, list(arguments))
    return context


def test_nothing_to_say_of_a_good_run() -> None:
    findings = found(right(200), leaks=Leaks(600, 900, (600, 900)))
    assert set(findings) == {"next"}
    assert "Nothing that was looked at" in findings["next"].text


def test_one_class_for_all() -> None:
    findings = found([r for label in LABELS for r in said(label, "run", 40)])
    one = findings["one-class"]
    assert one.level == "problem"
    assert "All 120 held-out videos were predicted as 'run', which is right for 40" in one.text
    assert "chance" not in findings
    assert "confused" not in findings
    assert one.command is not None
    assert parsed(one.command).params["pretrained"] is True
    started = dataclasses.replace(CONFIG, pretrained=True)
    again = found([r for label in LABELS for r in said(label, "run", 40)], config=started)
    assert again["one-class"].command is not None
    assert parsed(again["one-class"].command).params["epochs"] == 12


def test_no_better_than_the_commonest_class() -> None:
    results = [*said("run", "run", 5), *said("run", "walk", 5), *said("walk", "walk", 4)]
    one = found(results)["chance"]
    assert one.level == "problem"
    assert "'run', which is right for 71.4%" in one.text
    assert "chance" not in found(right(10))


def test_overfitting_names_the_epoch_and_the_losses() -> None:
    one = found(right(200), history=RISING)["overfitting"]
    assert (
        "from epoch 1: since then the loss on training videos fell from 1.000 to 0.250" in one.text
    )
    assert "rose from 0.500 to 2.000" in one.text
    assert one.command is not None
    asked = parsed(one.command).params
    assert (asked["keep"].value, asked["early_stopping"]) == ("best", 3)
    assert "overfitting" not in found(right(200), history=FALLING)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"keep": "best"}, {"mix": True, "label_smoothing": 0.1}),
        ({"keep": "best", "mix": True, "label_smoothing": 0.2}, None),
        ({"strategy": "probe", "pretrained": True, "keep": "best"}, None),
        ({"strategy": "probe", "pretrained": True}, {"early_stopping": None}),
    ],
)
def test_overfitting_that_was_reckoned_with(
    changes: dict[str, object], wanted: dict[str, object] | None
) -> None:
    config = dataclasses.replace(CONFIG, **changes)  # type: ignore[arg-type]
    one = found(right(200), history=RISING, config=config)["overfitting"]
    if wanted is None:
        assert one.command is None
    else:
        assert one.command is not None
        asked = parsed(one.command).params
        assert {name: asked[name] for name in wanted} == wanted


def test_run_that_is_not_finished_goes_on() -> None:
    one = found(right(200), history=FALLING)["unfinished"]
    assert one.command is not None
    context = parsed(one.command)
    assert context.params["resume"] is True
    assert (context.params["epochs"], context.params["out"]) == (8, Path("runs/my run"))
    probe = dataclasses.replace(CONFIG, strategy="probe", pretrained=True)
    assert "unfinished" not in found(right(200), history=FALLING, config=probe)


def test_few_held_out_videos() -> None:
    one = found([*right(3), *said("run", "walk", 3)])["small"]
    # 9 of 12, by Wilson
    assert "75.0% (95 % interval 46.8% to 91.1%)" in one.text
    assert "2 of 3 classes have fewer than 5" in one.text
    assert one.figures["rare"] == ["walk", "jump"]
    given = found([*right(3), *said("run", "walk", 3)], split_given=True)["small"]
    assert given.command is None
    assert f"10 points wide: {one.figures['wanted'] - 12} more than there are." in given.advice
    assert "small" not in found(right(200))


def test_the_command_holds_out_what_the_advice_names() -> None:
    twelve = [*right(3), *said("run", "walk", 3)]
    wanted = found(twelve)["small"].figures["wanted"]  # with 10 points: some 280
    assert wilson_width(0.75, wanted) <= 0.1 < wilson_width(0.75, wanted - 4)
    many = found(twelve, trained_on={"run": 700, "walk": 300})["small"]
    assert many.command is not None
    split = parsed(many.command).params["val_split"]
    assert wanted <= split * 1012 < wanted + 1012 / 100
    assert f"`--val-split {split:g}` holds out so many." in many.advice
    # of 48 videos it cannot: how many are lacking, and what can be had
    few = found(twelve, trained_on={"run": 26, "walk": 10})["small"]
    assert few.command is not None
    assert parsed(few.command).params["val_split"] == 0.4
    lacking = -(-wanted * 5 // 2) - 48
    assert f"some {lacking} videos more would have to be collected (at 40 % held out)" in few.advice
    assert "`--val-split 0.4` holds out about 19: an interval of 37 points." in few.advice
    most = dataclasses.replace(CONFIG, val_split=0.4)
    assert found(twelve, trained_on={"run": 26, "walk": 10}, config=most)["small"].command is None


def wilson_width(share: float, total: int) -> float:
    """Of the 95 % interval, by the formula of the paper."""
    z, p = 1.959964, round(share * total) / total
    return (
        2 * z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    )


def test_uneven_classes() -> None:
    counts = {"run": 90, "walk": 30, "jump": 9}
    one = found([*right(100), *said("jump", "run", 1)], trained_on=counts)["imbalance"]
    assert "90 training videos of 'run', 9 of 'jump'" in one.text
    assert "100 of 101 held-out videos of 'jump' are right" in one.text
    assert one.command is not None
    assert parsed(one.command).params["balanced"] is True
    assert "imbalance" not in found(right(100), trained_on={"run": 9, "walk": 9, "jump": 4})
    for changes, command in (
        ({"balanced": True}, None),
        ({"strategy": "probe", "pretrained": True}, "--class-weights"),
    ):
        config = dataclasses.replace(CONFIG, **changes)  # type: ignore[arg-type]
        typed = found(right(100), trained_on=counts, config=config)["imbalance"].command
        assert (typed is None) if command is None else (command in str(typed))


def test_classes_that_are_taken_for_others() -> None:
    one = found([*right(100), *said("jump", "walk", 40), *said("run", "walk", 2)])["confused"]
    assert "40 of 140 'jump' as 'walk'" in one.text
    assert [pair["label"] for pair in one.figures["pairs"]] == ["jump"]
    assert one.command is not None
    assert parsed(one.command).params["run"] == Path("runs/my run")


def test_clips_of_one_recording_on_both_sides() -> None:
    twins = [("/v/a.mp4", "/t/b.mp4", 0.02), ("/v/c.mp4", "/t/d.mp4", 0.1)]
    leaks = Leaks(600, 900, (600, 400), twins)
    one = found(right(200), leaks=leaks)["leak"]
    assert one.level == "problem"
    assert "2 of 600 held-out videos have frames like those of a training video" in one.text
    assert "600 of 600 held-out and 400 of 900 training videos were compared" in one.text
    assert one.command is not None
    assert parsed(one.command).params["groups"] == Path("runs/my run/recordings.csv")
    assert parsed(one.command).params["data"] == "/data/my clips"
    given = found(right(200), leaks=leaks, split_given=True)["leak"]
    assert given.command is not None
    assert parsed(given.command).params["data"] == "runs/my run/videos.csv"
    named = dataclasses.replace(leaks, names=["cam1_1.mp4"], sources=["cam1"])
    one = found(right(200), leaks=named)["leak"]
    assert "named after a source that was trained on, too ('cam1')" in one.text
    assert one.command is not None
    assert parsed(one.command).params["group_by"] == NAMED_SOURCE


def test_expression_of_the_command_names_the_sources() -> None:
    source = grouping(Path("/data"), NAMED_SOURCE, None)
    assert source is not None
    for name in ("v_Archery_g01_c02.avi", "source0_3.mp4", "cam2 clip-14.mkv", "goal.mp4"):
        assert source(f"/data/x/{name}") == (name_of_source(name) or "goal")


def test_videos_of_one_place_do_not_tell() -> None:
    leaks = Leaks(600, 900, (600, 900), [("a", "b", 0.0)] * 500, alike=0.9)
    findings = found(right(200), leaks=leaks)
    assert "leak" not in findings
    assert "90% of the pairs" in findings["one-place"].text


def test_skipped_videos() -> None:
    one = found(right(200), skipped=3)["skipped"]
    assert one.command is not None
    assert parsed(one.command).params["data"] == "/data/my clips"


def test_worst_first_and_what_to_do_next_last() -> None:
    findings = judge(
        Evidence(LABELS, said("run", "walk", 3) + said("walk", "run", 3), RISING, config=CONFIG)
    )
    levels = [finding.level for finding in findings]
    assert levels == sorted(levels, key=["problem", "caution", "fine"].index)
    assert findings[-1].kind == "next"
    assert findings[-1].command == findings[0].command


def test_evaluation_has_no_commands() -> None:
    findings = judge(Evidence(LABELS, [*right(2), *said("run", "walk", 9)], skipped=1))
    assert [finding.command for finding in findings] == [None] * len(findings)


# -- commands -------------------------------------------------------------------------------------


def test_every_field_has_its_option() -> None:
    command = typer.main.get_command(app).commands["train"]  # type: ignore[attr-defined]
    options = {name for one in command.params for name in [*one.opts, *one.secondary_opts]}
    fields = {field.name for field in dataclasses.fields(RunConfig)} - {
        "data",
        "lr_find",
        "training",
    }
    assert {option_of(name) for name in fields} <= options


def test_command_makes_the_run_again(tmp_path: Path) -> None:
    (tmp_path / "w.pth").touch()
    config = RunConfig(
        "clips",
        model="x3d_s",
        weights=str(tmp_path / "w.pth"),
        strategy="freeze",
        epochs=7,
        lr=1e-5,
        flip=False,
        views=2,
        seed=3,
        group_by=r"(\w+)_\d",
    ).completed()
    assert again(train_command(config, Path("again"))) == config
    other = dataclasses.replace(config, strategy="no_freeze", pretrained=False, weights=None)
    other = dataclasses.replace(other, mix=True, precise_bn=3, early_stopping=4, keep="best")
    assert again(train_command(other, Path("again"))) == other


def test_corrected_list_is_trained_on_as_before() -> None:
    config = dataclasses.replace(CONFIG, seed=3, groups="/data/groups.csv", val=None)
    asked = parsed(corrected_command(config, Path("runs/first"))).params
    assert (asked["data"], asked["groups"], asked["seed"]) == ("corrected.csv", None, 3)
    assert asked["out"] == Path("runs/first-corrected")


def test_rate_that_was_found_is_given() -> None:
    config = dataclasses.replace(CONFIG, lr_find=True, lr=0.01)
    assert parsed(train_command(config, Path("x"))).params["lr"] == 0.01
    config = dataclasses.replace(CONFIG, lr_find=True, lr=None)
    assert parsed(train_command(config, Path("x"))).params["lr"] == "find"


def again(line: str) -> RunConfig:
    """The run that a command makes."""
    fields = {field.name for field in dataclasses.fields(RunConfig)}
    given = {name: _plain(value) for name, value in parsed(line).params.items() if name in fields}
    given["lr"] = None if given["lr"] is None else float(str(given["lr"]))
    given["pretrained"] = bool(given["pretrained"])
    return RunConfig(**given).completed()  # type: ignore[arg-type]


def _plain(value: object) -> object:
    value = getattr(value, "value", value)
    return str(value) if isinstance(value, Path) else value


@pytest.mark.parametrize(
    "changes", [{"pretrained": True}, {"model": "slow_r50", "pretrained": True}]
)
def test_another_start_has_its_own_defaults(changes: dict[str, object]) -> None:
    context = parsed(train_command(CONFIG, Path("x"), **changes))
    assert context.params["pretrained"] is True
    assert [context.params[name] for name in ("strategy", "epochs", "lr")] == [None] * 3
