# SPDX-License-Identifier: Apache-2.0
"""The command line, ``pytorchvideo``.

Exit status: 0 for success; 1 when ``check`` found bad files or ``doctor`` something required that does
not work; 2 for input that cannot be used, with one sentence on standard error; 130 and 143 after Ctrl+C and
SIGTERM, see :mod:`flash._interrupts`. Answers go to standard output, progress and remarks to standard error.

Commands import what they need when they run, so that ``--help`` does not wait for torch.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from flash import _kept, cli_embeddings, cli_export, cli_stream, cli_timeline, cli_train
from flash import _options as opt
from flash._errors import BAD_INPUT, Commands, UserError, named, say, user_errors
from flash._interrupts import going_on, run
from flash._printing import (
    answer_screen,
    print_answer,
    print_results,
    progress_screen,
    visible,
    zoo_table,
)
from pytorchvideo._checks import expected

if TYPE_CHECKING:
    pass

# Before torch loads OpenMP: its threads wait for each other by spinning, which on cores that other programs use, too,
# makes a step many times slower, and which gains nothing on idle ones.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

app = typer.Typer(
    name="pytorchvideo",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Train, evaluate and use video classifiers.",
)


def main() -> None:
    """Runs the command, as :func:`flash.__main__.main` does, which Ctrl+C cannot come before."""
    run(app)


@app.callback()
def _options() -> None:
    """Train, evaluate and use video classifiers."""


@app.command()
def demo(out: opt.DemoOut = Path("demo"), seed: opt.Seed = 0) -> None:
    """Write a small labelled set of videos, train on it, evaluate, predict, report."""
    from flash.demo import run_demo

    answer = answer_screen()
    going_on(lambda: f"the same command starts anew what is in {out}.")
    result = run_demo(out, seed=seed, console=progress_screen())
    print_results(answer, result.summary.results, result.summary.labels)
    answer.print(f"unseen clip {result.files.unseen} ({result.files.unseen_label}):")
    for label, score in result.unseen:
        answer.print(f"  {label:<10} {score:.3f}")
    answer.print(f"report: {result.summary.folder.report}", soft_wrap=True)
    answer.print(
        f"{result.summary.accuracy:.1%} of {len(result.summary.results)} held-out videos are right, "
        f"{result.seconds:.0f} s in all."
    )


cli_train.add_to(app)


@app.command()
def evaluate(
    data: opt.Data,
    run: opt.Run = None,
    model: opt.Model = None,
    weights: opt.Weights = None,
    labels: opt.Labels = None,
    artefact: opt.Artefact = None,
    trust: opt.Trust = False,
    clips: opt.Clips = 4,
    views: opt.Views = 1,
    top_k: opt.TopK = 5,
    out: opt.ReportOut = None,
    as_json: opt.AsJson = False,
) -> None:
    """Say how well a trained model does on labelled videos."""
    from flash.evaluation import evaluate_data

    found = evaluate_data(
        data,
        run=run,
        model=model,
        weights=weights,
        labels=labels,
        artefact=artefact,
        trust=trust,
        clips=clips,
        views=views,
        out=out,
        console=progress_screen(),
    )
    for path, reason in found.skipped:
        say(f"skipped {path}: {reason}")
    if as_json:
        typer.echo(json.dumps(found.to_dict(top_k), indent=1))
        return
    print_results(answer_screen(), found.results, found.labels, top_k)


@app.command()
def predict(
    videos: opt.Videos,
    run: opt.Run = None,
    model: opt.Model = None,
    weights: opt.Weights = None,
    labels: opt.Labels = None,
    artefact: opt.Artefact = None,
    trust: opt.Trust = False,
    top: opt.Top = 5,
    clips: opt.Protocol = "4",
    views: opt.Views = 1,
    start: opt.Start = 0.0,
    end: opt.End = None,
    zero_shot: opt.ZeroShot = None,
    timeline: opt.Timeline = False,
    as_json: opt.AsJson = False,
) -> None:
    """Name what happens in videos."""
    from flash.loading import load_predictor

    classes = opt.classes_of(zero_shot)
    predictor = load_predictor(
        run=run,
        model=model,
        weights=weights,
        labels=labels,
        zero_shot=classes,
        artefact=artefact,
        trust=trust,
    )
    answers, bad = [], []
    for video in videos:
        try:
            with user_errors():
                found = predictor.predict_clips(
                    video, clips=opt.clips_of(clips), views=views, start_sec=start, end_sec=end
                )
        except UserError as error:
            say(str(error))
            bad.append(video)
            continue
        best = predictor.named(found, top)
        rows = predictor.timeline(found) if timeline else []
        answer: dict[str, Any] = {"video": video}
        answer["labels"] = [{"label": label, "score": score} for label, score in best]
        answers.append(answer | ({"timeline": rows} if timeline else {}))
        if not as_json:
            print_answer(answer_screen(), video, best, rows)
    if as_json:
        typer.echo(json.dumps(answers, indent=1))
    if bad:
        raise typer.Exit(BAD_INPUT)


cli_embeddings.add_to(app)
cli_export.add_to(app)
cli_timeline.add_to(app)
cli_stream.add_to(app)


@app.command()
def serve(
    run: opt.Run = None,
    model: opt.Model = None,
    weights: opt.Weights = None,
    labels: opt.Labels = None,
    top: opt.Top = 5,
    host: opt.Host = "127.0.0.1",
    port: opt.Port = 7860,
    allow_host: opt.AllowHost = None,
    token: opt.Token = None,
    max_size: opt.MaxMegabytes = 100.0,
    max_seconds: opt.MaxSeconds = 600.0,
) -> None:
    """Show a page that names what happens in an uploaded or recorded video."""
    from flash.loading import load_predictor
    from flash.serve import build_app, run_app
    from flash.serve_guard import Guard, bind
    from flash.service import Limits, Service

    if token is not None and not token.isalnum():
        raise ValueError(expected("--token", "letters and digits", "something else"))
    listening = bind(host, port)
    limits = Limits(max_bytes=int(max_size * 1e6), max_seconds=max_seconds)
    predictor = load_predictor(run=run, model=model, weights=weights, labels=labels)
    title = run.name if run is not None else model or str(weights)
    app = build_app(Service(predictor, limits, top), title)
    port = listening.getsockname()[1]
    going_on(lambda: "the server has ended; the same command starts it again.")
    say(f"http://{host}:{port}  (Ctrl+C ends it)")
    run_app(Guard(app, host=host, allowed_hosts=allow_host or (), token=token), listening)


@app.command()
def models(as_json: opt.AsJson = False) -> None:
    """List the models of the zoo with what is published of their weights."""
    from pytorchvideo.models._registry import get_weights, list_models

    zoo = [get_weights(name) for name in list_models()]
    if as_json:
        rows = [
            {
                "model": weights.name,
                "metrics": dict(weights.metrics),
                "protocol": weights.protocol,
                "gflops": weights.gflops,
                "num_parameters": weights.num_parameters,
                "num_classes": len(weights.labels),
                "recipe": weights.recipe.to_dict(),
                "licence": weights.licence,
                "source": weights.source,
                "url": weights.url,
                "sha256": weights.sha256,
            }
            for weights in zoo
        ]
        typer.echo(json.dumps(rows, indent=1))
        return
    answer_screen().print(zoo_table(zoo))


@app.command()
def check(
    data: opt.CheckData,
    out: opt.ChecksOut = None,
    quarantine: opt.QuarantineOut = None,
    jobs: opt.Jobs = None,
    as_json: opt.AsJson = False,
) -> None:
    """Read every video from its first frame to its last; say which are bad or odd, and why.

    Status 0: all are good. 1: some are bad. 2: nothing could be checked.
    """
    from flash.scan import scan

    found = scan(data, jobs=jobs, console=progress_screen(), out=out, quarantine=quarantine)
    bad = [entry for entry in found if not entry.good]
    if as_json:
        typer.echo(json.dumps([entry.to_dict() for entry in found], indent=1))
    else:
        console = answer_screen()
        for entry in bad:
            console.print(f"bad: {named(entry.path, str(entry.reason))}", soft_wrap=True)
        odd = [entry for entry in found if entry.finding is not None]
        for entry in odd:
            console.print(f"odd: {named(entry.path, str(entry.finding))}", soft_wrap=True)
        console.print(f"{len(found)} videos, {len(bad)} bad" + (f", {len(odd)} odd" if odd else ""))
    if bad:
        raise typer.Exit(1)


@app.command()
def prepare(
    ctx: typer.Context,
    source: opt.PrepareSource,
    out: opt.PreparedOut = None,
    shards: opt.Shards = None,
    jobs: opt.Jobs = None,
    short_side: opt.ShortSide = 320,
    gop: opt.Gop = 12,
    crf: opt.Crf = 21,
    preset: opt.Preset = opt.X264Preset.fast,
    audio: opt.Audio = True,
    max_size: opt.ShardMegabytes = 1000.0,
    max_count: opt.ShardCount = 10_000,
    as_json: opt.AsJson = False,
) -> None:
    """Encode a folder of videos for training (--out), or pack videos into shards (--shards), or both.

    SRC is never written. A second run with the same --out does what is left.
    """
    going_on(lambda: _kept.by_prepare(out, shards))
    from flash.prepare import prepare_videos
    from pytorchvideo.data.prepare import TrainingFormat

    for name in ("short_side", "gop", "crf", "preset", "audio") if out is None else ():
        if opt.was_given(ctx, name):
            raise ValueError(f"--{name.replace('_', '-')} is of no use without --out.")
    summary = prepare_videos(
        source,
        out,
        shards,
        TrainingFormat(short_side or None, gop, crf, preset.value, audio),
        jobs=jobs,
        limits={"max_bytes": int(max_size * 1e6), "max_count": max_count},
        console=progress_screen(),
    )
    typer.echo(
        json.dumps(summary.to_dict(), indent=1) if as_json else visible("\n".join(summary.lines()))
    )


@app.command()
def doctor(as_json: opt.AsJson = False) -> None:
    """Say what works here and what does not, with the reason."""
    from flash.doctor import advice, diagnose

    findings = diagnose()
    if as_json:
        typer.echo(json.dumps([finding.to_dict() for finding in findings], indent=1))
    else:
        table = Table("", "what", "detail", box=box.SIMPLE_HEAD)
        for finding in findings:
            mark = "ok" if finding.works else ("BROKEN" if finding.required else "–")
            style = "green" if finding.works else ("bold red" if finding.required else "dim")
            table.add_row(Text(mark, style=style), finding.name, finding.detail)
        answer_screen().print(table)
        if mend := advice(findings):
            answer_screen().print(mend, soft_wrap=True)
    if any(finding.required and not finding.works for finding in findings):
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
