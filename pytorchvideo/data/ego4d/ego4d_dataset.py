# SPDX-License-Identifier: Apache-2.0
"""The moments of Ego4D with frames, audio and IMU data."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import Sampler, SequentialSampler
from torchvision.transforms import CenterCrop, Compose, RandomCrop, RandomHorizontalFlip

from pytorchvideo._checks import check_choice, near_names
from pytorchvideo._text import counted, read_json, seconds
from pytorchvideo.data._annotations.left_out import warn_of_left_out
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._reading.clip_reader import Transform
from pytorchvideo.data._reading.skipped import SkippedClip
from pytorchvideo.data.clip_sampling import ClipInfo, ClipInfoList, ClipSampler
from pytorchvideo.data.ego4d.imu import Ego4dImuData
from pytorchvideo.data.ego4d.spectrogram import AUDIO_TRANSFORMS
from pytorchvideo.data.ego4d.utils import MomentsClipSampler, get_label_id_map
from pytorchvideo.data.labeled_video_dataset import LabeledVideoDataset
from pytorchvideo.data.utils import get_logger
from pytorchvideo.transforms import (
    ApplyTransformToKey,
    Div255,
    Normalize,
    RandomShortSideScale,
    ShortSideScale,
)

__all__ = ["Ego4dImuData", "Ego4dMomentsDataset"]


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


_MIN_IMU_ROWS = 200

log = get_logger(__name__)


class Ego4dMomentsDataset(LabeledVideoDataset):
    """Yields one clip per label of each annotator; a :class:`~pytorchvideo.data.LabeledVideoDataset` otherwise.

    A sample has the entries of every labelled video, and

    - ``video``: float32 (3, 30 * window_sec, 224, 224), normalised; in training of random scale, crop and flip;
    - ``clip_uid``, ``video_uid``, ``duration``, ``clip_video_start_sec``, ``clip_video_end_sec``,
      ``label_video_start_sec``, ``label_video_end_sec``, ``video_path``: as annotated;
    - ``labels`` [str], ``labels_id`` [int], ``labels_onehot`` float32 (classes,);
    - ``clip_start``, ``clip_end``: the clip, in seconds;
    - ``audio`` with ``signal`` (S,), ``spectrogram`` (F, T) and ``sampling_rate``, and ``spectrogram`` once more,
      where there is sound;
    - ``imu``: see :meth:`Ego4dImuData.get_clip`, on request.

    Clips without ``30 * window_sec`` frames, or with less than 200 rows of measurements, are skipped like bad files.

    Args:
        annotation_path: json of the moments (see ``_annotations.py``).
        metadata_path: json of the videos, ``ego4d.json``.
        split: ``"train"``, ``"val"`` or ``"test"``; only in training frames are augmented.
        decode_audio: whether samples have ``audio``.
        imu: whether samples have ``imu``.
        clip_sampler: by default :class:`MomentsClipSampler` of ``window_sec``.
        video_sampler: a sampler class; the order of the labels.
        transform: applied to each sample, whose ``video`` is then as decoded, in place of scale, crop and so on.
        decoder: see :class:`~pytorchvideo.data.encoded_video.EncodedVideo`.
        filtered_labels: the labels to use; by default all.
        window_sec: length of a clip; with 0 that of its label, and of any number of frames.
        audio_transform_type: ``"spectrogram"``, ``"melspectrogram"`` or ``"mfcc"``.
        imu_path: the folder of the measurements.
        label_id_map: class id of each label.
        label_id_map_path: the same as a json file; one of the two is needed.
        video_path_override: uid of a video -> its path; by default ``video_path`` or ``s3_path`` of the metadata.
        video_path_handler: opens a path.
        eligible_video_uids: the videos to use; by default all.
        options: the keyword-only arguments of :class:`~pytorchvideo.data.LabeledVideoDataset`.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a wrong argument, or a file that cannot be read. Labels of videos without measurements are left
            out, warned of once, and listed in ``skipped``.
    """

    VIDEO_FPS = 30
    AUDIO_FPS = 48000

    def __init__(
        self,
        annotation_path: str,
        metadata_path: str,
        split: str | None = None,
        decode_audio: bool = True,
        imu: bool = False,
        clip_sampler: ClipSampler | None = None,
        video_sampler: Callable[[Any], Sampler] = SequentialSampler,
        transform: Transform | None = None,
        decoder: str = "pyav",
        filtered_labels: Collection[str] | None = None,
        window_sec: float = 10,
        audio_transform_type: str = "melspectrogram",
        imu_path: str | None = None,
        label_id_map: Mapping[str, int] | None = None,
        label_id_map_path: str | None = None,
        video_path_override: Callable[[str], str] | None = None,
        video_path_handler: Any = None,
        eligible_video_uids: Collection[str] | None = None,
        **options: Any,
    ) -> None:
        check_choice("split", str(split), ("train", "val", "test"))
        check_choice("audio_transform_type", audio_transform_type, AUDIO_TRANSFORMS)
        if (label_id_map is None) == (label_id_map_path is None):
            raise ValueError("Expected one of `label_id_map` and `label_id_map_path`.")
        if imu and imu_path is None:
            raise ValueError(
                "Expected `imu_path`, the folder of the measurements, with `imu=True`."
            )
        self._label_ids = label_id_map or get_label_id_map(str(label_id_map_path))
        self._imu = Ego4dImuData(imu_path) if imu and imu_path is not None else None
        self._num_frames = round(self.VIDEO_FPS * window_sec)
        self._audio_transform = AUDIO_TRANSFORMS[audio_transform_type]
        self._after = _picture_transform(split == "train") if transform is None else transform
        items = read_moments(
            annotation_path,
            metadata_path,
            str(split),
            self._label_ids,
            video_path_override,
            filtered_labels,
            eligible_video_uids,
        )
        items, left_out = self._with_imu(items)
        super().__init__(
            [(item["video_path"], item) for item in items],
            MomentsClipSampler(window_sec) if clip_sampler is None else clip_sampler,
            video_sampler,
            self._finish,
            decode_audio=decode_audio,
            decoder=decoder,
            describe=_with_times,
            **options,
        )
        if video_path_handler is not None:
            self.video_path_handler = video_path_handler
        for video in left_out:
            self.reader.skip_log.add(video, quietly=True)

    def _with_imu(
        self, items: list[dict[str, Any]]
    ) -> tuple[list[dict[str, Any]], list[SkippedClip]]:
        """The items that have what is asked for, and the videos that have not."""
        imu = self._imu
        if imu is None:
            return items, []
        paths = {item["video_uid"]: item["video_path"] for item in items}
        missing = {uid for uid in paths if not imu.has_imu(uid)}
        left_out = [SkippedClip(paths[uid], "it has no measurements.") for uid in sorted(missing)]
        warn_of_left_out(left_out, len(paths))
        return [item for item in items if item["video_uid"] not in missing], left_out

    def _finish(self, sample: dict[str, Any]) -> Any:
        """Adds what is made of a decoded clip; None for a clip that is skipped."""
        reason = self._fault(sample)
        if reason:
            start, end = sample["clip_start"], sample["clip_end"]
            self.reader.skip_log.add(SkippedClip(sample["video_path"], reason, start, end))
            if self.reader.skip_log.on_error == "raise":
                raise VideoError(f"{sample['video_path']}, {start:g} to {end:g} s: {reason}")
            return None
        sample["labels_onehot"] = torch.zeros(max(self._label_ids.values()) + 1)
        sample["labels_onehot"][sample["labels_id"]] = 1
        if "audio" in sample:
            signal = sample["audio"]
            sample["spectrogram"] = self._audio_transform(signal, self.AUDIO_FPS)
            sample["audio"] = {
                "signal": signal,
                "spectrogram": sample["spectrogram"],
                "sampling_rate": self.AUDIO_FPS,
            }
        return self._after(sample)

    def _fault(self, sample: dict[str, Any]) -> str:
        """Why a clip cannot be used; reads the measurements."""
        count = sample["video"].shape[1]
        if self._num_frames and count != self._num_frames:
            return f"a clip has {counted(count, 'frame')}, not {self._num_frames}."
        if self._imu is not None:
            times = sample["clip_start"], sample["clip_end"]
            try:
                sample["imu"] = self._imu.get_clip(sample["video_uid"], *times)
            except ValueError as error:
                return str(error)
            rows = len(sample["imu"]["signal"])
            if rows < _MIN_IMU_ROWS:
                return f"a clip has {counted(rows, 'row')} of measurements, not {_MIN_IMU_ROWS} at least."
        return ""


def _with_times(
    info: dict[str, Any], window: ClipInfo | ClipInfoList, clip: dict[str, Any]
) -> dict[str, Any]:
    times = float(window.clip_start_sec), float(window.clip_end_sec)  # type: ignore[arg-type]
    return {**info, "clip_start": times[0], "clip_end": times[1]}


def _picture_transform(train: bool) -> Transform:
    """Scale, crop and, in training, flip of the frames of a sample."""
    size: list[Any] = [ShortSideScale(256), CenterCrop(224)]
    if train:
        size = [RandomShortSideScale(256, 320), RandomCrop(224), RandomHorizontalFlip()]
    frames = Compose([Div255(), Normalize((0.45,) * 3, (0.225,) * 3), *size])
    return ApplyTransformToKey("video", frames)
