# SPDX-License-Identifier: Apache-2.0
"""Timelines as json, csv, subtitles and charts, read and written clip by clip."""

import html
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from pytorchvideo._files import whole_file
from pytorchvideo._tables import write_rows
from pytorchvideo.inference.timeline.chart import heat_map
from pytorchvideo.inference.timeline.clips import MANY_CLASSES
from pytorchvideo.inference.timeline.timeline import Segment, Timeline

# players take <b> and {\\an8} for what to do with the text
_NO_TAGS = str.maketrans("<>{}", "‹›()")


#: The files of a timeline, besides that of its clips.
FILES = tuple(f"timeline.{ending}" for ending in ("json", "csv", "srt", "vtt", "png"))


def write_files(timeline: Timeline) -> None:
    """Writes :data:`FILES` into the folder of a timeline."""
    folder = timeline.out
    with _whole(folder / "timeline.json") as file:
        write_json_rows(file, timeline)
    with _whole(folder / "timeline.csv") as file:
        write_csv(file, timeline)
    with _whole(folder / "timeline.srt") as file:
        write_srt(file, timeline.segments())
    with _whole(folder / "timeline.vtt") as file:
        write_vtt(file, timeline.segments())
    with whole_file(folder / "timeline.png") as part:
        heat_map(timeline).savefig(part, format="png", dpi=110, metadata={"Software": None})


@contextmanager
def _whole(path: Path) -> Iterator[IO[str]]:
    """A text file that is complete or not there."""
    with whole_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        yield file


def write_json_rows(file: IO[str], timeline: Timeline) -> None:
    """Writes one object: what was asked for, the labels, and a line for each clip, segment and gap."""
    labels, top_k = timeline.labels, timeline.settings["top_k"]
    clips: Iterable[dict[str, Any]] = (
        {
            "start_sec": clip.start_sec,
            "end_sec": clip.end_sec,
            "labels": [{"label": labels[i], "score": score} for i, score in clip.best[:top_k]],
        }
        for clip in timeline.clips()
        if clip.reason is None
    )
    shown = {"min_score": timeline.min_score, "min_duration_sec": timeline.min_duration_sec}
    settings = dict(timeline.settings) | shown
    video = settings.pop("video")
    head = {"video": video, "settings": settings, "labels": labels}
    file.write("{\n")
    for name, value in head.items():
        file.write(f" {json.dumps(name)}: {json.dumps(value)},\n")
    rows = {
        "clips": clips,
        "segments": map(asdict, timeline.segments()),
        "gaps": map(asdict, timeline.gaps()),
    }
    for place, (name, entries) in enumerate(rows.items()):
        file.write(f' "{name}": [')
        for number, entry in enumerate(entries):
            file.write((",\n  " if number else "\n  ") + json.dumps(entry))
        file.write("\n ]" + (",\n" if place < len(rows) - 1 else "\n"))
    file.write("}\n")


def write_csv(file: IO[str], timeline: Timeline) -> None:
    """Writes a row a clip: ``start_sec,end_sec,label,score``, and then the probability of every class.

    Of more than 50 classes it writes the best instead: ``label_2,score_2`` and so on, ``top_k`` of them in all.
    The row of a clip that cannot be read has nothing but its times.
    """
    labels, top_k = timeline.labels, timeline.settings["top_k"]
    is_wide = len(labels) <= MANY_CLASSES
    ranks = range(2, min(top_k, len(labels)) + 1)
    more = (
        labels if is_wide else [f"{kind}_{rank}" for rank in ranks for kind in ("label", "score")]
    )
    width = 4 + len(more)

    def rows() -> Iterator[list[Any]]:
        yield ["start_sec", "end_sec", "label", "score", *more]
        for clip in timeline.clips():
            row: list[Any] = [clip.start_sec, clip.end_sec]
            for index, score in clip.best[: 1 if is_wide else top_k]:
                row += [labels[index], score]
            if is_wide and clip.best:
                row += [score for _, score in sorted(clip.best)]
            yield row + [""] * (width - len(row))

    write_rows(file, rows())


def write_srt(file: IO[str], segments: Iterable[Segment]) -> None:
    """Writes subtitles in the format of SubRip, which has no way to write the signs of its tags."""
    for number, segment in enumerate(segments, 1):
        times = f"{stamp(segment.start_sec, ',')} --> {stamp(segment.end_sec, ',')}"
        file.write(f"{number}\n{times}\n{_caption(segment).translate(_NO_TAGS)}\n\n")


def write_vtt(file: IO[str], segments: Iterable[Segment]) -> None:
    """Writes subtitles for web pages (https://www.w3.org/TR/webvtt1/), in which ``&``, ``<`` and ``>`` have names."""
    file.write("WEBVTT\n\n")
    for segment in segments:
        times = f"{stamp(segment.start_sec, '.')} --> {stamp(segment.end_sec, '.')}"
        file.write(f"{times}\n{html.escape(_caption(segment), quote=False)}\n\n")


def _caption(segment: Segment) -> str:
    # an empty line would end it
    return f"{' '.join(segment.label.split())} {segment.score:.0%}"


def stamp(seconds: float, mark: str) -> str:
    """``HH:MM:SS`` and thousandths after a mark.

    >>> stamp(3661.0004, ","), stamp(59.9996, ".")
    ('01:01:01,000', '00:01:00.000')
    """
    total, thousandths = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(total, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}{mark}{thousandths:03d}"
