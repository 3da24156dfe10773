# SPDX-License-Identifier: Apache-2.0
"""Clips of one recording on both sides of a split are found, within the time that is given."""

import shutil
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from flash.runs.config import RunConfig
from flash.runs.reports import facts
from flash.runs.reports.facts import run_evidence
from flash.runs.reports.leaks import MOST_VIDEOS, Leaks, _spread, find_leaks
from flash.runs.sources import Sources, read_sources
from pytorchvideo.data.synthetic import MOTIONS, write_motion_video


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """Three videos on either side; two of those held out are copies of training videos."""
    root = tmp_path_factory.mktemp("leaks")
    for number, name in enumerate(("one", "two", "three", "other")):
        generator = np.random.default_rng(number)
        write_motion_video(
            root / f"{name}.mp4", MOTIONS[number], generator, size=(4, 64, 48), seconds=1.0
        )
    shutil.copy(root / "one.mp4", root / "copy of one.mp4")
    shutil.copy(root / "two.mp4", root / "copy of two.mp4")
    train, val = ("one", "two", "three"), ("copy of one", "other", "copy of two")
    return Sources(
        ["a", "b"],
        [(str(root / f"{name}.mp4"), "a") for name in train],
        [(str(root / f"{name}.mp4"), "b") for name in val],
    )


def test_copies_are_found(sources: Sources) -> None:
    found = find_leaks(sources, 60)
    assert found.looked_at == (found.held_out, found.trained_on) == (3, 3)
    pairs = [(Path(one).stem, Path(other).stem, far) for one, other, far in found.twins]
    assert pairs == [("copy of one", "one", 0.0), ("copy of two", "two", 0.0)]
    assert not found.one_place
    assert found.names == []
    assert found.to_dict()["one_place"] is False
    numbers = {Path(path).stem: number for path, number in found.recordings.items()}
    assert numbers["copy of one"] == numbers["one"] != numbers["two"] == numbers["copy of two"]
    assert len(set(numbers.values())) == 4


def test_list_of_recordings_keeps_them_together(sources: Sources, tmp_path: Path) -> None:
    """The command of the judgement can be typed: both lists are there, and no copy is on the other side."""
    given = Sources(sources.labels, sources.train, sources.val, {"split": "as given: folders"})
    evidence = run_evidence(
        RunConfig("data"), given, [], [], skipped=0, out=tmp_path, seconds=1000.0
    )
    again = read_sources(
        str(evidence.videos), val_split=0.5, groups=str(evidence.recordings), seed=3
    )
    assert len(again.train) + len(again.val) == 6
    names = [{Path(path).stem for path, _ in part} for part in (again.train, again.val)]
    for name in ("one", "two"):
        assert sum({name, f"copy of {name}"} <= part for part in names) == 1


def test_time_is_bounded(sources: Sources) -> None:
    ticks = count()
    found = find_leaks(sources, 4, clock=lambda: float(next(ticks)))
    assert found.looked_at == (2, 1)  # in turn: there is something to compare
    assert [Path(one).stem for one, _, _ in found.twins] == ["copy of one"]
    assert find_leaks(sources, 0).looked_at == (0, 0)


def test_names_are_looked_at_without_the_files() -> None:
    train, val = ("x/cam1_1.mp4", "x/cam2_1.mp4"), ("x/cam1_2.mp4", "x/cam1_3.mp4", "x/a.mp4")
    found = find_leaks(Sources(["a"], [(t, "a") for t in train], [(v, "a") for v in val]), 9)
    assert (found.names, found.sources) == (["x/cam1_2.mp4", "x/cam1_3.mp4"], ["cam1"])
    assert found.without_names().names == ()


def test_same_place_everywhere(sources: Sources) -> None:
    one = sources.train[0]
    assert not find_leaks(Sources(["a"], [one] * 4, [one] * 2), 60).one_place  # too few to tell
    found = find_leaks(Sources(["a"], [one] * 6, [one] * 2), 60)
    assert found.one_place
    assert found.alike == 1


def test_order_is_spread_and_whole() -> None:
    paths = [f"{number:04d}" for number in range(1000)]
    spread = _spread(paths, len(paths))
    assert sorted(spread) == paths
    first = sorted(int(path) for path in spread[:20])
    assert max(b - a for a, b in zip([0, *first], [*first, 999], strict=True)) < 100
    assert len(_spread(paths * 5, MOST_VIDEOS)) == MOST_VIDEOS


def test_reports_take_a_share_and_some_seconds_at_least(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []

    def look(_: Sources, seconds: float, progress: object) -> Leaks:
        given.append(seconds)
        return Leaks(1, 1, (1, 1), names=["a"], sources=["b"])

    monkeypatch.setattr(facts, "find_leaks", look)
    sources = read_sources(str(folder))
    more = {"skipped": 0, "out": folder, "seconds": 50.0}
    evidence = facts.run_evidence(RunConfig(str(folder)), sources, [], [], **more)  # type: ignore[arg-type]
    assert given[0] == 20  # of a short run all of some hundreds of videos
    assert facts.seconds_for_leaks(3600) == 0.08 * 3600
    assert evidence.trained_on == {"falling": 4, "growing": 4}
    assert evidence.leaks is not None
    assert evidence.leaks.names == ["a"]
    grouped = RunConfig(str(folder), group_by=r"source\d")
    evidence = facts.run_evidence(grouped, sources, [], [], **more)  # type: ignore[arg-type]
    assert evidence.leaks is not None
    assert evidence.leaks.names == ()
