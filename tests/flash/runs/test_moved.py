# SPDX-License-Identifier: Apache-2.0
"""Videos of a run that lie elsewhere than when it began; none of them is opened, so empty files do."""

import re
from pathlib import Path

import pytest

from flash.runs.moved import check_in_place, moved_to, names_below, with_absolute_paths
from flash.runs.sources import Sources

NAMES = ("run/1.mp4", "run/2.mp4", "walk/1.mp4", "walk/bad.mp4")


def made(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def sources_in(root: Path) -> Sources:
    one, two, three, bad = (str(root / name) for name in NAMES)
    return Sources(
        ["run", "walk"],
        [(three, "walk"), (one, "run")],
        [(two, "run")],
        {"data": str(root), "split": "as given"},
        [(bad, "it is empty.")],
    )


def test_the_same_parts_in_the_same_order(tmp_path: Path) -> None:
    old, new = tmp_path / "gone", made(tmp_path / "new", *NAMES)
    assert moved_to(sources_in(old), str(old), str(new)) == sources_in(new)


def test_back_again_after_a_kill_that_left_the_old_folder_in_the_configuration(
    tmp_path: Path,
) -> None:
    new = made(tmp_path / "new", *NAMES)
    assert moved_to(sources_in(new), str(tmp_path / "gone"), str(new)) == sources_in(new)


def test_a_list_whose_videos_have_moved(tmp_path: Path) -> None:
    new = made(tmp_path / "new", *NAMES)
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"{new / name} {name.partition('/')[0]}\n" for name in NAMES))
    moved = moved_to(sources_in(tmp_path / "gone"), "/elsewhere/list.txt", str(listed))
    assert (moved.train, moved.val) == (sources_in(new).train, sources_in(new).val)


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (NAMES[1:], "1 of 4 are not there, as that of run/1.mp4."),
        ((*NAMES, "walk/3.mp4", "walk/4.mp4"), "2 are new, as that of walk/3.mp4."),
    ],
)
def test_other_videos_are_refused(tmp_path: Path, names: tuple[str, ...], what: str) -> None:
    old, new = tmp_path / "old", made(tmp_path / "new", *names)
    sentence = f"Expected the videos of the run in {new}, those that were in {old}, but {what}"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        moved_to(sources_in(old), str(old), str(new))


def test_another_class_is_refused(tmp_path: Path) -> None:
    new = made(tmp_path / "new", *NAMES)
    listed = tmp_path / "list.txt"
    labels = ("run", "walk", "walk", "walk")
    listed.write_text("".join(f"{new / n} {x}\n" for n, x in zip(NAMES, labels, strict=True)))
    with pytest.raises(ValueError, match=r"the class 'walk' was 'run', as that of run/2\.mp4"):
        moved_to(sources_in(tmp_path / "old"), str(tmp_path / "old"), str(listed))


def test_what_is_not_there_at_all(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="There is no file and no folder"):
        moved_to(sources_in(tmp_path / "old"), str(tmp_path / "old"), str(tmp_path / "new"))


def test_videos_that_are_gone_are_asked_for(tmp_path: Path) -> None:
    sentence = (
        f"None of the 4 videos of the run in here is where it was, {tmp_path / 'old'}; the first is "
        f"{tmp_path / 'old/walk/1.mp4'}. If they have moved, name the place where they are now with --data."
    )
    with pytest.raises(FileNotFoundError, match=re.escape(sentence)):
        check_in_place(sources_in(tmp_path / "old"), str(tmp_path / "old"), Path("here"))
    made(tmp_path / "old", NAMES[1])  # single ones are skipped and listed, as in a run that begins
    check_in_place(sources_in(tmp_path / "old"), str(tmp_path / "old"), Path("here"))


def test_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert with_absolute_paths(sources_in(Path("videos"))).train == (
        sources_in(tmp_path / "videos").train
    )
    urls = Sources(["a"], [("s3://bucket/1.mp4", "a")], [], {}, [])
    assert with_absolute_paths(urls) == urls
    mixed = ["s3://bucket/1.mp4", "/a/2.mp4"]
    assert names_below(mixed) == dict(zip(mixed, mixed, strict=True))
