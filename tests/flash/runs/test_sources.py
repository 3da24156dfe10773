# SPDX-License-Identifier: Apache-2.0
"""DATA in every form becomes labelled videos, split by a seed, with sources kept together."""

import json
from pathlib import Path

import pytest

from flash.runs.sources import Sources, read_labelled, read_sources
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.synthetic import MOTIONS


def test_split_is_seeded_and_balanced(folder: Path) -> None:
    first = read_sources(str(folder), val_split=0.34, seed=1)
    assert first.labels == ["falling", "growing"]
    assert [label for _, label in first.val].count("falling") == 2
    assert len(first.train) == 8
    assert {path for path, _ in first.train}.isdisjoint(path for path, _ in first.val)
    assert read_sources(str(folder), val_split=0.34, seed=1) == first
    assert any(
        read_sources(str(folder), val_split=0.34, seed=s).val != first.val for s in (2, 3, 4)
    )
    assert first.how["seed of the split"] == 1
    assert first.how["held-out videos"] == "4 (falling 2, growing 2)"
    assert Sources.from_dict(json.loads(json.dumps(first.to_dict()))) == first


def source_of(path: str) -> str:
    return "/".join(Path(path).parts[-2:]).partition("_")[0]


def test_sources_stay_together_by_expression(folder: Path) -> None:
    found = read_sources(str(folder), val_split=0.34, group_by=r"^(\w+/source\d)_")
    assert {source_of(p) for p, _ in found.train}.isdisjoint(source_of(p) for p, _ in found.val)
    assert "6 sources" in found.how["sources kept together"]


def test_sources_stay_together_by_file(folder: Path, tmp_path: Path) -> None:
    names = tmp_path / "groups.txt"
    lines = [f"{p.parent.name}/{p.name} {source_of(str(p))}" for p in folder.rglob("*.mp4")]
    names.write_text("\n".join(lines))
    found = read_sources(str(folder), val_split=0.34, groups=str(names))
    assert {source_of(p) for p, _ in found.train}.isdisjoint(source_of(p) for p, _ in found.val)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"group_by": "("}, "is no regular expression"),
        ({"group_by": "nowhere"}, "finds nothing in"),
        ({"group_by": "a", "groups": "b"}, "but got both"),
        ({"val_split": 1.5}, "val_split"),
    ],
)
def test_bad_split_options(options: dict[str, object], match: str, folder: Path) -> None:
    with pytest.raises(ValueError, match=match):
        read_sources(str(folder), **options)  # type: ignore[arg-type]


def test_bad_group_files(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="read the groups from"):
        read_sources(str(folder), groups=str(tmp_path / "none.txt"))
    (tmp_path / "g.txt").write_text("a.mp4 one\nonlyapath\n")
    with pytest.raises(
        ValueError, match=r"g.txt, line 2: expected a path and the name of its source"
    ):
        read_sources(str(folder), groups=str(tmp_path / "g.txt"))
    (tmp_path / "h.txt").write_text("a.mp4 one\n")
    with pytest.raises(ValueError, match="names no source for"):
        read_sources(str(folder), groups=str(tmp_path / "h.txt"))


def test_folders_that_are_split_already(folder: Path, tmp_path: Path) -> None:
    for part, numbers in (("train", (0, 1, 2)), ("val", (4,))):
        for label in MOTIONS[:2]:
            (tmp_path / part / label).mkdir(parents=True)
            for i in numbers:
                target = tmp_path / part / label / f"{i}.mp4"
                target.symlink_to(folder / label / f"source{i // 2}_{i}.mp4")
    found = read_sources(str(tmp_path))
    assert (len(found.train), len(found.val)) == (6, 2)
    assert "as given" in found.how["split"]
    assert len(read_labelled(str(tmp_path)).items) == 2


def listed(folder: Path, file: Path, split: str, columns: str = "path,label,split") -> Path:
    """A list of all videos, of which the fifth and sixth of each class are in ``split``."""
    lines = [columns]
    for label in MOTIONS[:2]:
        for number, path in enumerate(sorted((folder / label).iterdir())):
            part = split if number > 3 else "train"
            lines.append(f"{path},{label},{part}")
    file.write_text("\n".join(lines), encoding="utf-8-sig")
    return file


@pytest.mark.parametrize(("split", "name"), [("val", "val"), ("testing", "test")])
def test_lists_that_are_split_already(folder: Path, tmp_path: Path, split: str, name: str) -> None:
    file = listed(folder, tmp_path / "list.csv", split)
    found = read_sources(str(file))
    assert (len(found.train), len(found.val)) == (8, 4)
    assert found.how["split"] == f"as given: train and {name} of the list"
    assert {path for path, _ in found.train}.isdisjoint(path for path, _ in found.val)
    assert [path for path, _ in read_labelled(str(file)).items] == [path for path, _ in found.val]


