# SPDX-License-Identifier: Apache-2.0
"""Actions out of the files of annotation tools: the same people whatever the format, and errors with their place."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytorchvideo.data import ActionDetectionDataset
from pytorchvideo.data._decode._pyav.write import Encoding, write_video
from pytorchvideo.transforms.clip_recipe import ClipRecipe

FPS = 10
RECIPE = ClipRecipe(4, 2, frames_per_second=FPS, side_size=24, crop_size=24)
# two people for three seconds: one moves from left to right and walks, the other sits and talks in the first second
CVAT = """\
<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><id>5</id><name>my task</name>
    <original_size><width>64</width><height>48</height></original_size>
    <source>film.mp4</source>
  </task></meta>
  <track id="0" label="person">
    <box frame="0" keyframe="1" outside="0" xtl="0" ytl="12" xbr="16" ybr="36">
      <attribute name="action">walk</attribute><attribute name="talks">false</attribute>
    </box>
    <box frame="20" keyframe="1" outside="0" xtl="32" ytl="12" xbr="48" ybr="36">
      <attribute name="action">walk</attribute><attribute name="talks">false</attribute>
    </box>
  </track>
  <track id="1" label="person">
    <box frame="0" keyframe="1" outside="0" xtl="48" ytl="0" xbr="64" ybr="48">
      <attribute name="action">sit</attribute><attribute name="talks">true</attribute>
    </box>
    <box frame="11" keyframe="1" outside="1" xtl="48" ytl="0" xbr="64" ybr="48">
      <attribute name="action">sit</attribute><attribute name="talks">true</attribute>
    </box>
  </track>
