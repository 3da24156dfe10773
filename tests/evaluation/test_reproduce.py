# SPDX-License-Identifier: Apache-2.0
"""Reproduced tests: figures, causes, files and going on, on videos of one colour whose scores can be written down."""

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pytorchvideo._progress import Step
from pytorchvideo.evaluation.labelled import LabelledVideos, labelled_videos
from pytorchvideo.evaluation.official import OfficialTest, official_test
from pytorchvideo.evaluation.protocols import PROTOCOLS, Protocol, ProtocolViews, VideoScores
from pytorchvideo.evaluation.reproduce import (
    PROGRESS,
    RESULT,
    Shard,
    reproduce,
    reproduce_shard,
)
from pytorchvideo.evaluation.reproduction import ranks
from pytorchvideo.transforms.clip_recipe import ClipRecipe

LABELS = ("red", "green", "blue", "dark", "bright", "grey")
COLOURS = {"red": (220, 30, 90), "green": (30, 220, 30), "blue": (30, 30, 220)}
RECIPE = ClipRecipe(num_frames=2, sampling_rate=2, side_size=16, crop_size=16)


class MeanColour(nn.Module):
    """Scores of classes from the mean colour of a clip."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.zeros(len(LABELS), 3)
        weight[:3] = torch.eye(3)
        self.weight = nn.Parameter(weight)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        return clip.mean((2, 3, 4)) @ self.weight.T


def probabilities(colour: tuple[int, ...]) -> np.ndarray:
    """The softmax of a mean colour, which is the same in every view."""
    means = (np.array([*colour]) / 255 - 0.45) / 0.225
    powers = np.exp(np.concatenate([means, np.zeros(3)]))
    return powers / powers.sum()


def made_test(protocol: Protocol, **more: Any) -> OfficialTest:
    given: dict[str, Any] = {"published": {"top1": 76.94, "top5": 92.69}} | more
    return OfficialTest(
        "mean", MeanColour().eval(), LABELS, ProtocolViews(protocol, RECIPE), **given
    )


SMALL = Protocol(clips=2, crops=3, starts="share", also="seconds")


@pytest.fixture(scope="module")
def colours(make_video: Callable[..., Path]) -> dict[str, Path]:
    found = {}
    for name, colour in COLOURS.items():
        frames = np.broadcast_to(np.array(colour, np.uint8), (8, 24, 32, 3)).copy()
        found[name] = make_video(f"{name}.mp4", frames=frames)
    return found


@pytest.fixture
def videos(colours: dict[str, Path], tmp_path: Path) -> LabelledVideos:
    """Four videos, the last with a wrong label, one that is none, and one that is not there."""
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    rows = [*((colours[name], name) for name in COLOURS), (colours["red"], "blue")]
    rows += [(tmp_path / "broken.mp4", "red"), (tmp_path / "absent.mp4", "red")]
    lines = [f"{path} {LABELS.index(name)}\n" for path, name in rows]
    (tmp_path / "list.txt").write_text("".join(lines))
    return labelled_videos(tmp_path / "list.txt", LABELS)


def test_figures_scores_and_causes(videos: LabelledVideos, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    found = reproduce(made_test(SMALL), videos, tmp_path / "out")
    top1, top5 = found.figures["top1"], found.figures["top5"]
    assert (top1.value, top5.value) == (75.0, 100.0)
    # Wilson's interval of 3 of 4, with z = 1.959964
    z2 = 1.959964**2
    centre, half = (3 + z2 / 2) / (4 + z2), (z2 * (0.75 + z2 / 4)) ** 0.5 / (4 + z2)
    assert (top1.low, top1.high) == pytest.approx(
        (100 * (centre - half), 100 * (centre + half)), abs=1e-3
    )
    assert top1.difference == pytest.approx(-1.94)
    assert top1.difference_interval == pytest.approx((top1.low - 76.94, top1.high - 76.94))
    written = json.loads((tmp_path / "out" / RESULT).read_text())
    assert written == found.to_dict()
    assert written["videos"] == {"listed": 6, "scored": 4, "missing": 1, "unreadable": 1}
    assert [Path(path).name for path, _ in written["skipped"]] == ["absent.mp4", "broken.mp4"]
    assert written["short_sides"] == {"least": 24, "median": 24, "most": 24}
    rule = {
        "clips": 2,
        "crops": 3,
        "start_rule": "A",
        "short_side": 16,
        "crop": 16,
        "combine": "mean",
    }
    assert rule.items() <= written["protocol"].items()
    by_kind = {cause.partition(":")[0]: cause for cause in found.causes}
    assert list(by_kind) == ["Chance", "Videos", "Classes", "Short side", "Start rule", "Crops"]
    # all of the two that are absent wrong, or right
    assert "of 6, 1 are missing and 1 cannot be read" in by_kind["Videos"]
    assert "anywhere from 50.00 to 83.33." in by_kind["Videos"]
    assert "of 3 of the 6 classes" in by_kind["Classes"]
    assert "of 4 files 0 are smaller and are enlarged, 4 are larger" in by_kind["Short side"]
    assert "by rule A" in by_kind["Start rule"] and "by rule B" in by_kind["Start rule"]
    table = parquet.read_table(tmp_path / "out" / "scores.parquet").to_pylist()
    assert [row["rank"] for row in table] == [0, 0, 0, 4, None, None]
    assert [row["classes"] for row in table] == [[0], [1], [2], [2], [0], [0]]
    for row, colour in zip(table, [*COLOURS.values(), COLOURS["red"]], strict=False):
        assert row["scores"] == pytest.approx(probabilities(colour), abs=0.03)  # the codec rounds
        assert sum(row["scores"]) == pytest.approx(1)


def test_a_test_that_was_killed_goes_on(videos: LabelledVideos, tmp_path: Path) -> None:
    whole = reproduce(made_test(SMALL), videos, tmp_path / "whole")

    def stop(step: Step) -> None:
        if step.done == 3:
            raise KeyboardInterrupt("stopped")

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        reproduce(made_test(SMALL), videos, out, progress=stop)
    lines = (out / PROGRESS).read_text()
    assert lines.count("\n") == 4 and not (out / RESULT).exists()
    (out / PROGRESS).write_text(lines[:-40])  # the third was being written
    with pytest.raises(FileExistsError, match=r"holds a test already\. Give --resume"):
        reproduce(made_test(SMALL), videos, out)
    steps: list[int] = []
    again = reproduce(
        made_test(SMALL), videos, out, resume=True, progress=lambda s: steps.append(s.done)
    )
    assert steps == [2, 3, 4, 5, 6]
    assert again.to_dict() == whole.to_dict()
    for one, other in zip(again.rows[:4], whole.rows[:4], strict=True):
        assert one.scores is not None and other.scores is not None
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-6)
    assert (out / PROGRESS).read_text().count("\n") == 7


def test_another_test_does_not_go_on(videos: LabelledVideos, tmp_path: Path) -> None:
    test = made_test(SMALL)
    reproduce(test, videos, tmp_path / "out")
    other = made_test(SMALL)
    with torch.no_grad():
        other.network.weight[0, 0] = 2  # type: ignore[operator, index]
    fewer = replace(videos, paths=videos.paths[1:], targets=videos.targets[1:])
    wrong: list[tuple[OfficialTest, LabelledVideos, str]] = [
        (other, videos, "started with weights="),
        (made_test(replace(SMALL, clips=3)), videos, "started with clips=2, but got 3"),
        (test, fewer, "started with videos="),
    ]
    for asked, of, sentence in wrong:
        with pytest.raises(ValueError, match=sentence):
            reproduce(asked, of, tmp_path / "out", resume=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / PROGRESS).write_text("[1]\n")
    with pytest.raises(ValueError, match=r"scores.jsonl is no file of scores"):
        reproduce(test, videos, tmp_path / "other", resume=True)


def test_shards_count_each_video_once(videos: LabelledVideos, tmp_path: Path) -> None:
    test = made_test(SMALL)

    def scores_of(rank: str, places: list[int]) -> VideoScores:
        paths = tuple(videos.paths[place] for place in places)
        shard = replace(videos, paths=paths, targets=tuple(videos.targets[p] for p in places))
        found = VideoScores(1)
        for row in reproduce(test, shard, tmp_path / rank).rows:
            assert row.scores is not None
            found.add(row.video, 0, torch.tensor(row.scores))
        return found

    whole, together = scores_of("whole", [0, 1, 2]), scores_of("0", [0, 2])
    together.merge(scores_of("1", [1]))
    assert list(together.all()) == [videos.paths[place] for place in (0, 2, 1)]
    for path, scores in whole.all().items():
        torch.testing.assert_close(together.of(path), scores)
    # a sampler has filled up the second
    with pytest.raises(ValueError, match=r"View 0 of .*red\.mp4 came twice"):
        scores_of("2", [0, 2]).merge(scores_of("3", [1, 0]))


def test_scores_without_pyarrow(
    videos: LabelledVideos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    found = reproduce(made_test(SMALL), videos, tmp_path)
    assert found.table == "scores.csv"
    with open(tmp_path / "scores.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["0", "0", "0", "4", "", ""]
    assert json.loads(rows[1]["scores"]) == pytest.approx(probabilities(COLOURS["green"]), abs=0.03)
    assert "broken.mp4" in rows[4]["reason"]


def test_mean_average_precision_of_several_classes(
    colours: dict[str, Path], tmp_path: Path
) -> None:
    # the blue video is first of its class; of "red" the second of three is none
    lines = [f"{colours['red']},0\n", f"{colours['green']},1 2\n", f"{colours['blue']},0 2\n"]
    (tmp_path / "list.csv").write_text("".join(["path,labels\n", *lines]))
    videos = labelled_videos(tmp_path / "list.csv", LABELS, multi_label=True)
    assert videos.targets == ((0,), (1, 2), (0, 2))
    protocol = replace(PROTOCOLS["slow_r50_charades"], clips=1)
    test = made_test(protocol, published={"mAP": 34.72}, multi_label=True)
    found = reproduce(test, videos, tmp_path / "out")
    assert list(found.figures) == ["mAP"]
    scores = np.stack([row.scores for row in found.rows if row.scores is not None])
    precisions = []
    for number, positive in ((0, {0, 2}), (1, {1}), (2, {1, 2})):
        order = np.argsort(-scores[:, number])
        hits = [place for place, row in enumerate(order, 1) if row in positive]
        precisions.append(np.mean([count / place for count, place in enumerate(hits, 1)]))
    figure = found.figures["mAP"]
    assert figure.value == pytest.approx(100 * np.mean(precisions))
    assert figure.low <= figure.value <= figure.high
    assert figure.difference == pytest.approx(figure.value - 34.72)


def test_equal_scores_rank_in_the_order_of_classes() -> None:
    scores = np.array([[0.25, 0.25, 0.5, 0.0]] * 4)
    assert ranks(scores, [(0,), (1,), (2,), (3,)]).tolist() == [1, 2, 0, 3]


def test_no_video_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"none")
    videos = LabelledVideos("list.txt", (str(tmp_path / "a.mp4"),), ((0,),))
    with pytest.raises(
        RuntimeError, match=r"No video of list.txt can be read; the first: .*a\.mp4"
    ):
        reproduce(made_test(SMALL), videos, tmp_path / "out")


# -- what is tested ---------------------------------------------------------------------------------------------


def test_models_with_and_without_published_views(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"slow_r50_detection \(AVA v2\.2\) are of boxes on"):
        official_test("slow_r50_detection")
    with pytest.raises(
        ValueError, match=r"i3d_inception has figures of unknown views .*--protocol 10x3"
    ):
        official_test("i3d_inception")
    with pytest.raises(ValueError, match="`protocol` to be clips x 1 or 3 crops, but got '10x2'"):
        official_test("x3d_xs", protocol="10x2", weights=tmp_path / "none.pth")
    with pytest.raises(FileNotFoundError, match=r"There is no file of weights .*none\.pth"):
        official_test("x3d_xs", weights=tmp_path / "none.pth")


def test_the_published_protocol_of_a_name(tmp_path: Path) -> None:
    from pytorchvideo.models import create_model

    file = tmp_path / "x3d_xs.pth"
    torch.save(create_model("x3d_xs").state_dict(), file)
    test = official_test("x3d_xs", weights=file)
    assert (test.published, test.is_official) == ({"top1": 69.12, "top5": 88.63}, True)
    assert not test.is_known
    assert (test.views.protocol, test.views.recipe.crop_size) == (PROTOCOLS["x3d_xs"], 182)
    other = official_test("x3d_xs", weights=file, protocol="1x1")
    assert (other.is_official, other.views.protocol) == (
        False,
        replace(PROTOCOLS["x3d_xs"], clips=1, crops=1),
    )


def test_classes_are_those_of_the_model(colours: dict[str, Path], tmp_path: Path) -> None:
    def read(text: str) -> LabelledVideos:
        (tmp_path / "list.csv").write_text(text)
        return labelled_videos(tmp_path / "list.csv", LABELS)

    red, blue = colours["red"], colours["blue"]
    named = read(f"path,label,split\n{red},red,train\n{blue},blue,val\n")
    assert (named.paths, named.targets) == ((str(blue),), ((2,),))
    with pytest.raises(ValueError, match=r"the model has no class 'bleu'. Did you mean blue\?"):
        read(f"path,label\n{red},red\n{blue},bleu\n")
    with pytest.raises(
        ValueError, match=r"list.csv, line 2: expected a class number in 0\.\.5, but got 6"
    ):
        read(f"{red},1\n{blue},6\n")
    with pytest.raises(ValueError, match=r"list.csv, line 2: expected one class, .*, but got 2"):
        read(f"{red},1\n{blue},1 2\n")
    with pytest.raises(FileNotFoundError, match="There is no file and no folder"):
        labelled_videos(tmp_path / "none", LABELS)


def test_the_held_out_folder_is_read(make_video: Callable[..., Path], tmp_path: Path) -> None:
    for part in ("train", "val"):
        for name in ("blue", "green"):
            make_video("a.mp4", folder=tmp_path / part / name, num_frames=2)
    found = labelled_videos(tmp_path, LABELS)
    assert found.paths == tuple(str(tmp_path / "val" / n / "a.mp4") for n in ("blue", "green"))
    assert found.targets == ((2,), (1,))


@pytest.mark.slow
def test_real_weights_on_real_clips(
    shared_data: Path, shared_weights: Path, tmp_path: Path
) -> None:
    """Two labelled clips of Kinetics and one that is cut off, by one clip of the middle."""
    files = {
        "mmaction2_demo_arm_wrestling.mp4": "arm wrestling",
        "decord_kinetics_flipping_a_pancake.mkv": "flipping pancake",
        "decord_corrupted.mp4": "flipping pancake",
    }
    rows = [f"{shared_data / 'clips' / name},{label}\n" for name, label in files.items()]
    (tmp_path / "list.csv").write_text("".join(["path,label\n", *rows]))
    weights = shared_weights / "i3d_inception_rgb_kinetics400.pth"
    test = official_test("i3d_inception", weights=weights, protocol="1x1")
    found = reproduce(test, labelled_videos(tmp_path / "list.csv", test.labels), tmp_path / "out")
    assert (found.figures["top1"].value, found.figures["top1"].published) == (100.0, 71.1)
    assert [Path(path).name for path, _ in found.skipped] == ["decord_corrupted.mp4"]
    best = [row.scores.max() for row in found.rows if row.scores is not None]
    assert min(best) > 0.8  # of each position, over the whole video
    # the file is the published one, by its hash
    kinds = [cause.partition(":")[0] for cause in found.causes]
    assert kinds == ["Chance", "Other views", "Videos", "Classes", "Short side", "Crops"]


def test_shards_of_a_test_are_the_whole(videos: LabelledVideos, tmp_path: Path) -> None:
    """The figures of three shards, done in any order, are those of the whole, to the bit."""
    test = made_test(SMALL)
    whole = reproduce(test, videos, tmp_path / "whole")
    out = tmp_path / "shards"
    assert reproduce_shard(test, videos, out, Shard(3, 3)) is None
    assert reproduce_shard(test, videos, out, Shard(1, 3)) is None
    assert not (out / RESULT).exists()
    with pytest.raises(FileExistsError, match="Give --resume"):
        reproduce_shard(test, videos, out, Shard(1, 3))
    assert reproduce_shard(test, videos, out, Shard(1, 3), resume=True) is None
    with pytest.raises(ValueError, match="was started with model=mean, but got other"):
        reproduce_shard(replace(test, model="other"), videos, out, Shard(1, 3), resume=True)
    # of a shard that is not whole there are no figures
    file = out / "scores-1-of-3.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-1]))
    assert reproduce_shard(test, videos, out, Shard(2, 3)) is None
    done = reproduce_shard(test, videos, out, Shard(1, 3), resume=True)
    assert done is not None and done.figures == whole.figures
    assert [row.video for row in done.rows] == list(videos.paths)
    assert (out / RESULT).read_text() == (tmp_path / "whole" / RESULT).read_text()


def test_shards_are_named() -> None:
    assert Shard.parse("2/4") == Shard.of_ranks({"RANK": "1", "WORLD_SIZE": "4"}) == Shard(2, 4)
    assert Shard.of_ranks({}) == Shard(1, 1)
    for text in ("0/4", "5/4", "4", "1/0"):
        with pytest.raises(ValueError, match="`shard` to be K/N"):
            Shard.parse(text)


def test_folders_of_frames(tmp_path: Path) -> None:
    """A list of folders, and PySlowFast's list of frames: the same scores, by a rule that no rate changes."""
    lines = ["original_vido_id video_id frame_id path labels"]
    for number, (name, colour) in enumerate(COLOURS.items()):
        (tmp_path / name).mkdir()
        for frame in range(5):
            path = f"{name}/{name}-{frame:06d}.png"
            Image.new("RGB", (32, 24), colour).save(tmp_path / path)
            lines.append(f'{name} {number} {frame} {path} "{LABELS.index(name)}"')
    (tmp_path / "frames.csv").write_text("\n".join(lines))
    (tmp_path / "folders.txt").write_text("".join(f"{n} {LABELS.index(n)}\n" for n in COLOURS))
    test = made_test(replace(SMALL, starts="rounded"))
    found = []
    for name in ("frames.csv", "folders.txt"):
        made = reproduce(
            test, labelled_videos(tmp_path / name, LABELS), tmp_path / name[:3], fps=12.0
        )
        found.append(made)
        assert made.figures["top1"].value == 100 and [r.short_side for r in made.rows] == [24] * 3
        for row, colour in zip(made.rows, COLOURS.values(), strict=True):
            assert row.scores == pytest.approx(probabilities(colour), abs=1e-6)
    settings = json.loads((tmp_path / "fra" / PROGRESS).read_text().splitlines()[0])
    assert settings["fps"] == 12.0


def test_a_run_over_whole_videos_is_tested_so(make_model_file: Callable[..., Path]) -> None:
    file = make_model_file(replace(RECIPE, whole_video=True))
    assert official_test(str(file), protocol="1x3").views.protocol.starts == "whole"
    assert official_test(str(make_model_file(RECIPE)), protocol="1x3").views.protocol.starts == (
        "offsets"
    )
