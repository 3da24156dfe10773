# SPDX-License-Identifier: Apache-2.0
"""Console output: tables and lines of answers."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import category

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pytorchvideo._text import counted

_CODE = Path(__file__).resolve().parents[2]
_HARMLESS = "\n\t\u200c\u200d"

if TYPE_CHECKING:
    from pytorchvideo.evaluation.multi_label import MultiLabelResult
    from pytorchvideo.evaluation.scores import ClipResult
    from pytorchvideo.models import Weights


class Screen(Console):
    """A console on which names are only read: what would move its cursor or set its title is shown as an escape."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Renders a text, or a cell of a table."""
        return super().render_str(visible(text), **{**options, "emoji": False})


def answer_screen() -> Screen:
    """What answers are printed on; brackets in a path are no markup."""
    return Screen(highlight=False, markup=False)


def progress_screen() -> Screen:
    """What progress and remarks are printed on: standard error."""
    return Screen(stderr=True)


def say(sentence: str) -> None:
    """Prints a remark on standard error."""
    Screen(stderr=True).print(sentence, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Has warnings of this library printed as sentences, without the line of code that gave them."""
    usual = warnings.formatwarning

    def sentence(message: Any, category: Any, filename: str, lineno: int, line: Any = None) -> str:
        if issubclass(category, UserWarning) and Path(filename).is_relative_to(_CODE):
            return f"{visible(str(message))}\n"
        return usual(message, category, filename, lineno, line)

    warnings.formatwarning = sentence
    try:
        yield
    finally:
        warnings.formatwarning = usual


def visible(text: str) -> str:
    r"""A text in which characters that command a terminal, or turn the order of others round, are escapes.

    These are the classes Cc and Cf of Unicode, but for the ends of lines, tabs, and those that join letters and emoji.

    >>> visible("a\x1b[31m\u202eb")
    'a\\x1b[31m\\u202eb'
    """
    return "".join(
        repr(c)[1:-1] if category(c) in ("Cc", "Cf") and c not in _HARMLESS else c for c in text
    )


def print_results(
    console: Console, results: "Sequence[ClipResult]", labels: Sequence[str], top_k: int = 1
) -> None:
    """A table of the classes, and the accuracy."""
    from pytorchvideo.evaluation.scores import accuracy, class_scores

    table = Table("class", box=box.SIMPLE_HEAD)
    for name in ("precision", "recall", "F1", "videos"):
        table.add_column(name, justify="right")
    for row in class_scores(results, labels):
        if row.count:
            numbers = (f"{row.precision:.3f}", f"{row.recall:.3f}", f"{row.f1:.3f}", str(row.count))
            table.add_row(row.label, *numbers)
    console.print(table)
    right = sum(result.correct for result in results)
    console.print(f"accuracy {accuracy(results):.1%} ({right} of {counted(len(results), 'video')})")
    if 1 < top_k < len(labels):
        console.print(f"top-{top_k} accuracy {accuracy(results, top_k):.1%}")


def print_label_scores(
    console: Console, results: "Sequence[MultiLabelResult]", labels: Sequence[str]
) -> None:
    """A table of the labels that videos have, and the mean average precision."""
    from pytorchvideo.evaluation.multi_label import (
        label_scores,
        mean_average_precision,
        overall_scores,
    )

    rows = label_scores(results, labels)
    table = Table("label", box=box.SIMPLE_HEAD)
    for name in ("AP", "precision", "recall", "F1", "videos"):
        table.add_column(name, justify="right")
    for row in rows:
        if row.average_precision is not None:
            figures = (row.average_precision, row.precision, row.recall, row.f1)
            table.add_row(row.label, *(f"{value:.3f}" for value in figures), str(row.count))
    console.print(table)
    mean, f1 = mean_average_precision(rows), overall_scores(results)["f1"]
    if mean is None:
        console.print(
            f"no label on any of {counted(len(results), 'video')}, and so no average precision"
        )
    else:
        console.print(
            f"mean average precision {mean:.3f}, F1 {f1:.3f} ({counted(len(results), 'video')})"
        )


def print_answer(
    console: Console,
    video: str,
    named: Sequence[tuple[str, float]],
    timeline: Sequence[Mapping[str, Any]] = (),
) -> None:
    """The labels of one video, and the label of each clip."""
    console.print(video, style="bold", soft_wrap=True, markup=False)
    for label, score in named:
        console.print(f"  {score:6.1%}  {label}", markup=False)
    for clip in timeline:
        span = f"{clip['start_sec']:7.2f} to {clip['end_sec']:7.2f} s"
        console.print(f"  {span}  {clip['score']:6.1%}  {clip['label']}", markup=False)


def zoo_table(
    zoo: "Sequence[Weights]",
    *,
    suits: "Callable[[Weights], str]",
    speeds: Mapping[str, float] | None = None,
) -> Table:
    """Models with what is published of their weights, a row each.

    Args:
        zoo: the models.
        suits: the machine that a model suits.
        speeds: measured clips a second by name, in the place of the numbers of classes.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("model", no_wrap=True)
    # 80 columns
    last = "clips/s" if speeds else "classes"
    for name in ("top-1/5 %", "GFLOPs", "params", "clip", "crop", last):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("suits", no_wrap=True)
    for weights in zoo:
        table.add_row(
            weights.name,
            _scores(weights.metrics),
            f"{weights.gflops:.2f}",
            f"{weights.num_parameters / 1e6:.1f}M",
            f"{weights.recipe.num_frames}x{weights.recipe.sampling_rate}",
            str(weights.recipe.crop_size or "–"),
            f"{speeds[weights.name]:.2f}" if speeds else str(len(weights.labels) or "–"),
            suits(weights),
        )
    return table


def _scores(metrics: Mapping[str, float]) -> str:
    """Published scores in one column: ``71.46/89.68``, or ``mAP 34.72``."""
    if "top1" in metrics:
        return "/".join(f"{metrics[k]:.2f}" for k in ("top1", "top5") if k in metrics)
    return ", ".join(f"{name} {value:.2f}" for name, value in metrics.items())
