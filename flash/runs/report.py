# SPDX-License-Identifier: Apache-2.0
"""The report of a run, one self-contained ``report.html``: curves, scores, mistakes, environment.

Nothing in the page is fetched: the curves are inline SVG, the clips base64 GIFs, the style is in the
page and follows the reader's light or dark setting.
"""

import base64
import html
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import numpy as np

from pytorchvideo._files import write_whole
from pytorchvideo.evaluation.scores import ClipResult, accuracy, class_scores, confusion_counts

_GALLERY = 6  # clips shown at either end
_MATRIX_LIMIT = 20  # classes beyond which a matrix would not be readable
_GIF_SIDE, _GIF_FRAMES, _GIF_MS = 112, 12, 120


@dataclass
class Report:
    """What the page says.

    Args:
        title: headline.
        subtitle: one sentence below it.
        labels: class names in the order of their indices.
        results: one entry for each held-out video that could be read.
        history: one mapping an epoch with ``epoch`` and any of ``train_loss``, ``val_loss``,
            ``train_accuracy``, ``val_accuracy``.
        split: how training and held-out videos were chosen, as rows of a table.
        skipped: videos that could not be read, with the reason.
        config: what the run was asked to do.
        environment: versions and machine.
        figures: further headline figures, name to text.
    """

    title: str
    subtitle: str
    labels: Sequence[str]
    results: Sequence[ClipResult]
    history: Sequence[Mapping[str, float]] = ()
    split: Mapping[str, object] = field(default_factory=dict)
    skipped: Sequence[tuple[str, str]] = ()
    config: Mapping[str, object] = field(default_factory=dict)
    environment: Mapping[str, object] = field(default_factory=dict)
    figures: Mapping[str, str] = field(default_factory=dict)


def write_report(report: Report, path: Path) -> Path:
    """Renders a report and writes it in one step, so that no half page is ever seen.

    Raises:
        OSError: the file cannot be written.
    """
    return write_whole(path, render_report(report))