</annotations>
"""


def region(labels: list[str], *boxes: tuple[int, bool, float, float, float, float]) -> Any:
    sequence = [
        {"frame": f, "enabled": on, "x": x, "y": y, "width": w, "height": h, "rotation": 0}
        for f, on, x, y, w, h in boxes
    ]
    return {
        "type": "videorectangle",
        "value": {"labels": labels, "sequence": sequence, "framesCount": 30, "duration": 3.0},
    }


STUDIO = [
    {
        "id": 1,
        "data": {"video": "/data/upload/1/0a1b2c3d-film.mp4"},
        "annotations": [
            {
                "result": [
                    region(["walk"], (1, True, 0, 25, 25, 50), (21, False, 50, 25, 25, 50)),
                    region(
                        ["sit", "talks"], (1, True, 75, 0, 25, 100), (12, False, 75, 0, 25, 100)
                    ),
                    {"type": "choices", "value": {"choices": ["indoors"]}},
                ]
            }
        ],
    }
]
COCO = {
    "videos": [{"id": 9, "name": "film"}],
    "images": [
        {"id": 1, "video_id": 9, "frame_index": 0, "width": 64, "height": 48},
        {"id": 2, "video": "film.mp4", "time_sec": 1.0, "width": 640, "height": 480},
        {"id": 3, "file_name": "film/f.jpg", "frame_id": 20, "width": 64, "height": 48},
    ],
    "categories": [{"id": 4, "name": "sit"}, {"id": 5, "name": "talks"}, {"id": 6, "name": "walk"}],
    "annotations": [
        {"image_id": 1, "bbox": [0, 12, 16, 24], "category_id": 6, "track_id": 1},
        {"image_id": 1, "bbox": [48, 0, 16, 48], "category_ids": [4, 5], "track_id": 2},
        {"image_id": 2, "bbox": [160, 120, 160, 240], "category_id": 6, "track_id": 1},
        {"image_id": 2, "bbox": [480, 0, 160, 480], "category_id": 4, "track_id": 2},
        {"image_id": 2, "bbox": [480, 0, 160, 480], "category_id": 5, "track_id": 2},
        {"image_id": 3, "bbox": [32, 12, 16, 24], "category_id": 6, "track_id": 1},
    ],
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    frames = [np.full((48, 64, 3), 8 * k, np.uint8) for k in range(30)]
    write_video(folder / "film.mp4", frames, FPS, Encoding("libx264", {"crf": "4"}))
    return folder


def read(kind: str, folder: Path, content: Any, videos: Any, **options: Any) -> Any:
    file = folder / ("export.xml" if kind == "cvat" else "export.json")
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    reader = getattr(ActionDetectionDataset, f"from_{kind}")
    return reader(file, videos, recipe=RECIPE, **options)


@pytest.mark.parametrize(
    ("kind", "content"), [("cvat", CVAT), ("label_studio", STUDIO), ("coco", COCO)]
)
def test_the_same_people_whatever_the_format(
    videos: Path, tmp_path: Path, kind: str, content: Any
) -> None:
    found = read(kind, tmp_path, content, videos)
    assert list(found.label_map.values()) == ["sit", "talks", "walk"]
    people: list[list[Any]] = [[], [], []]
    for frame in found.key_frames:
        names = [[found.label_map[i] for i in p.labels] for p in frame.people]
        boxes = [pytest.approx(p.box) for p in frame.people]
        numbers = [p.person for p in frame.people]
        people[round(frame.time_sec)] += zip(numbers, boxes, names, strict=True)
    sitting = (2, (0.75, 0, 1, 1), ["sit", "talks"])
    assert people[:2] == [
        [(1, (0, 0.25, 0.25, 0.75), ["walk"]), sitting],
        [(1, (0.25, 0.25, 0.5, 0.75), ["walk"]), sitting],
    ]
    if kind != "label_studio":  # there, a region ends before the frame that turns it off
        assert people[2] == [(1, (0.5, 0.25, 0.75, 0.75), ["walk"])]
    assert found[0]["video"].shape == (3, 4, 48, 64)


def test_other_distances_and_label_maps(videos: Path, tmp_path: Path) -> None:
    found = read("cvat", tmp_path, CVAT, videos, every_sec=0.5)
    assert [frame.time_sec for frame in found.key_frames] == [0, 0.5, 1, 1.5, 2]
    assert found.key_frames[1].people[0].box == pytest.approx((0.125, 0.25, 0.375, 0.75))
    with pytest.raises(ValueError, match=r"export.xml, line 17: .* label_map, but got 'sit'"):
        read("cvat", tmp_path, CVAT, videos, label_map={1: "walk", 2: "talks"})
    with pytest.raises(ValueError, match=r"export.json, annotations\[0\]: .* but got 'walk'"):
        read("coco", tmp_path, COCO, videos, label_map={1: "sit"})
    with pytest.raises(ValueError, match="`every_sec` to be > 0 seconds"):
        read("cvat", tmp_path, CVAT, videos, every_sec=0)
    # the frames in which somebody drew, with those between for the other person
    drawn = read("cvat", tmp_path, CVAT.replace('frame="20"', 'frame="9"'), videos, every_sec=None)
    assert [(f.time_sec, len(f.people)) for f in drawn.key_frames] == [(0, 2), (0.9, 2)]
    computed = CVAT.replace('frame="20" keyframe="1"', 'frame="9" keyframe="0"')
    assert len(read("cvat", tmp_path, computed, videos, every_sec=None)) == 1
    late = CVAT.replace(
        'frame="0" keyframe="1" outside="0" xtl="48"', 'frame="3" outside="0" xtl="48"'
    )
    with pytest.warns(
        UserWarning, match=r"1 of 2 people are not seen at a multiple of 2 s\. Choose"
    ):
        assert len(read("cvat", tmp_path, late, videos, every_sec=2.0)) == 2
    # a region that is never turned off goes on to the end
    on = [{**STUDIO[0], "annotations": [{"result": [region(["sit"], (1, True, 0, 0, 9, 9))]}]}]
    assert len(read("label_studio", tmp_path, on, videos)) == 3


def changed(content: Any, *path: Any, to: Any) -> Any:
    made = json.loads(json.dumps(content))
    inside = made
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = to
    return made


RESULT = (0, "annotations", 0, "result", 0, "value", "sequence", 0)


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("cvat", CVAT.replace('xbr="16"', 'xbr="0"'), "xml, line 9: expected a box with x1 < x2"),
        ("cvat", CVAT.replace('ytl="0"', 'ytl="nan"'), "xml, line 17: expected a box with frame"),
        ("cvat", CVAT.replace("</meta>", "</mets>"), "xml, line 7: not xml: mismatched tag"),
        ("cvat", CVAT.replace("<width>64</width>", ""), "xml, line 8: .* `original_size`"),
        ("cvat", "<annotations><image/></annotations>", "xml, line 1: .*got one for images"),
        ("cvat", "<annotations></annotations>", "xml has no track of a person"),
        ("cvat", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "line 1: .*without a document type"),
        (
            "cvat",
            CVAT.replace('"20"', '"999999999999"'),
            "xml, line 12: expected 2,000,000 key fra",
        ),
        ("cvat", CVAT.replace('"20"', '"' + "9" * 400 + '"'), "xml, line 12: expected a box with"),
        (
            "label_studio",
            changed(STUDIO, *RESULT, "frame", to=10**15),
            r"\[0\], region 0: expected 2,000,000 key frames of all people at most",
        ),
        ("label_studio", {}, "json: expected Label Studio's json export, a list of tasks"),
        ("label_studio", [{"video": "a.mp4"}], r"json, \[0\]: expected a task with"),
        ("label_studio", changed(STUDIO, *RESULT, "x", to=None), r"\[0\], region 0: expected `seq"),
        ("label_studio", changed(STUDIO, *RESULT, "width", to=0), r"\[0\], region 0: .* x1 < x2"),
        (
            "label_studio",
            changed(STUDIO, 0, "annotations", to=[]),
            "people are not seen at|no region of a person",
        ),
        ("coco", {"images": []}, "json: expected lists `images`, `annotations` and"),
        (
            "coco",
            changed(COCO, "annotations", 2, "bbox", to=[0, 0, 0, 1]),
            r"annotations\[2\]: .*x1",
        ),
        ("coco", changed(COCO, "annotations", 2, "image_id", to=7), r"annotations\[2\]: expected"),
        ("coco", changed(COCO, "annotations", 2, "category_id", to=7), r"annotations\[2\]: expe"),
        ("coco", changed(COCO, "images", 1, "time_sec", to="x"), r"images\[1\]: expected `id`"),
        ("coco", changed(COCO, "images", 0, "width", to=0), r"images\[0\]: expected `id`"),
        ("coco", changed(COCO, "annotations", to=[]), "json has no person"),
        (
            "coco",
            changed(COCO, "images", 1, "time_sec", to=9),
            r"annotations\[2\]: expected a time",
        ),
    ],
)
def test_what_cannot_be_read_is_named(
    videos: Path, tmp_path: Path, kind: str, content: Any, said: str
) -> None:
    with pytest.raises(
        ValueError, match=rf"export\.{said}" if said[:3] in ("xml", "jso") else said
    ):
        read(kind, tmp_path, content, videos)


@pytest.mark.parametrize("every_sec", [1.0, None])
def test_all_people_of_a_file_are_counted_together(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every_sec: float | None
) -> None:
    most = (
        5 if every_sec else 4
    )  # 0, 1 and 2 s, and 0 and 1 s; or twice the two in which boxes were drawn
    monkeypatch.setattr("pytorchvideo.data._annotations.action_tracks._MOST_TIMES", most)
    assert len(read("cvat", tmp_path, CVAT, videos, every_sec=every_sec)) > 1
    monkeypatch.setattr("pytorchvideo.data._annotations.action_tracks._MOST_TIMES", most - 1)
    with pytest.raises(ValueError, match=r"expected .* key frames of all people at most"):
        read("cvat", tmp_path, CVAT, videos, every_sec=every_sec)