def test_lists_that_commands_cannot_use(folder: Path, tmp_path: Path) -> None:
    file = listed(folder, tmp_path / "list.csv", "fold2")
    with pytest.raises(ValueError, match=r"list.csv: expected the splits .* it has train, fold2"):
        read_sources(str(file))
    with pytest.raises(ValueError, match=r"list.csv, line 1: .*but got 'part'"):
        read_sources(str(listed(folder, file, "val", columns="path,label,part")))
    video = next(folder.rglob("*.mp4"))
    file.write_text(f"{video} 0 1\n{video} 1\n")
    with pytest.raises(
        ValueError, match=r"list.csv has videos with several labels, .* give --multi-label"
    ):
        read_sources(str(file))
    file.write_text(f"{video} 0\n\n{video}\n")
    with pytest.raises(
        ValueError,
        match=r"list.csv, line 3: expected `path label`, with a label >= 0, but .* has none",
    ):
        read_sources(str(file))


@pytest.mark.parametrize("text", ["{path};{source}", "{path},{source}", '"{path}" {source}'])
def test_sources_stand_in_a_list_of_any_form(folder: Path, tmp_path: Path, text: str) -> None:
    names = tmp_path / "groups.txt"
    paths = [f"{p.parent.name}/{p.name}" for p in folder.rglob("*.mp4")]
    lines = [text.format(path=path, source=source_of(path)) for path in paths]
    names.write_text("\r\n".join(lines), encoding="utf-8-sig")
    found = read_sources(str(folder), val_split=0.34, groups=str(names))
    assert "6 sources" in found.how["sources kept together"]


def test_list_with_missing_and_bad_files(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    lines = [f"{path},{path.parent.name}" for path in sorted(folder.rglob("*.mp4"))]
    lines += ["gone.mp4,falling", f"{tmp_path / 'empty.mp4'},growing"]
    (tmp_path / "list.csv").write_text("path,label\n" + "\n".join(lines))
    found = read_sources(str(tmp_path / "list.csv"))
    assert found.labels == ["falling", "growing"]
    assert len(found.train) + len(found.val) == 12
    assert [Path(path).name for path, _ in found.skipped] == ["gone.mp4", "empty.mp4"]
    assert "There is no video file" in found.skipped[0][1]
    assert "is empty" in found.skipped[1][1]


def test_data_that_cannot_be_used(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "falling").symlink_to(folder / "falling")
    with pytest.raises(ValueError, match="one class only"):
        read_sources(str(tmp_path / "one"))
    (tmp_path / "list.txt").write_text("a.mp4 0\nb.mp4 1\n")
    with pytest.raises(FileNotFoundError, match=r"None of the 2 videos of .*list.txt exists"):
        read_sources(str(tmp_path / "list.txt"))
    for name in ("a", "b"):
        (tmp_path / "bad" / name).mkdir(parents=True)
        (tmp_path / "bad" / name / "x.mp4").write_text("no video")
    with pytest.raises(VideoError, match=r"None of the 2 videos of .* can be read; the first"):
        read_sources(str(tmp_path / "bad"))


# -- held-out videos of their own ---------------------------------------------------------------------------------


def test_held_out_videos_in_a_list_or_folder_of_their_own(folder: Path, tmp_path: Path) -> None:
    videos = sorted(folder.rglob("*.mp4"))
    lists = {}
    for name, chosen in (("train", videos[::2]), ("val", videos[1::2]), ("both", videos[:3])):
        lists[name] = str(tmp_path / f"{name}.csv")
        rows = [f"{video},{video.parent.name}" for video in chosen]
        Path(lists[name]).write_text("\n".join(["path,label", *rows]))
    found = read_sources(lists["train"], val=lists["val"])
    assert [Path(path) for path, _ in found.train] == videos[::2]
    assert [Path(path) for path, _ in found.val] == videos[1::2]
    assert found.how["split"] == f"as given: {lists['train']} and {lists['val']}"
    with pytest.raises(ValueError, match=r"2 videos of --val .*both\.csv are to train on, too"):
        read_sources(lists["train"], val=lists["both"])
    with pytest.raises(ValueError, match="--val without --group-by"):
        read_sources(lists["train"], val=lists["val"], group_by="x")
    for group in ({"group_by": "x"}, {"groups": "none.txt"}):
        with pytest.raises(ValueError, match=r"is split already\. Leave the option out"):
            read_sources(str(Path(lists["train"]).parent), **group)
    other = tmp_path / "other" / "swimming"
    other.mkdir(parents=True)
    (other / "a.mp4").write_bytes(videos[0].read_bytes())
    with pytest.raises(ValueError, match="but it also has swimming"):
        read_sources(lists["train"], val=str(other.parent))


def test_a_class_of_which_nothing_can_be_read(folder: Path, tmp_path: Path) -> None:
    (good,) = sorted((folder / "growing").glob("*.mp4"))[:1] or sorted(folder.rglob("*.mp4"))[:1]
    rows = [f"{good},a"]
    for number in range(3):
        bad = tmp_path / f"{number}.mp4"
        bad.write_text("no video")
        rows.append(f"{bad},b")
    file = tmp_path / "list.csv"
    file.write_text("path,label\n" + "\n".join(rows) + "\n")
    with pytest.raises(
        VideoError, match=r"3 of the 4 videos of .* are of one class\. The first: .*0\.mp4"
    ):
        read_sources(str(file))
