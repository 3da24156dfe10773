# SPDX-License-Identifier: Apache-2.0
"""Clips of a page: addresses of their files, and a list of corrected labels that `train` reads."""

import csv
import html
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest

from flash.runs.reports.clips import Corrections, address_from, clip_cards, players
from flash.runs.reports.page import render_page
from flash.runs.sources import Sources, read_sources

EVIL = "</script><script>alert(1)</script>"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
def sources(make_video: Callable[..., Path], tmp_path: Path) -> Sources:
    """Videos whose classes and files have names that are hard to write in html, json and csv."""
    names = {
        'say "hi", twice': ("a,b.mp4", 'with "quotes".mp4', "c d.mp4"),
        "<b>walk</b> & run": ("é#1.mp4", "100%.mp4", "</script>".replace("/", "") + ".mp4"),
    }
    video = make_video("tiny.mp4", num_frames=4, height=32, width=32)
    for label, files in names.items():
        (tmp_path / "data" / label).mkdir(parents=True)
        for file in files:
            shutil.copy(video, tmp_path / "data" / label / file)
    return read_sources(str(tmp_path / "data"), val_split=0.34)


def content_of(corrections: Corrections) -> dict[str, object]:
    """The json in the page."""
    found = re.search(r'id="corrections">(.*?)</script>', corrections.html(), re.DOTALL)
    assert found is not None
    content: dict[str, object] = json.loads(found[1])
    return content


def test_page_holds_every_video_of_the_run(sources: Sources) -> None:
    content = content_of(Corrections(sources))
    rows = [
        (content["root"] + name, content["labels"][label], split)  # type: ignore
        for name, label, split in content["videos"]  # type: ignore
    ]
    parts = (("train", sources.train), ("val", sources.val))
    assert rows == [(*pair, split) for split, part in parts for pair in part]
    numbers = Corrections(sources).numbers()
    assert [rows[number][0] for number in numbers.values()] == list(numbers)


def test_names_do_not_end_the_script() -> None:
    sources = Sources([EVIL], [(f"/data/{EVIL}/1.mp4", EVIL)], [("/data/2.mp4", EVIL)])
    page = Corrections(sources, again=EVIL, name=EVIL).html()
    assert EVIL not in page
    assert page.count("</script>") == 2


def test_list_as_the_page_writes_it_is_read(sources: Sources, tmp_path: Path) -> None:
    """All fields quoted, a quote twice: what the script of the page does."""
    (first, was), *others = sources.train
    train = [(first, next(label for label in sources.labels if label != was)), *others]
    text = io.StringIO("path,label,split\n")
    text.seek(0, io.SEEK_END)
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([*pair, "train"] for pair in train)
    writer.writerows([*pair, "val"] for pair in sources.val)
    file = tmp_path / "corrected.csv"
    file.write_text(text.getvalue(), encoding="utf-8")
    again = read_sources(str(file))
    assert again.train == train
    assert again.val == sources.val


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
def test_browser_writes_a_list_that_is_read(sources: Sources, tmp_path: Path) -> None:
    """A reader puts one label right and leaves one video out; the page gives the list."""
    fixes = Corrections(sources, again="pytorchvideo train <x>")
    page = tmp_path / "run" / "report.html"
    cards = clip_cards([(path, "") for path, _ in sources.train], page, fixes.numbers())
    reader = """<pre id="list"></pre><script>
    const choices = document.querySelectorAll(".fix select");
    const choose = (one, place) => { one.selectedIndex = place; one.dispatchEvent(new Event("change")); };
    choose(choices[0], 1);
    const last = choices[choices.length - 1];
    choose(last, last.length - 1);
    document.getElementById("list").textContent = correctedList() + document.getElementById("marked").textContent;
    </script>"""
    page.parent.mkdir()
    page.write_text(render_page("t", "s", {}, cards, players() + fixes.html() + reader))
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--dump-dom")
    shown = subprocess.run(
        [str(CHROMIUM), *options, f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout
    found = re.search(r'<pre id="list">(.*?)</pre>', shown, re.DOTALL)
    assert found is not None, shown[-2000:]
    *lines, remark = html.unescape(found[1]).split("\n")
    assert remark == "1 label corrected, 1 video left out."
    assert re.search(r'id="again">pytorchvideo train &lt;x&gt;</code>', shown)
    file = tmp_path / "corrected.csv"
    file.write_text("\n".join([*lines, ""]), encoding="utf-8")
    again = read_sources(str(file))
    (first, was), *others, (left_out, _) = sources.train
    other = next(label for label in sources.labels if label != was)
    assert again.train == [(first, other), *others]
    assert left_out not in [path for path, _ in again.train]
    assert again.val == sources.val


def test_address_is_relative_and_quoted(tmp_path: Path) -> None:
    video = tmp_path / "my data" / "a#1?.mp4"
    video.parent.mkdir()
    video.touch()
    page = tmp_path / "runs" / "run" / "report.html"
    address = address_from(page, str(video))
    assert address == "../../my%20data/a%231%3F.mp4"
    assert unquote(address) == os.path.relpath(video, page.parent)
    script = tmp_path / "javascript:alert(1).mp4"
    script.touch()
    assert address_from(tmp_path / "page.html", str(script)) == "javascript%3Aalert%281%29.mp4"
    assert address_from(page, str(tmp_path / "missing.mp4")) is None
    assert address_from(page, "http://a.b/c.mp4") is None


def test_file_that_is_gone_has_no_player(tmp_path: Path) -> None:
    cards = clip_cards([(str(tmp_path / "gone.mp4"), "caption")], tmp_path / "page.html")
    assert "<video" not in cards
    assert "caption" in cards


def test_clip_plays_where_its_file_is_reached(make_video: Callable[..., Path]) -> None:
    video = make_video("tiny.mp4", num_frames=4, height=32, width=32)
    cards = clip_cards([(str(video), "")], video.parent / "page.html", {str(video): 7})
    assert '<video src="tiny.mp4" controls' in cards
    assert "data:image/gif;base64," in cards
    assert 'data-video="7"' in cards
    assert "<video" not in clip_cards([(str(video), "")], None)
