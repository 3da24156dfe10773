# SPDX-License-Identifier: Apache-2.0
"""Answers and errors as HTML for the page: labels with bars, the clip as the model saw it, probabilities over time.

Drawn with the colours of the page, light or dark, and as wide as there is room. Names are escaped.
"""

import base64
import html
import json
from collections.abc import Sequence
from itertools import pairwise

from flash.serve.service import Answer
from pytorchvideo.inference.explain.explanation import TITLES, Method
from pytorchvideo.inference.explain.pictures import colour_stops
from pytorchvideo.inference.predictor import ClipScores

# of the labels in the order of their probabilities; seen on black and on white
_COLOURS = ("#3b82f6", "#f97316", "#22a559", "#e5484d", "#a06cd5")
_REST = "#8a8f98"

_NOT_PLAYED = "This browser cannot play the file. The model may read it all the same."

CSS = """
.pv-answer { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 12px 20px; }
.pv-answer h3 { margin: 0 0 8px; font-size: 14px; font-weight: 600; }
.pv-answer ol { list-style: none; margin: 0; padding: 0; }
.pv-answer li { margin: 0 0 9px; }
.pv-answer li:first-child .pv-name { font-size: 18px; font-weight: 600; }
.pv-row { display: flex; justify-content: space-between; gap: 8px; align-items: baseline; }
.pv-name { overflow-wrap: anywhere; }
.pv-share { font-variant-numeric: tabular-nums; }
.pv-track { height: 7px; border-radius: 4px; background: var(--border-color-primary); }
.pv-track div { height: 7px; border-radius: 4px; min-width: 2px; }
.pv-seen img { width: 100%; max-width: 320px; border-radius: 6px; display: block; }
.pv-scale-of-map { display: flex; gap: 6px; align-items: center; max-width: 320px; margin-top: 6px; font-size: 12px; }
.pv-scale-of-map i { flex: 1; height: 10px; border-radius: 3px; }
.pv-note { margin: 6px 0 0; font-size: 12px; opacity: 0.75; }
.pv-time { grid-column: 1 / -1; }
.pv-plot { display: grid; grid-template-columns: 38px minmax(0, 1fr); font-size: 12px; }
.pv-plot svg { width: 100%; height: 140px; display: block; overflow: visible; }
.pv-scale { display: flex; flex-direction: column; justify-content: space-between; }
.pv-ticks { grid-column: 2; display: flex; justify-content: space-between; padding-top: 4px; }
.pv-scale, .pv-ticks { opacity: 0.75; }
.pv-error { padding: 12px 14px; border-radius: 6px; border: 1px solid #e5484d; overflow-wrap: anywhere; }
.pv-classes { overflow-wrap: anywhere; }
.pv-video video { max-height: 420px; }
.pv-video .error { font-size: 13px; font-weight: 400; color: inherit; border: 0; background: none; }
.pv-video .error:empty { display: none; }
footer { display: none !important; }
"""


def head(too_large: str) -> str:
    """Returns a script for the page, by which whoever uses it gets one message for what goes wrong.

    Gradio says of its own when a file is too large, in units of 1024 bytes, and that a browser cannot play a video: by
    "Error" where it would play, as if the model could not read it either.

    Args:
        too_large: the sentence for a file that is too large.
    """
    return (
        "<script>new MutationObserver(() => { let said = ''; "
        "document.querySelectorAll('.toast-message-text').forEach((one) => {"
        " if (one.textContent.includes('Video not playable')) {"
        f" one.closest('.toast-item').style.display = 'none'; said = {_quoted(_NOT_PLAYED)}; }}"
        f" if (one.textContent.includes('maximum allowed size')) one.textContent = {_quoted(too_large)};"
        " }); document.querySelectorAll('.pv-video .error').forEach((one) => {"
        " if (one.textContent.trim() === 'Error') one.textContent = said; });"
        " }).observe(document, {childList: true, subtree: true});</script>"
    )


def _quoted(text: str) -> str:
    """A text for a script within a page."""
    return json.dumps(text).replace("<", "\\u003c")


