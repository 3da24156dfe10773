# SPDX-License-Identifier: Apache-2.0
"""Annotations of Ego4D's moments as labelled windows.

Annotations: ``{"videos": [{"video_uid", "split", "clips": [{"clip_uid", "video_start_sec", "video_end_sec",
"annotations": [{"labels": [{"label", "video_start_time", "video_end_time"}]}]}]}]}``. Metadata (``ego4d.json``):
``{"videos": [{"video_uid", "duration_sec", "s3_path"}]}``.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from pytorchvideo._checks import near_names
from pytorchvideo._text import read_json, seconds

Item = dict[str, Any]


def read_moments(
    annotation_path: str,
    metadata_path: str,
    split: str,
    label_ids: Mapping[str, int],
    path_of: Callable[[str], str] | None = None,
    filtered_labels: Collection[str] | None = None,
    eligible_video_uids: Collection[str] | None = None,
) -> list[Item]:
    """Returns one item per clip and annotator's label.

    Args:
        annotation_path: json of the moments.
        metadata_path: json of the videos.
        split: videos that say that they belong to another are not used.
        label_ids: class id of each label.
        path_of: uid of a video -> its path; by default what the metadata says.
        filtered_labels: the labels to use; by default all.
        eligible_video_uids: the videos to use; by default all.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: something is missing in it, named; or a label has no id.
    """
    try:
        videos = {str(video["video_uid"]): video for video in read_json(metadata_path)["videos"]}
    except (KeyError, TypeError) as error:
        raise ValueError(f"{metadata_path}: expected videos with uids: {error!r}.") from error
    items = []
    for item in _labels(annotation_path, split):
        uid, (name,) = item["video_uid"], item["labels"]
        if eligible_video_uids is not None and uid not in eligible_video_uids:
            continue
        if filtered_labels is not None and name not in filtered_labels:
            continue
        if uid not in videos:
            raise ValueError(f"{metadata_path} has no video {uid}, which {annotation_path} names.")
        if name not in label_ids:
            raise ValueError(f"The label {name!r} has no id. {near_names(name, label_ids)}")
        about = _metadata(metadata_path, videos[uid])
        written = about.pop("path")
        path = written if path_of is None else path_of(uid)
        if path_of is None and not isinstance(path, str):
            raise ValueError(
                f"{metadata_path} does not say where {uid} lies. Give `video_path_override`."
            )
        items.append({**item, **about, "video_path": path, "labels_id": [label_ids[name]]})
    if not items:
        raise ValueError(
            f"{annotation_path} has no label that is to be used in the split {split!r}."
        )
    return items


def _labels(file: str, split: str) -> Iterator[Item]:
    """What the annotations say of every label in a split."""
    content = read_json(file)
    try:
        for video in content["videos"]:
            if video.get("split", split) != split:
                continue
            for clip in video["clips"]:
                for annotation in clip["annotations"]:
                    for label in annotation["labels"]:
                        yield _item(video, clip, label)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file}: an annotation cannot be read: {error!r}.") from error


def _item(video: Item, clip: Item, label: Item) -> Item:
    return {
        "clip_uid": clip["clip_uid"],
        "video_uid": str(video["video_uid"]),
        "clip_video_start_sec": seconds(clip["video_start_sec"]),
        "clip_video_end_sec": seconds(clip["video_end_sec"]),
        "labels": [str(label["label"])],
        "label_video_start_sec": seconds(label["video_start_time"]),
        "label_video_end_sec": seconds(label["video_end_time"]),
    }


def _metadata(file: str, video: Item) -> Item:
    """The length of a video, and where it lies if that is known."""
    try:
        path = video.get("video_path", video.get("s3_path"))
        return {"duration": seconds(video["duration_sec"]), "path": path}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file}: a video cannot be read: {error!r}.") from error
