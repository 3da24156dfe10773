# SPDX-License-Identifier: Apache-2.0
"""Lists of labelled videos: every format that is read, and every line that is refused."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo.data.labeled_video_paths import LabeledVideoPaths

Pairs = list[tuple[str, int]]


def read(tmp_path: Path, text: str) -> LabeledVideoPaths:
    file = tmp_path / "list.csv"
    file.write_text(text, encoding="utf-8")
    return LabeledVideoPaths.from_path(file)


def pairs(videos: LabeledVideoPaths) -> Pairs:
    return [(path, info["label"]) for path, info in (videos[i] for i in range(len(videos)))]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a.mp4 0\nb c.avi 12\n", [("a.mp4", 0), ("b c.avi", 12)]),
        ("\n  \na.mp4 0\r\n\r\nb.mp4 1\n\n", [("a.mp4", 0), ("b.mp4", 1)]),
        ("a.mp4\nb.mp4 1", [("a.mp4", -1), ("b.mp4", 1)]),
        ("my video.mp4\nother video.webm\n", [("my video.mp4", -1), ("other video.webm", -1)]),
        ("a.mp4\t0\nb c.mp4\t1", [("a.mp4", 0), ("b c.mp4", 1)]),
        ("a,b.mp4 0\nc.mp4 1", [("a,b.mp4", 0), ("c.mp4", 1)]),
        ("frames/one 0\nframes/two 1", [("frames/one", 0), ("frames/two", 1)]),
        ("path label\na.mp4 4\n", [("a.mp4", 4)]),
        ("video 3\naudio 4", [("video", 3), ("audio", 4)]),
        ("a.mp4,0\nb c.mp4,1\n", [("a.mp4", 0), ("b c.mp4", 1)]),
        ("a.mp4, 0\nb.mp4 , 1\n", [("a.mp4", 0), ("b.mp4", 1)]),
        ("path,label\na.mp4,5\n", [("a.mp4", 5)]),
        ("Label,Split,Path\n5,train,a.mp4\n7,training,b.mp4", [("a.mp4", 5), ("b.mp4", 7)]),
        # as strangers write them: a German Excel, pandas with its index, quotes, comments, an old Mac, TSN's spaces
        ("\ufeffpath;label\r\na b.mp4;1\r\nc.mp4;2\r\n", [("a b.mp4", 1), ("c.mp4", 2)]),
        ("path;label;;\na.mp4;1;;\nb.mp4;;;\n", [("a.mp4", 1), ("b.mp4", -1)]),
        ('a.mp4;0\n"b;c.mp4";1', [("a.mp4", 0), ("b;c.mp4", 1)]),
        (",path,label\n0,a.mp4,3\n1,b.mp4,4\n", [("a.mp4", 3), ("b.mp4", 4)]),
        ("Unnamed: 0,video path,label\n0,a.mp4,3\n", [("a.mp4", 3)]),
        ("path,label\na.mp4,0.0\nb.mp4,1.0\nc.mp4,\n", [("a.mp4", 0), ("b.mp4", 1), ("c.mp4", -1)]),
        ("a.mp4 0.0\nb.mp4 1.\n", [("a.mp4", 0), ("b.mp4", 1)]),
        ('"a b.mp4" 0\n"c.mp4"\t1\n', [("a b.mp4", 0), ("c.mp4", 1)]),
        ("# videos of May\n#\na.mp4 0\n# b.mp4 1\n#c.mp4 2", [("a.mp4", 0), ("#c.mp4", 2)]),
        ("# a comment\npath,label\na.mp4,5\n", [("a.mp4", 5)]),
        ("a.mp4 0\rb.mp4 1\r", [("a.mp4", 0), ("b.mp4", 1)]),
        ("a.mp4 0   \nb.mp4   1\t\n", [("a.mp4", 0), ("b.mp4", 1)]),
        ("path\tlabel\na b.mp4\t1\n", [("a b.mp4", 1)]),
        ("a.mp4\t0\nb c.mp4 1", [("a.mp4", 0), ("b c.mp4", 1)]),
        ("C:\\clips\\a b.MP4 7", [("C:\\clips\\a b.MP4", 7)]),
        ("clips/a;b.ts 1\nclips/c.MTS 2", [("clips/a;b.ts", 1), ("clips/c.MTS", 2)]),
        ("a.mp4\nb.mp4,1", [("a.mp4", -1), ("b.mp4", 1)]),
        ("v_1.mp4 v_2.mp4 3", [("v_1.mp4 v_2.mp4", 3)]),
        ("my frames/run 12 3\n", [("my frames/run 12", 3)]),
        ("a 1,2\nb 3, 4\n", [("a 1", 2), ("b 3", 4)]),
        ('"a, b.mp4",2\nc.mp4,3\n', [("a, b.mp4", 2), ("c.mp4", 3)]),
        ("a.mp4,3\nb.mp4,\n", [("a.mp4", 3), ("b.mp4", -1)]),
        ("\ufeffa.mp4 1", [("a.mp4", 1)]),
        ("s3://bucket/a.mp4 1", [("s3://bucket/a.mp4", 1)]),
    ],
)
def test_formats(tmp_path: Path, text: str, wanted: Pairs) -> None:
    videos = read(tmp_path, text)
    assert pairs(videos) == wanted
    assert videos.class_names is None


@pytest.mark.parametrize(
    "text",
    [
        "a.mp4 walk\nb.mp4 run\nc.mp4 walk\nd.mp4",
        "a.mp4,walk\nb.mp4,run\nc.mp4,walk\nd.mp4,",
        "video,class\na.mp4,walk\nb.mp4,run\nc.mp4,walk\nd.mp4,\n",
        "a.mp4\twalk\nb.mp4\trun\nc.mp4\twalk\nd.mp4",
    ],
)
def test_names_get_sorted_ids(tmp_path: Path, text: str) -> None:
    videos = read(tmp_path, text)
    assert videos.class_names == ["run", "walk"]
    assert pairs(videos) == [("a.mp4", 1), ("b.mp4", 0), ("c.mp4", 1), ("d.mp4", -1)]


@pytest.mark.parametrize(
    "text",
    [
        "a.mp4,arm wrestling\nb.mp4,cooking",
        "a.mp4\tarm wrestling\nb.mp4\tcooking",
        "a.mp4 arm wrestling\nb.mp4 cooking",
        'a b.mp4 "arm wrestling"\nb.mp4 cooking',
        "frames/a;arm wrestling\nframes/b;cooking",
        "frames/a,arm wrestling\nframes/b,cooking",
        '"a, b.mp4";"arm wrestling"\nb.mp4;cooking',
    ],
)
def test_names_with_spaces(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).class_names == ["arm wrestling", "cooking"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "list.csv lists no video"),
        ("\n \n", "list.csv lists no video"),
        ("path,label\n", "list.csv lists no video"),
        (
            "a.mp4 0\n\nb.mp4 x\n",
            r"list.csv, line 3: .*a class number after the path, as in .*b.mp4 x",
        ),
        ("a.mp4 x\nb.mp4 1\n", r"list.csv, line 2: .*a class name after the path, as in"),
        ("a.mp4 1.5\n", r"list.csv, line 1: .*'a.mp4 1.5'"),
        ("a.mp4 0\nb.mp4,1\n", r"list.csv, line 2: .*a space between path and label.*'b.mp4,1'"),
        ("a.mp4,0\nbroken\n", r"list.csv, line 2: .*2 columns with a path.*'broken'"),
        ("a.mp4,0\nb.mp4,1,2\n", r"list.csv, line 2: .*two columns"),
        ("a.mp4,0\n,1\n", r"list.csv, line 2: .*with a path, but got ',1'"),
        ("a.mp4,0,train\n", r"list.csv, line 1: .*a header `path,label`"),
        (
            "path,label,fps\na.mp4,0,25\n",
            r"list.csv, line 1: .*a split, but got 'fps'.*Leave it out",
        ),
        ("Clip ID,label\na.mp4,0\n", r"list.csv, line 1: .*but got 'Clip ID'"),
        ("label,split\n0,train\n", r"list.csv, line 1: .*a column `path`.*'label,split'"),
        (
            "path,class_id,class\na.mp4,0,run\n",
            r"line 1: .*one column with the label.*'class_id' and 'class'",
        ),
        ("path label split\na.mp4 0 train\n", r"list.csv, line 1: .*commas or tabs"),
        ("path,label,split\na.mp4,0,train\nb.mp4,1,\n", r"line 3: .*a split, such as train"),
        ("path;label\na.mp4;0\nb.mp4\n", r"list.csv, line 3: .*2 columns with a path.*'b.mp4'"),
        ('a.mp4,"0\nb.mp4,1\n', r"list.csv, line 1: .*quotes that are closed.*'a.mp4,\"0'"),
        ("a.mp4 run\nb.mp4,walk\n", r"list.csv, line 2: .*a space between path and label"),
        ("# May\nframes/a ice skating\n", r"list.csv, line 2: .*a tab or a comma before the label"),
        (f"a.mp4 {'9' * 19}\n", r"list.csv, line 1: .*a class number of at most 18 digits"),
        (
            f"a.mp4 1\nb.mp4 {'9' * 5000}\n",
            r"list.csv, line 2: .*a class number after the path, as in",
        ),
        ("a.mp4 0 1\nb.mp4 1000000\n", r"list.csv, line 2: .*class numbers in 0\.\.999999"),
        (f"path,label\na,b\n{'x' * 131073},c\n", r"list.csv, line 3: expected fields of at most"),
        ("a.mp4 0 1\nb.mp4 -1\n", r"list.csv, line 2: .*class numbers in 0\.\.999999"),
        ("youtube_id,time_start\nabc,0\n", r"list.csv, line 1: .*youtube_id, time_start, time_end"),
        (
            "label,youtube_id,time_start,time_end,split\nrun,abc,0,ten,train\n",
            r"list.csv, line 2: .*times in whole seconds.*'run,abc,0,ten,train'",
        ),
        ("a.mp4\x000\n", r"list.csv is not a text file"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "a.mp4 1 3\nb.mp4 0\nc.mp4\n",
        "a.mp4,1 3\nb.mp4,0\nc.mp4,\n",
        'a.mp4,"1,3"\nb.mp4,0\nc.mp4,\n',
        "path;labels\na.mp4;1,3\nb.mp4;0\nc.mp4;\n",
        "a.mp4\t1 3\nb.mp4\t0\nc.mp4\n",
    ],
)
def test_several_numbers_are_several_classes(tmp_path: Path, text: str) -> None:
    videos = read(tmp_path, text)
    assert (videos.multi_label, videos.num_classes) == (True, 4)
    assert videos.targets() == [[1, 3], [0], []]
    labels = [videos[i][1]["label"] for i in range(3)]
    assert [videos[i][0] for i in range(3)] == ["a.mp4", "b.mp4", "c.mp4"]
    assert torch.stack(labels).equal(torch.tensor([[0.0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]]))


SPLIT = (
    "path,label,split\na.mp4,walk,train\nb.mp4,run,validation\nc.mp4,walk,val\nd.mp4,jump,fold1\n"
)


def test_a_split_is_honoured_or_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"list.csv has .* splits \(train, val, fold1\). Say"):
        read(tmp_path, SPLIT)
    file = tmp_path / "list.csv"
    val = LabeledVideoPaths.from_path(file, split="valid")
    # the numbers are those of the whole list, whose first class is jump
    assert pairs(val) == [("b.mp4", 1), ("c.mp4", 2)]
    assert (val.class_names, val.splits) == (["jump", "run", "walk"], ("train", "val", "fold1"))
    assert pairs(LabeledVideoPaths.from_path(file, split="fold1")) == [("d.mp4", 0)]
    assert len(LabeledVideoPaths.from_csv(file, split="all")) == 4
    assert val.line(1) == f"{file}, line 4"
    with pytest.raises(ValueError, match=r"`split` to be one of train, val, fold1, but got 'test'"):
        LabeledVideoPaths.from_csv(file, split="test")
    file.write_text("a.mp4 0\n")
    with pytest.raises(ValueError, match="`split` to be None, since it has no column"):
        LabeledVideoPaths.from_csv(file, split="train")
    with pytest.raises(ValueError, match="None for a folder"):
        LabeledVideoPaths.from_path(tmp_path, split="train")


KINETICS = """label,youtube_id,time_start,time_end,split
"playing ""air"" guitar",-abc_DEF123,12,22,train
ice skating,0wR5jVB-WPk,417,427,train
ice skating,gone0000000,5,15,train
"""


def test_official_lists_of_kinetics(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    make_files(
        folder,
        "-abc_DEF123_000012_000022.mp4",
        "ice skating/0wR5jVB-WPk_000417_000427.mkv",
        "ice skating/unlisted.mp4",
    )
    videos = read(tmp_path, KINETICS)
    videos.path_prefix = folder
    with pytest.warns(
        UserWarning, match=r"1 of the 3 clips .* left out.*gone0000000_000005_000015"
    ):
        videos.check_any_exists()
    assert pairs(videos) == [
        (str(folder / "-abc_DEF123_000012_000022.mp4"), 1),
        (str(folder / "ice skating" / "0wR5jVB-WPk_000417_000427.mkv"), 0),
    ]
    assert videos.class_names == ["ice skating", 'playing "air" guitar']
    assert [clip.path for clip in videos.left_out] == ["gone0000000_000005_000015"]
    # without a folder it is that of the list
    with pytest.warns(UserWarning, match="1 of the 3 clips"):
        assert len(read(tmp_path, KINETICS)) == 2
    videos.path_prefix = tmp_path / "elsewhere"
    with pytest.raises(
        FileNotFoundError, match=r"None of the 3 clips .*-abc_DEF123_000012_000022.* videos\.$"
    ):
        len(videos)
    videos.prefix_argument = "video_path_prefix"
    with pytest.raises(FileNotFoundError, match=r"or name that as `video_path_prefix`\.$"):
        len(videos)


def test_the_test_list_of_kinetics_has_no_labels(tmp_path: Path) -> None:
    make_files(tmp_path, "a_000001_000011.mp4")
    videos = read(tmp_path, "youtube_id,time_start,time_end,split,is_cc\na,1.0,11.0,test,0\n")
    assert pairs(videos) == [(str(tmp_path / "a_000001_000011.mp4"), -1)]


def test_lists_of_frames_with_their_number_are_recognised(tmp_path: Path) -> None:
    make_files(tmp_path, "some/directory-1/img_00001.jpg")
    videos = read(tmp_path, "some/directory-1 163 1\nsome/directory-2 122 1\n")
    with pytest.raises(FileNotFoundError, match=r"folder frames label.*leave out the number"):
        videos.check_any_exists()


def test_other_files_are_no_lists(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"id": "1", "template": "Pushing [something]"}]')
    with pytest.raises(ValueError, match=r"a\.json is json.*from_json"):
        LabeledVideoPaths.from_csv(tmp_path / "a.json")
    (tmp_path / "a.csv").write_bytes(
        "a.mp4\t1\n".encode("utf-16")
    )  # "Unicode text" of a spreadsheet
    with pytest.raises(ValueError, match=r"a\.csv is not a text file in UTF-8"):
        LabeledVideoPaths.from_csv(tmp_path / "a.csv")


def test_a_video_is_not_a_list(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\x00\x00\x00\x20ftypisom\xff\xfe\x80")
    with pytest.raises(ValueError, match=r"a\.mp4 is not a text file"):
        LabeledVideoPaths.from_path(tmp_path / "a.mp4")


words = st.text(st.characters(categories=("L", "N"), include_characters="-_/"), min_size=1)


@given(
    st.lists(st.tuples(st.lists(words, min_size=1, max_size=3), st.integers(0, 999)), min_size=1)
)
def test_path_label_lines_round_trip(
    tmp_path_factory: pytest.TempPathFactory, items: list[tuple[list[str], int]]
) -> None:
    wanted = [(" ".join(parts) + ".mp4", label) for parts, label in items]
    text = "".join(f"{path} {label}\n" for path, label in wanted)
    got = read(tmp_path_factory.mktemp("round"), text)
    assert [pair for pair, _ in zip(got._paths_and_labels, wanted, strict=True)] == wanted


# -- where the videos are ------------------------------------------------------------------------


def test_prefix_is_joined(tmp_path: Path) -> None:
    videos = read(tmp_path, "a.mp4 0\n/abs/b.mp4 1\n")
    videos.path_prefix = "root"
    assert pairs(videos) == [(os.path.join("root", "a.mp4"), 0), ("/abs/b.mp4", 1)]


def test_paths_beside_the_list_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    for name in ("a.mp4", "here/b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    videos = read(tmp_path, "a.mp4 0\nb.mp4 1\nc.mp4 2\n")
    monkeypatch.chdir(tmp_path / "here")
    # beside the list; where the program runs; nowhere, so as written
    assert pairs(videos) == [(str(tmp_path / "a.mp4"), 0), ("b.mp4", 1), ("c.mp4", 2)]
    (tmp_path / "b.mp4").write_bytes(b"x")
    assert videos[1][0] == "b.mp4"
    videos.path_prefix = "elsewhere"
    assert videos[0][0] == os.path.join("elsewhere", "a.mp4")


def test_a_list_of_missing_videos(tmp_path: Path) -> None:
    videos = read(tmp_path, "a.mp4 0\nb.mp4 1\n")
    with pytest.raises(
        FileNotFoundError, match=r"None of the 2 videos of .*list\.csv .*'a\.mp4'.* at the list\.$"
    ):
        videos.check_any_exists()
    videos.prefix_argument = "video_path_prefix"
    with pytest.raises(FileNotFoundError, match="`video_path_prefix` names another folder"):
        videos.check_any_exists()
    (tmp_path / "b.mp4").write_bytes(b"x")
    videos.check_any_exists()
    LabeledVideoPaths([("s3://bucket/a.mp4", 0)]).check_any_exists()


def test_missing_path() -> None:
    with pytest.raises(FileNotFoundError, match=r"no file and no folder 'nowhere'"):
        LabeledVideoPaths.from_path("nowhere")


# -- folders -------------------------------------------------------------------------------------


def make_files(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def test_folder_per_class(tmp_path: Path) -> None:
    make_files(
        tmp_path,
        "walk/b.MP4",
        "walk/a.avi",
        "run/deep/c.webm",
        "run/d.mkv",
        "run/e.mov",
        "run/f.m4v",
        "run/g.mpg",
        "run/h.mpeg",
        "run/notes.txt",
        "run/._d.mkv",
        ".cache/x.mp4",
        "readme.mp4",
    )
    # hidden files and what lies beside the classes do not count
    with pytest.warns(UserWarning, match=r": 1 file is left out, since .* 1 x \.txt\."):
        videos = LabeledVideoPaths.from_path(tmp_path)
    assert videos.class_names == ["run", "walk"]
    got = [(str(Path(path).relative_to(tmp_path)), label) for path, label in pairs(videos)]
    assert got == [
        ("run/d.mkv", 0),
        ("run/e.mov", 0),
        ("run/f.m4v", 0),
        ("run/g.mpg", 0),
        ("run/h.mpeg", 0),
        (os.path.join("run", "deep", "c.webm"), 0),
        ("walk/a.avi", 1),
        ("walk/b.MP4", 1),
    ]
    assert repr(videos) == "LabeledVideoPaths(8 videos, 2 classes)"


def test_one_class_is_enough(tmp_path: Path) -> None:
    make_files(tmp_path, "walk/a.mp4")
    assert len(LabeledVideoPaths.from_directory(tmp_path)) == 1


def test_class_without_videos_is_named(tmp_path: Path) -> None:
    make_files(tmp_path, "walk/a.mp4", "run/notes.txt", "run/b.jpg", "run/c.JPG")
    with pytest.raises(ValueError, match=r"class folder .*run has no video.*2 x \.jpg, 1 x \.txt"):
        LabeledVideoPaths.from_directory(tmp_path)


def test_folder_without_classes(tmp_path: Path) -> None:
    make_files(tmp_path, "a.mp4")
    with pytest.raises(ValueError, match=r"has no subfolder. Expected one subfolder of videos"):
        LabeledVideoPaths.from_directory(tmp_path)
    with pytest.raises(NotADirectoryError, match=r"a\.mp4 is not a folder"):
        LabeledVideoPaths.from_directory(tmp_path / "a.mp4")
    make_files(tmp_path, "shard-000000.tar", "walk/shard-000000.tar")
    with pytest.raises(ValueError, match=r"1 x \.tar\. Shards are read by .*ShardedVideos"):
        LabeledVideoPaths.from_directory(tmp_path)
    with pytest.raises(ValueError, match=r"no subfolder.* Shards are read by .*ShardedVideos"):
        LabeledVideoPaths.from_directory(tmp_path / "walk")