def error_html(sentence: str) -> str:
    """Returns the one message of what went wrong."""
    return f'<div class="pv-error" role="alert">{html.escape(sentence)}</div>'


def answer_html(answer: Answer, labels: Sequence[str]) -> str:
    """Returns an answer: labels beside the clip that decided, and all clips over time below.

    Args:
        answer: what is said of a video.
        labels: class names in the order of the scores.
    """
    data = base64.b64encode(answer.gif).decode()
    span = f"{answer.decisive.start_sec:.1f} to {answer.decisive.end_sec:.1f} s"
    rows = "".join(
        _row(label, score, _colour(place)) for place, (label, score) in enumerate(answer.labels)
    )
    title, alt, note = "What the model saw", "The clip that decided most", ""
    if answer.method is not None:
        first = html.escape(answer.labels[0][0])
        title, alt, note = (
            f"What “{first}” rests on",
            f"A map of what {first} rests on",
            _scale(answer.method),
        )
    seen = (
        f'<section class="pv-seen"><h3>{title}</h3>'
        f'<img alt="{alt}" src="data:image/gif;base64,{data}">'
        f'{note}<p class="pv-note">{span}: the clip that decided most</p></section>'
    )
    shown = [label for label, _ in answer.labels[: len(_COLOURS)]]
    time = _over_time(answer.clips, [labels.index(label) for label in shown])
    return (
        f'<div class="pv-answer"><section class="pv-labels"><h3>Answer</h3><ol>{rows}</ol></section>'
        f"{seen}{time}</div>"
    )


def _scale(method: Method) -> str:
    """The colours of a map from the least to the greatest value, and how it was made."""
    stops = ", ".join(colour_stops())
    return (
        f'<div class="pv-scale-of-map"><span>low</span><i style="background: linear-gradient(to right, {stops})"></i>'
        f'<span>high</span></div><p class="pv-note">{TITLES[method]}</p>'
    )


def _colour(place: int) -> str:
    return _COLOURS[place] if place < len(_COLOURS) else _REST


def _row(label: str, score: float, colour: str) -> str:
    name, share = html.escape(label), f"{score:.0%}"
    return (
        f'<li><div class="pv-row"><span class="pv-name">{name}</span><span class="pv-share">{share}</span></div>'
        f'<div class="pv-track"><div style="width: {score:.1%}; background: {colour}"></div></div></li>'
    )


def _over_time(clips: Sequence[ClipScores], classes: Sequence[int]) -> str:
    """A step for each clip and a line for each class; nothing for a single clip."""
    if len(clips) < 2:
        return ""
    end = clips[-1].end_sec
    # where clips overlap, the later one begins
    times = [clip.start_sec for clip in clips] + [end]
    lines = []
    for place, index in enumerate(classes):
        heights = [100 * (1 - float(clip.scores[index])) for clip in clips]
        steps = [
            f"{1000 * time / end:.1f},{height:.1f}"
            for height, span in zip(heights, pairwise(times), strict=True)
            for time in span
        ]
        lines.append(
            f'<polyline points="{" ".join(steps)}" fill="none" stroke="{_colour(place)}" stroke-width="2" '
            'vector-effect="non-scaling-stroke"/>'
        )
    grid = "".join(
        f'<line x1="0" x2="1000" y1="{y}" y2="{y}" stroke="currentColor" stroke-opacity="0.2" '
        'vector-effect="non-scaling-stroke"/>'
        for y in (0, 50, 100)
    )
    ticks = "".join(f"<span>{end * part / 4:.1f} s</span>" for part in range(5))
    return (
        '<section class="pv-time"><h3>Over time</h3><div class="pv-plot">'
        '<div class="pv-scale"><span>100%</span><span>50%</span><span>0%</span></div>'
        '<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" '
        f'aria-label="Probabilities over time">{grid}{"".join(reversed(lines))}</svg>'
        f'<div class="pv-ticks">{ticks}</div></div></section>'
    )
