# SPDX-License-Identifier: Apache-2.0
"""Maps of a report: what the labels of the surest and of the worst held-out clips rest on."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flash.runs.reports.page import text
from pytorchvideo._progress import Progress, Step, silent
from pytorchvideo.data._decode import VideoError
from pytorchvideo.evaluation.scores import ClipResult
from pytorchvideo.inference.explain.explanation import TITLES, Method
from pytorchvideo.inference.explain.pictures import colour_stops, map_gif
from pytorchvideo.inference.explain.videos import method_for
from pytorchvideo.inference.predictor import VideoPredictor

_EACH = 5  # of the surest correct clips, and of those furthest from the truth
_QUICK = ("gradcam", "rollout")  # others take a hundred predictions a clip


@dataclass(frozen=True)
class ExplainedClip:
    """A held-out clip with its map.

    Args:
        result: the prediction for its video.
        gif: the middle clip of the video beside the same with the map of the predicted class.
        method: of the map.
    """

    result: ClipResult
    gif: bytes
    method: Method


def explained_clips(
    predictor: VideoPredictor, results: Sequence[ClipResult], *, progress: Progress = silent
) -> list[ExplainedClip]:
    """Returns the surest correct clips and those furthest from the truth, five of each at most, with their maps.

    None of a network whose maps take long, and none of videos that can no longer be read.

    Args:
        predictor: of the run.
        results: its held-out videos.
        progress: is called after each clip.
    """
    method = method_for(predictor)
    if method not in _QUICK:
        return []
    ranked = sorted(results, key=lambda result: result.true_score, reverse=True)
    best = [result for result in ranked if result.correct][:_EACH]
    rest = [result for result in reversed(ranked) if result not in best][:_EACH]
    found = []
    for number, result in enumerate([*best, *rest], 1):
        try:
            explained = predictor.explain(result.video, label=result.predicted, method=method)
        except (VideoError, OSError):
            continue
        found.append(ExplainedClip(result, map_gif(explained), method))
        progress(Step(number, len(best) + len(rest)))
    return found


def maps_html(clips: Sequence[ExplainedClip]) -> str:
    """Returns the clips as HTML, those furthest from the truth first; nothing without clips."""
    if not clips:
        return ""
    best = [clip for clip in clips if clip.result.correct][:_EACH]
    worst = [clip for clip in clips if clip not in best]
    wrong = any(not clip.result.correct for clip in worst)
    first = "Furthest from the truth" if wrong else "Correct, but least sure"
    groups = ((first, worst), ("Surest and correct", best))
    stops = ", ".join(colour_stops())
    scale = (
        f'low <i style="display:inline-block;width:8rem;height:.8em;background:linear-gradient(to right,{stops})"></i> '
        "high"
    )
    shown = "".join(
        f'<h3>{title}</h3><div class="clips maps">{"".join(map(_card, group))}</div>'
        for title, group in groups
        if group
    )
    return (
        f"<p>The middle clip of a video, beside what its predicted class rests on: {TITLES[clips[0].method]}, {scale}. "
        "<code>pytorchvideo explain</code> shows it for any video and any class.</p>" + shown
    )


def _card(clip: ExplainedClip) -> str:
    result = clip.result
    data = base64.b64encode(clip.gif).decode("ascii")
    kind = "right" if result.correct else "wrong"
    caption = f'<b class="{kind}">{text(result.predicted)} {result.score:.1%}</b>'
    if not result.correct:
        caption += f"<br>labelled <b>{text(result.label)}</b> {result.true_score:.1%}"
    name = text(Path(result.video).name)
    return (
        f'<figure><img src="data:image/gif;base64,{data}" alt="map of {text(result.predicted)} in {name}">'
        f"<figcaption>{caption}<br>{name}</figcaption></figure>"
    )
