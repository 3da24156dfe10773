# SPDX-License-Identifier: Apache-2.0
"""Facts on a run that its report states: date, duration, command, and the evidence of its judgement."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from flash.runs.config import RunConfig
from flash.runs.parts import Part, commands_of
from flash.runs.reports.commands import train_command
from flash.runs.reports.findings import Evidence
from flash.runs.reports.leaks import find_leaks
from flash.runs.sources import Sources
from pytorchvideo._files import write_whole
from pytorchvideo._progress import Progress, silent
from pytorchvideo.evaluation.scores import ClipResult

# For a look at both sides of the split: a share of the time that the run took, and seconds that are enough for some
# hundreds of short videos (0.05 s of a processor each) however short it was.
_SHARE, _LEAST_SECONDS = 0.08, 20.0


def run_facts(
    config: RunConfig,
    out: Path,
    parts: Sequence[Part],
    now: datetime,
) -> dict[str, str]:
    """Returns the rows of a report on when and how a run was made.

    Args:
        config: of the run.
        out: its folder.
        parts: of the run; it took the sum of their times, and the commands are those that were typed. Of a run that
            began in Python the command that would begin it is stated.
        now: when it ended, with its time zone.
    """
    took = duration(sum(part.seconds for part in parts))
    if len(parts) > 1:
        took += f" in {len(parts)} parts"
    if parts[0].began is None:
        took += ", of which the first is not recorded"
    typed = commands_of(parts)
    if parts[0].command is None:
        typed = {"as a command": train_command(config, out), **typed}
    return {"date": now.strftime("%Y-%m-%d %H:%M %Z").strip(), "duration": took, **typed}


def duration(seconds: float) -> str:
    """Returns seconds in words.

    >>> duration(7.26), duration(95), duration(3725)
    ('7.3 s', '1 min 35 s', '1 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def seconds_for_leaks(seconds: float) -> float:
    """Returns for how long the videos of a run may be looked at, which took so many seconds."""
    return max(_SHARE * seconds, _LEAST_SECONDS)


def run_evidence(
    config: RunConfig,
    sources: Sources,
    results: Sequence[ClipResult],
    history: Sequence[Mapping[str, float]],
    *,
    skipped: int,
    out: Path,
    seconds: float,
    progress: Progress = silent,
) -> Evidence:
    """Returns what the judgement of a run is made from; see :func:`seconds_for_leaks` for the time that it may take.

    Where some look alike on both sides of the split, ``recordings.csv`` in ``out`` names what belongs together.

    Args:
        config: of the run.
        sources: its videos.
        results: of the held-out ones.
        history: a row an epoch.
        skipped: videos that could not be read.
        out: folder of the run.
        seconds: that it took.
        progress: is called after each video that is looked at.
    """
    leaks = find_leaks(sources, seconds_for_leaks(seconds), progress=progress)
    if config.group_by is not None or config.groups is not None:
        leaks = leaks.without_names()  # its user knows better what the names mean
    given = str(sources.how.get("split", "")).startswith("as given")
    evidence = Evidence(
        sources.labels,
        results,
        history,
        trained_on=sources.counts(sources.train),
        leaks=leaks,
        skipped=skipped,
        config=config,
        out=out,
        split_given=given,
    )
    _write_lists(evidence, sources)
    return evidence


def _write_lists(evidence: Evidence, sources: Sources) -> None:
    """Writes the lists that commands of the judgement name, if it has found clips of one recording on both sides."""
    leaks = evidence.leaks
    if leaks is None or not (leaks.names or leaks.recordings):
        return
    videos = [*sources.train, *sources.val]
    if evidence.split_given:
        _write_list(evidence.videos, ("path", "label"), videos)
    if leaks.recordings:
        rows = [
            (path, f"recording {leaks.recordings[path]}" if path in leaks.recordings else path)
            for path, _ in videos
        ]
        _write_list(evidence.recordings, ("path", "group"), rows)


def _write_list(file: Path, header: tuple[str, str], rows: Sequence[tuple[str, str]]) -> None:
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows([header, *rows])
    write_whole(file, lines.getvalue())
