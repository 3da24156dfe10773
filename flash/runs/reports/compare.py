# SPDX-License-Identifier: Apache-2.0
"""A comparison of runs: figures, curves, classes, and whether they differ by more than chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from flash.runs.config import RunConfig
from flash.runs.folder import RunFolder
from flash.runs.moved import names_below
from flash.runs.reports.commands import plain_fields
from flash.runs.sources import Sources
from pytorchvideo._text import counted, read_json
from pytorchvideo.evaluation.scores import ClipResult, accuracy, class_scores
from pytorchvideo.evaluation.significance import McNemar, holm, mcnemar, wilson_interval
from pytorchvideo.evaluation.videos import read_predictions

_MOST = 16


@dataclass(frozen=True)
class ComparedRun:
    """What is known of a run.

    Args:
        name: shortest end of its path that tells it from the others.
        results: of its held-out videos, by what names them in every place of the data.
        trained_on: names of its training videos.
        history: a row an epoch; empty of an evaluation.
        config: None of an evaluation.
        facts: date, duration, command, as its report states them.
    """

    name: str
    results: Mapping[str, ClipResult]
    trained_on: frozenset[str]
    history: Sequence[Mapping[str, float]]
    config: RunConfig | None
    facts: Mapping[str, Any]

    @property
    def command(self) -> str | None:
        """What began the run: the command that was typed, or the one that does what was called in Python."""
        return self.facts.get("command") or self.facts.get("as a command")

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of their indices."""
        return next(iter(self.results.values())).labels

    def on(self, videos: Sequence[str]) -> list[ClipResult]:
        """The results of some videos."""
        return [self.results[video] for video in videos]


@dataclass(frozen=True)
class Pair:
    """Two runs on the videos that both held out.

    Args:
        first: place of the one.
        second: place of the other.
        test: of the difference.
        p: mid-p of McNemar's test, corrected for all pairs (Holm).
    """

    first: int
    second: int
    test: McNemar
    p: float

    @property
    def is_significant(self) -> bool:
        """Whether the difference is hardly one of chance: p < 0.05."""
        return self.p < 0.05


