# SPDX-License-Identifier: Apache-2.0
"""Answers as HTML: what is drawn is what was said, and no name is markup."""

import base64
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
import torch

from flash.serve.markup import answer_html, error_html, head
from flash.serve.service import Answer
from pytorchvideo.inference.predictor import ClipScores

LABELS = ["a", "<b>", *"cdefg"]


def answer(*scores: tuple[float, ...]) -> Answer:
    """Of clips of two seconds each."""
    clips = [ClipScores(2.0 * i, 2.0 * i + 2, torch.tensor(row)) for i, row in enumerate(scores)]
    mean = torch.stack([clip.scores for clip in clips]).mean(dim=0)
    order = mean.argsort(descending=True).tolist()
    return Answer([(LABELS[i], float(mean[i])) for i in order], clips, clips[-1], b"GIF89a")


def parsed(text: str) -> ElementTree.Element:
    """The fragment, which must be well formed."""
    return ElementTree.fromstring(re.sub(r"(<img[^>]*[^/])>", r"\1/>", text))


def test_labels_stand_with_their_probabilities_and_bars() -> None:
    found = parsed(answer_html(answer((0.1, 0.9), (0.3, 0.7)), LABELS))
    rows = ["".join(row.itertext()) for row in found.iter("li")]
    assert rows == ["<b>80%", "a20%"]
    widths = [re.findall(r"width: ([\d.]+)%", bar.get("style", "")) for bar in found.iter("div")]
    assert [width for (width,) in filter(None, widths)] == ["80.0", "20.0"]
    image = found.find(".//img")
    assert image is not None
    assert base64.b64decode(image.get("src", "").partition(",")[2]) == b"GIF89a"
    assert "2.0 to 4.0 s" in "".join(found.itertext())


def test_lines_are_the_scores_of_the_clips() -> None:
    found = parsed(answer_html(answer((0.1, 0.9), (0.3, 0.7)), LABELS))
    lines = [line.get("points", "") for line in found.iter("polyline")]
    # over the whole width, up from below; the first label is drawn last, on top
    assert lines[-1] == "0.0,10.0 500.0,10.0 500.0,30.0 1000.0,30.0"
    assert lines[0] == "0.0,90.0 500.0,90.0 500.0,70.0 1000.0,70.0"
    colours = [line.get("stroke") for line in found.iter("polyline")]
    bars = [re.findall("background: (#\\w+)", bar.get("style", "")) for bar in found.iter("div")]
    assert [c for (c,) in filter(None, bars)] == colours[::-1]


def test_one_clip_has_no_course() -> None:
    assert "<svg" not in answer_html(answer((0.1, 0.9)), LABELS)


def test_many_classes_have_few_lines() -> None:
    many = answer(*[tuple(i / 28 for i in range(7, 0, -1))] * 2)
    found = parsed(answer_html(many, LABELS))
    assert len(list(found.iter("li"))) == 7
    assert len(list(found.iter("polyline"))) == 5


@pytest.mark.parametrize("bad", ["<script>alert(1)</script>", 'a" onload="alert(1)', "</script>"])
def test_names_are_no_markup(bad: str) -> None:
    assert "".join(parsed(error_html(bad)).itertext()) == bad
    said = answer((0.5, 0.5))
    said.labels[0] = (bad, 0.5)
    found = parsed(answer_html(said, [bad, *LABELS]))
    assert bad in "".join(found.itertext())
    assert len(list(found.iter("script"))) == 0
    assert head(bad).count("<script>") == head(bad).count("</script>") == 1


def test_a_map_has_its_colours_and_its_method() -> None:
    plain = answer((0.1, 0.9), (0.3, 0.7))
    explained = replace(plain, method="occlusion")
    assert "low" not in answer_html(plain, LABELS)
    found = parsed(answer_html(explained, LABELS))
    said = "".join(found.itertext())
    assert "What “<b>” rests on" in said
    assert "where a part is covered" in said
    (scale,) = (one.get("style", "") for one in found.iter("i"))
    assert scale.startswith("background: linear-gradient(to right, #00224e,")


def test_a_file_that_a_browser_cannot_play_is_no_error() -> None:
    script = head("too large")
    assert (
        'said = "This browser cannot play the file. The model may read it all the same."' in script
    )
    assert "=== 'Error') one.textContent = said" in script