def render_report(report: Report) -> str:
    """Returns the page as a string of HTML."""
    template = Template(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    headline = {}
    if report.results:
        right = sum(result.correct for result in report.results)
        headline["accuracy on held-out videos"] = f"{accuracy(report.results):.1%}"
        headline["predicted correctly"] = f"{right} of {len(report.results)}"
        headline["classes"] = str(len(report.labels))
    figures = "".join(
        f"<li><b>{_text(value)}</b><span>{_text(name)}</span></li>"
        for name, value in {**headline, **report.figures}.items()
    )
    sections = (
        _section("Learning curves", _curves(report.history)),
        _section("Confusion", _confusion(report)),
        _section("Classes", _class_table(report)),
        _section("Clips", _gallery(report.results)),
        _section("Split", _settings(report.split)),
        _section("Skipped videos", _skipped(report.skipped)),
    )
    pair = _section("Configuration", _settings(report.config))
    pair += _section("Environment", _settings(report.environment))
    return template.substitute(
        title=_text(report.title),
        subtitle=_text(report.subtitle),
        figures=figures,
        sections="\n".join(section for section in sections if section)
        + f'<div class="pair">{pair}</div>',
    )


def _text(value: object) -> str:
    return html.escape(str(value))


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>" if content else ""


def _curves(history: Sequence[Mapping[str, float]]) -> str:
    if not history:
        return ""
    panels = [
        _curve_svg(history, "loss", "Loss (cross-entropy)"),
        _curve_svg(history, "accuracy", "Accuracy"),
    ]
    return f'<div class="curves">{"".join(panels)}</div>' if any(panels) else ""


def _curve_svg(history: Sequence[Mapping[str, float]], quantity: str, title: str) -> str:
    """A line for training and one for held-out videos, in the page's own colours.

    matplotlib writes two placeholder colours, which become CSS variables of the page, and black,
    which becomes the colour of its text.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    placeholders = {"train": "#ab0001", "val": "#ab0002"}
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": quantity, "font.size": 10}):
        figure = Figure(figsize=(5.0, 3.1), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for stage, name in (("train", "training"), ("val", "held out")):
            points = [
                (row["epoch"], row[key]) for row in history if (key := f"{stage}_{quantity}") in row
            ]
            if points:
                axes.plot(
                    *zip(*points, strict=True),
                    color=placeholders[stage],
                    linewidth=1.8,
                    label=name,
                    marker="o" if len(points) < 16 else None,
                    markersize=3.5,
                    linestyle="--" if stage == "train" else "-",
                )
        if not axes.lines:
            return ""
        axes.set_title(title, fontsize=11, loc="left")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if quantity == "accuracy":
            axes.set_ylim(0, 1.03)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        else:
            axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#000000", alpha=0.12)
        axes.legend(frameon=False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace("#000000", "currentColor")
    # text without a colour of its own would be black on a dark page
    svg = svg.replace("<svg ", '<svg fill="currentColor" ', 1)
    for stage, colour in placeholders.items():
        svg = svg.replace(colour, f"var(--{stage})")
    return f"<figure>{svg}</figure>"


def _confusion(report: Report) -> str:
    if not report.results:
        return ""
    counts = confusion_counts(report.results, report.labels)
    if len(report.labels) > _MATRIX_LIMIT:
        return _most_confused(counts, report.labels)
    header = "".join(f"<th>{_text(label)}</th>" for label in report.labels)
    rows = []
    for label, row in zip(report.labels, counts, strict=True):
        cells = "".join(
            f'<td style="background:rgba(var(--cell),{0.06 + 0.64 * share:.2f})">{n}</td>'
            for n, share in zip(row, row / max(row.sum(), 1), strict=True)
        )
        rows.append(f'<tr><th scope="row">{_text(label)}</th>{cells}</tr>')
    return (
        "<p>Rows are true classes, columns predictions; a cell counts videos.</p>"
        f'<div class="scroll"><table class="confusion"><thead><tr><th></th>{header}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _most_confused(counts: np.ndarray, labels: Sequence[str]) -> str:
    """The ten commonest mistakes, in place of a matrix of hundreds of rows."""
    mistakes = counts - np.diag(np.diag(counts))
    order = np.argsort(mistakes, axis=None)[::-1][:10]
    pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, counts.shape), strict=True)]
    rows = [
        (labels[i], labels[j], int(counts[i, j]), int(counts[i].sum()))
        for i, j in pairs
        if mistakes[i, j]
    ]
    if not rows:
        return "<p>No video was mistaken for another class.</p>"
    return "<p>The commonest mistakes.</p>" + _table(
        ("true class", "predicted", "videos", "of"), rows
    )


def _class_table(report: Report) -> str:
    if not report.results:
        return ""
    rows = [
        (row.label, f"{row.precision:.3f}", f"{row.recall:.3f}", f"{row.f1:.3f}", row.count)
        for row in class_scores(report.results, report.labels)
    ]
    return _table(("class", "precision", "recall", "F1", "videos"), rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table whose numbers are right-aligned."""
    numeric = [
        all(str(row[i]).replace(".", "", 1).isdigit() for row in rows) for i in range(len(header))
    ]
    kinds = [' class="number"' if is_number else "" for is_number in numeric]
    head = "".join(f"<th{k}>{_text(name)}</th>" for k, name in zip(kinds, header, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{k}>{_text(v)}</td>' for k, v in zip(kinds, row, strict=True))}</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _settings(settings: Mapping[str, object]) -> str:
    rows = "".join(
        f"<tr><td>{_text(name)}</td><td>{_text(value)}</td></tr>"
        for name, value in settings.items()
        if value is not None
    )
    return f'<div class="scroll"><table class="settings">{rows}</table></div>' if rows else ""


def _skipped(skipped: Sequence[tuple[str, str]]) -> str:
    if not skipped:
        return "<p>None: every video could be read.</p>"
    return _table(("video", "reason"), skipped)


def _gallery(results: Sequence[ClipResult]) -> str:
    """The surest correct predictions and the surest mistakes, or the least sure where none is wrong."""
    if not results:
        return ""
    ranked = sorted(results, key=lambda result: result.true_score, reverse=True)
    best = _one_a_class([result for result in ranked if result.correct])[:_GALLERY]
    wrong = [result for result in reversed(ranked) if not result.correct][:_GALLERY]
    content = ""
    if best:
        content += "<h3>Surest and correct</h3>" + _figures(best)
    if wrong:
        return content + "<h3>Furthest from the truth</h3>" + _figures(wrong)
    unsure = [result for result in reversed(ranked) if result not in best][:_GALLERY]
    if unsure:
        content += "<h3>Correct, but least sure</h3>" + _figures(unsure)
    return content


def _one_a_class(ranked: Sequence[ClipResult]) -> list[ClipResult]:
    """The first of every class, then the second of every class, and so on."""
    seen: Counter[str] = Counter()
    rounds = []
    for place, result in enumerate(ranked):
        rounds.append((seen[result.label], place, result))
        seen[result.label] += 1
    return [result for _, _, result in sorted(rounds, key=lambda entry: entry[:2])]


def _figures(results: Sequence[ClipResult]) -> str:
    return f'<div class="clips">{"".join(_figure(result) for result in results)}</div>'


def _figure(result: ClipResult) -> str:
    gif = clip_gif(result.video)
    image = '<span class="none"></span>'
    if gif is not None:
        data = base64.b64encode(gif).decode("ascii")
        image = f'<img src="data:image/gif;base64,{data}" alt="{_text(result.video)}">'
    kind = "right" if result.correct else "wrong"
    verdict = f'<b class="{kind}">{_text(result.predicted)} {result.score:.1%}</b>'
    truth = "" if result.correct else f"<br>truly <b>{_text(result.label)}</b> "
    if not result.correct:
        truth += f"{result.true_score:.1%}"
    name = Path(result.video).name
    return f"<figure>{image}<figcaption>{verdict}{truth}<br>{_text(name)}</figcaption></figure>"


def clip_gif(video: str, side: int = _GIF_SIDE, frames: int = _GIF_FRAMES) -> bytes | None:
    """Returns a small animated GIF of a whole video, or None for one that can no longer be read.

    Args:
        video: path of the file.
        side: shorter side in pixels; smaller videos keep their own size.
        frames: how many, spread evenly.
    """
    from pytorchvideo.data._decode import VideoError
    from pytorchvideo.data.visualize import gif_bytes, read_file

    try:
        clip = read_file(video, frames, end_sec=10.0)
    except (VideoError, OSError, ValueError):
        return None
    return gif_bytes(clip, fps=1000 / _GIF_MS, side=side, colors=64)