@dataclass(frozen=True)
class Comparison:
    """Several runs.

    Args:
        runs: in the order in which they were given.
        common: names of the videos that all of them held out.
        labels: class names.
        pairs: all pairs of runs; none without common videos.
        remarks: sentences on what limits the comparison.
    """

    runs: Sequence[ComparedRun]
    common: Sequence[str]
    labels: Sequence[str]
    pairs: Sequence[Pair]
    remarks: Sequence[str]

    def rows(self) -> list[dict[str, Any]]:
        """Returns the figures of each run as plain types."""
        return [_row(run, self.common) for run in self.runs]

    def recalls(self) -> dict[str, list[float | None]]:
        """Returns the recall of each class in each run, on the common videos or else its own; None without videos."""
        scores = [
            {
                row.label: row.recall if row.count else None
                for row in class_scores(run.on(self.common or list(run.results)), run.labels)
            }
            for run in self.runs
        ]
        return {label: [one[label] for one in scores] for label in self.labels}

    def differences(self) -> dict[str, list[Any]]:
        """Returns the fields of the configuration in which the runs differ, a value each."""
        configs = [plain_fields(run.config) if run.config else {} for run in self.runs]
        names = dict.fromkeys(name for config in configs for name in config)
        values = {name: [config.get(name) for config in configs] for name in names}
        return {name: found for name, found in values.items() if any(v != found[0] for v in found)}

    def disputed(self) -> list[tuple[str, list[ClipResult]]]:
        """Returns the common videos that some runs have right and others wrong."""
        rows = [(video, [run.results[video] for run in self.runs]) for video in self.common]
        return [row for row in rows if len({result.correct for result in row[1]}) > 1]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain types, for json."""
        return {
            "runs": self.rows(),
            "common_videos": len(self.common),
            "remarks": list(self.remarks),
            "pairs": [
                {
                    "first": self.runs[pair.first].name,
                    "second": self.runs[pair.second].name,
                    **vars(pair.test),
                    "p": pair.p,
                    "significant": pair.is_significant,
                }
                for pair in self.pairs
            ],
            "recall": self.recalls(),
            "differences": self.differences(),
            "disputed": [
                {
                    "video": results[0].video,
                    "label": results[0].label,
                    "predicted": [r.predicted for r in results],
                }
                for _, results in self.disputed()
            ],
        }


def compare_runs(paths: Sequence[Path]) -> Comparison:
    """Compares runs, or evaluations.

    Args:
        paths: folders of two or more of them.

    Raises:
        FileNotFoundError: a folder holds neither a finished run nor an evaluation.
        ValueError: fewer than two, one that is given twice, or runs with other classes.
    """
    if not 2 <= len(paths) <= _MOST:
        raise ValueError(f"Expected 2 to {_MOST} runs to compare, but got {len(paths)}.")
    names = _short_names(paths)
    runs = [_read(path, name) for path, name in zip(paths, names, strict=True)]
    first = runs[0]
    for run in runs[1:]:
        if set(run.labels) != set(first.labels):
            other = sorted(set(run.labels) ^ set(first.labels))
            raise ValueError(
                f"{first.name} and {run.name} cannot be compared: they have other classes, such as {other[0]!r}, "
                f"which only "
                "one of them knows."
            )
    common = [video for video in first.results if all(video in run.results for run in runs)]
    for run in runs:
        changed = next((v for v in common if run.results[v].label != first.results[v].label), None)
        if changed is not None:
            raise ValueError(
                f"{first.name} and {run.name} cannot be compared: {first.results[changed].video} is labelled "
                f"{first.results[changed].label!r} in one and {run.results[changed].label!r} in the other."
            )
    return Comparison(runs, common, first.labels, _pairs(runs, common), _remarks(runs, common))


def _read(path: Path, name: str) -> ComparedRun:
    folder = RunFolder(path)
    if not folder.predictions.is_file():
        raise FileNotFoundError(
            f"{path} holds no finished run: there is no {folder.predictions.name} in it. `train` and `evaluate --out` "
            "write it."
        )
    results = read_predictions(folder.predictions)
    if not results:
        raise ValueError(f"{path} cannot be compared: none of its held-out videos could be read.")
    config = folder.read_config() if folder.config_file.is_file() else None
    trained: list[str] = []
    if config is not None:
        trained = [video for video, _ in Sources.from_file(folder.split_file).train]
    data = None if config is None else config.data
    known = _names([*(result.video for result in results), *trained], data)
    return ComparedRun(
        name,
        {known[result.video]: result for result in results},
        frozenset(known[video] for video in trained),
        _history(folder.history_file),
        config,
        _facts(folder.report.with_suffix(".json")),
    )


def _names(videos: Sequence[str], data: str | None) -> dict[str, str]:
    """What names a video in every place of the data: its path below DATA, if that is a folder, or as it is."""
    if data is None or not Path(data).is_dir():
        return {video: video for video in videos}
    below = names_below(videos, data)
    return {video: str(Path(data) / name) for video, name in below.items()}


def _history(file: Path) -> list[dict[str, float]]:
    rows = read_json(file, "the history of a run") if file.is_file() else []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{file} is not the history of a run.")
    return [{k: v for k, v in row.items() if isinstance(v, (int, float))} for row in rows]


def _facts(file: Path) -> dict[str, Any]:
    """Date and duration of a run; reports of earlier versions have no such file."""
    content = read_json(file, "the report of a run") if file.is_file() else {}
    facts = content.get("run", {}) if isinstance(content, dict) else {}
    return facts if isinstance(facts, dict) else {}


def _short_names(paths: Sequence[Path]) -> list[str]:
    """The ends of paths that tell them apart.

    >>> _short_names([Path("a/run"), Path("b/run")]), _short_names([Path("x/one"), Path("x/two")])
    (['a/run', 'b/run'], ['one', 'two'])
    """
    whole = [path.resolve() for path in paths]
    for one, other in combinations(whole, 2):
        if one == other:
            raise ValueError(f"Expected runs to compare, but got {one} twice.")
    for length in range(1, max(len(path.parts) for path in whole) + 1):
        names = ["/".join(path.parts[-length:]) for path in whole]
        if len(set(names)) == len(names):
            break
    return names


def _pairs(runs: Sequence[ComparedRun], common: Sequence[str]) -> list[Pair]:
    """Every pair on what both held out, which may be more than what all did."""
    tests = []
    for (i, one), (j, other) in combinations(enumerate(runs), 2):
        both = (
            common if len(runs) == 2 else [video for video in one.results if video in other.results]
        )
        if both:
            right = [(one.results[v].correct, other.results[v].correct) for v in both]
            tests.append((i, j, mcnemar(right.count((True, False)), right.count((False, True)))))
    corrected = holm([test.mid_p for _, _, test in tests])
    return [Pair(i, j, test, p) for (i, j, test), p in zip(tests, corrected, strict=True)]


def _remarks(runs: Sequence[ComparedRun], common: Sequence[str]) -> list[str]:
    said = []
    held_out = [set(run.results) for run in runs]
    if any(videos != held_out[0] for videos in held_out):
        counts = ", ".join(f"{run.name} {len(run.results)}" for run in runs)
        said.append(
            f"The runs held out different videos ({counts}); {len(common)} are common to all, and only what "
            f"two runs both "
            "held out tells whether they differ by more than chance."
        )
    for run in runs:
        leaked = [
            other.name for other in runs if other is not run and other.trained_on & set(run.results)
        ]
        if leaked:
            number = sum(any(v in other.trained_on for other in runs) for v in run.results)
            said.append(
                f"{counted(number, 'video')} that {run.name} held out {'was' if number == 1 else 'were'} trained "
                f"on by {', '.join(leaked)}."
            )
    if not common:
        said.append(
            "No video was held out by all runs, so that their accuracies are of different questions."
        )
    return said


def _row(run: ComparedRun, common: Sequence[str]) -> dict[str, Any]:
    results = list(run.results.values())
    right = sum(result.correct for result in results)
    rows = class_scores(results, run.labels)
    f1 = [row.f1 for row in rows if row.count]
    return {
        "run": run.name,
        "model": run.config.model if run.config else None,
        "accuracy": right / len(results),
        "interval": list(wilson_interval(right, len(results))),
        "videos": len(results),
        "accuracy_on_common_videos": accuracy(run.on(common)) if common else None,
        "top5_accuracy": accuracy(results, 5) if len(run.labels) > 5 else None,
        "mean_f1": sum(f1) / len(f1),
        "epochs": len(run.history) or None,
        "duration": run.facts.get("duration"),
        "date": run.facts.get("date"),
    }
