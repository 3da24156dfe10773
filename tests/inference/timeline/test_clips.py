# SPDX-License-Identifier: Apache-2.0
"""The file of the clips of a timeline."""

from collections.abc import Iterator
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo.inference.timeline.clips import ClipFile, TimelineClip

scored = st.lists(st.tuples(st.integers(0, 400), st.floats(0, 1)), min_size=1, max_size=5)


def clips_of(number: int) -> Iterator[TimelineClip]:
    for i in range(number):
        yield TimelineClip(float(i), i + 1.0, ((i, 0.5),))


@given(best=scored, reason=st.text())
def test_lines(best: list[tuple[int, float]], reason: str) -> None:
    for clip in (TimelineClip(0.1, 2.0, tuple(best)), TimelineClip(0.1, 2.0, reason=reason)):
        line = clip.to_line()
        assert line.count("\n") == 1
        assert TimelineClip.from_line(line) == clip


def test_what_is_no_line_ends_the_file(tmp_path: Path) -> None:
    file = ClipFile(tmp_path / "progress.jsonl", 2)
    file.begin({"a": 1})
    file.add(list(clips_of(6)))
    content = file.path.read_bytes().splitlines(keepends=True)
    file.path.write_bytes(b"".join([*content[:4], b'{"start_sec": 3\n', *content[5:]]))
    assert file.go_on(6) == 2
    assert list(file) == list(clips_of(2))
    assert file.settings() == {"a": 1}
