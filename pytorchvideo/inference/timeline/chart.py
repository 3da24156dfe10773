# SPDX-License-Identifier: Apache-2.0
"""Charts of timelines: heat maps, for hours."""

from typing import TYPE_CHECKING

import numpy as np

from pytorchvideo.inference.timeline.timeline import Timeline, clock

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_ROWS = 16  # classes in the heat map
_SEEN = 0.1  # probability that a class has to reach somewhere to be in the heat map without ever leading
_COLUMNS = 1200  # moments in the heat map, which is about as wide in pixels


def heat_map(timeline: Timeline) -> "Figure":
    """Draws the probabilities of the classes that are the likeliest for longest, a row each, over the time of a video.

    Where several clips fall on one column of pixels, it shows the highest probability. What cannot be read is hatched.
    """
    from matplotlib.figure import Figure

    scores, rows = _binned(timeline)
    figure = Figure(figsize=(13, 1.2 + 0.34 * max(len(rows), 3)), layout="constrained")
    axes = figure.add_subplot()
    low, high = (
        timeline.windows.nearest(0)[0],
        timeline.windows.nearest(len(timeline.windows) - 1)[1],
    )
    image = axes.imshow(
        scores[rows],
        aspect="auto",
        interpolation="nearest",
        cmap="Blues",
        vmin=0,
        vmax=1,
        extent=(low, high, len(rows) - 0.5, -0.5),
    )
    for gap in timeline.gaps():
        axes.axvspan(
            gap.start_sec,
            gap.end_sec,
            facecolor="white",
            edgecolor="grey",
            hatch="///",
            linewidth=0,
        )
    names = [timeline.labels[row] for row in rows]
    axes.set_yticks(range(len(rows)), names, parse_math=False)
    axes.set_yticks([row + 0.5 for row in range(len(rows) - 1)], minor=True)
    axes.grid(which="minor", axis="y", color="lightgrey", linewidth=0.8)
    axes.tick_params(which="minor", length=0)
    _clock_ticks(axes, low, high)
    axes.spines[:].set_color("lightgrey")
    figure.colorbar(image, ax=axes, label="probability", pad=0.01, aspect=12)
    return figure


def _binned(timeline: Timeline) -> tuple[np.ndarray, list[int]]:
    """Probabilities (classes, columns), and the classes to show, first the one that leads for longest."""
    windows = timeline.windows
    scores = np.zeros((len(timeline.labels), _COLUMNS), np.float32)
    leads = np.zeros(len(timeline.labels))
    for place, clip in enumerate(timeline.clips()):
        low, high = windows.nearest(place)
        first, last = (
            round((time - windows.start_sec) / windows.length_sec * _COLUMNS)
            for time in (low, high)
        )
        first = min(first, _COLUMNS - 1)
        for index, score in clip.best:
            columns = scores[index, first : max(last, first + 1)]
            np.maximum(columns, score, out=columns)
        if clip.best:
            leads[clip.best[0][0]] += high - low
    order = sorted(range(len(leads)), key=lambda i: (-leads[i], -float(scores[i].max())))
    seen = [i for i in order if leads[i] or scores[i].max() >= _SEEN]
    return scores, (seen or order)[:_MOST_ROWS]


def _clock_ticks(axes: "Axes", low: float, high: float) -> None:
    """Ticks at round times, written as h:mm:ss."""
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
    step = next((step for step in steps if (high - low) / step <= 12), steps[-1])
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda second, _: clock(second)))
