# SPDX-License-Identifier: Apache-2.0
"""Videos and their targets from annotation tools: exports of Label Studio, data sets of FiftyOne."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from flash.core._former_names import one_of
from flash.core.data.utilities.classification import (
    MultiLabelTargetFormatter,
    SingleLabelTargetFormatter,
)
from flash.video.sources.base import VideoData
from flash.video.sources.files import PathLike, StageFiles, find_video, from_targets, to_predict
from pytorchvideo._checks import expected, shortened
from pytorchvideo._text import read_json
from pytorchvideo.data._annotations.video_files import is_video

if TYPE_CHECKING:
    from typing_extensions import Self


class FromAnnotations(VideoData):
    """Constructors of video data from annotation tools."""

    @classmethod
    def from_labelstudio(
        cls,
        export_json: PathLike | None = None,
        train_export_json: PathLike | None = None,
        val_export_json: PathLike | None = None,
        test_export_json: PathLike | None = None,
        predict_export_json: PathLike | None = None,
        data_folder: PathLike | None = None,
        train_data_folder: PathLike | None = None,
        val_data_folder: PathLike | None = None,
        test_data_folder: PathLike | None = None,
        predict_data_folder: PathLike | None = None,
        multi_label: bool = False,
        **options: Any,
    ) -> "Self":
        """Videos and their classes in exports ("JSON") of Label Studio.

        Args:
            export_json: tasks for training; those whose annotation is the ground truth are for testing.
            train_export_json: tasks for training only; likewise for the other stages.
            data_folder: with the uploaded files; None is that of the export.
            train_data_folder: another for one stage; likewise for the others.
            multi_label: whether a video may have several classes.

        Of several annotations of a task counts the one that is the ground truth, else the first that was not
        cancelled. Tasks without one are left out, but for those to predict.

        Raises:
            FileNotFoundError: if an export, or all of its videos, do not exist.
            TypeError: for an unknown option, or ``export_json`` together with that of training or testing.
            ValueError: for something that is no export, an annotation without a class, or with several unless
                ``multi_label``.
        """
        folders = {
            "train": train_data_folder or data_folder,
            "val": val_data_folder or data_folder,
            "test": test_data_folder or data_folder,
        }
        exports = {"train": train_export_json, "val": val_export_json, "test": test_export_json}
        stages: dict[str, StageFiles] = {}
        if export_json is not None:
            one_of("export_json", export_json, "train_export_json", train_export_json)
            tasks = labelled_tasks(export_json, folders["train"], multi_label)
            for stage, is_truth in (("train", False), ("test", True)):
                chosen = [task for task in tasks if task.is_ground_truth == is_truth]
                if chosen:
                    stages[stage] = _stage(export_json, chosen, multi_label)
        for stage, export in exports.items():
            if export is not None:
                tasks = labelled_tasks(export, folders[stage], multi_label)
                stages[stage] = _stage(export, tasks, multi_label)
        if predict_export_json is not None:
            folder = predict_data_folder or data_folder
            stages["predict"] = tasks_to_predict(predict_export_json, folder)
        return cls._of_files("from_labelstudio", stages, options)

    @classmethod
    def from_fiftyone(
        cls,
        train_dataset: Any = None,
        val_dataset: Any = None,
        test_dataset: Any = None,
        predict_dataset: Any = None,
        label_field: str = "ground_truth",
        **options: Any,
    ) -> "Self":
        """Data sets or views of videos of FiftyOne.

        Args:
            train_dataset: a data set or view; likewise for the other stages.
            label_field: its field with a ``Classification``, or ``Classifications`` for several classes.

        Raises:
            TypeError: for something else, labels of another kind, or an unknown option.
            ValueError: for a sample without a label, or no samples.
        """
        given = {
            "train": train_dataset,
            "val": val_dataset,
            "test": test_dataset,
            "predict": predict_dataset,
        }
        stages = {
            stage: from_fiftyone(dataset, stage, label_field)
            for stage, dataset in given.items()
            if dataset is not None
        }
        return cls._of_files("from_fiftyone", stages, options)


class Task(NamedTuple):
    """A labelled task of Label Studio."""

    path: str
    classes: list[str]
    is_ground_truth: bool


def labelled_tasks(file: PathLike, folder: PathLike | None, multi_label: bool) -> list[Task]:
    """The tasks of an export that have an annotation.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no export, or has no annotation; or one without a class, or with several unless
            ``multi_label``.
    """
    tasks = []
    for task in _tasks(file):
        with _named(file, task):
            usable = [a for a in task.get("annotations", []) if not a.get("was_cancelled")]
            usable.sort(key=lambda annotation: not annotation.get("ground_truth"))
            if usable:
                classes = _classes(usable[0], multi_label)
                is_truth = bool(usable[0].get("ground_truth"))
                tasks.append(Task(_video(file, task, folder), classes, is_truth))
    if not tasks:
        raise ValueError(
            f"Expected tasks with annotations in {file}, but none of its tasks has one."
        )
    return tasks


def tasks_to_predict(file: PathLike, folder: PathLike | None) -> StageFiles:
    """All tasks of an export, labelled or not."""
    videos = []
    for task in _tasks(file):
        with _named(file, task):
            videos.append(_video(file, task, folder))
    if not videos:
        raise ValueError(f"Expected tasks in {file}, but it has none.")
    return to_predict(videos)


def from_fiftyone(dataset: Any, stage: str, label_field: str) -> StageFiles:
    """The videos of a ``fiftyone`` data set or view.

    Args:
        dataset: of videos.
        stage: for ``"predict"`` labels are not looked at.
        label_field: its field with a ``Classification``, or ``Classifications`` for several classes.

    Raises:
        TypeError: for something else, or a field with labels of another kind.
        ValueError: a sample without a label, or no sample.
    """
    if not callable(getattr(dataset, "values", None)) or isinstance(dataset, dict):
        got = type(dataset).__name__
        raise TypeError(expected(f"{stage}_dataset", "a data set or view of FiftyOne", got))
    files = dataset.values("filepath")
    if stage == "predict":
        return to_predict(files)
    targets = [
        _fiftyone_classes(file, label_field, label)
        for file, label in zip(files, dataset.values(label_field), strict=True)
    ]
    videos = from_targets(stage, files, targets, (f"{stage}_dataset", label_field))
    several = isinstance(targets[0], list)
    videos.formatter = MultiLabelTargetFormatter() if several else SingleLabelTargetFormatter()
    return videos


def _fiftyone_classes(file: str, field: str, label: Any) -> str | list[str]:
    if label is None:
        raise ValueError(
            f"{file} has no label in the field {field!r}. Pass dataset.exists({field!r}) to leave such samples out."
        )
    if hasattr(label, "classifications"):
        return [str(one.label) for one in label.classifications]
    if not hasattr(label, "label"):
        wanted = "a Classification or Classifications"
        raise TypeError(f"{file}: " + expected(field, wanted, type(label).__name__))
    return str(label.label)


def _stage(file: PathLike, tasks: list[Task], multi_label: bool) -> StageFiles:
    name = os.fspath(file)
    targets = [task.classes if multi_label else task.classes[0] for task in tasks]
    files = from_targets("train", [task.path for task in tasks], targets, (name, name))
    files.formatter = MultiLabelTargetFormatter() if multi_label else SingleLabelTargetFormatter()
    return files


def _tasks(file: PathLike) -> list[dict[str, Any]]:
    tasks = read_json(os.fspath(file))
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise ValueError(
            f"Expected {file} to be an export of Label Studio (JSON): a list of tasks."
        )
    return tasks


@contextmanager
def _named(file: PathLike, task: dict[str, Any]) -> Iterator[None]:
    """Lets errors name the task; those of another form than an export's are a ValueError."""
    where = f"{file}, task {shortened(str(task.get('id', '?')))}: "
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{where}{error}") from error
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{where}not of the form of an export: {error}.") from error


def _classes(annotation: dict[str, Any], multi_label: bool) -> list[str]:
    results = annotation.get("result", [])
    given = [result.get("value", {}).get(result.get("type")) for result in results]
    # an annotation may have a comment or a rating beside its classes
    lists = [v for v in given if isinstance(v, list) and all(isinstance(n, str) for n in v)]
    if results and not lists:
        kinds = ", ".join(str(result.get("type")) for result in results)
        raise ValueError(expected("type", "choices, or another list of classes", kinds))
    classes = list(dict.fromkeys(name for names in lists for name in names))
    if not multi_label and len(classes) != 1:
        advice = "Use multi_label=True for videos with several." if classes else ""
        raise ValueError(expected("annotation", "one class", classes, advice))
    return classes


def _video(file: PathLike, task: dict[str, Any], folder: PathLike | None) -> str:
    """Where the video of a task lies: the uploaded file, or the one that its data points to."""
    name = task.get("file_upload")
    if not name:
        texts = [value for value in task.get("data", {}).values() if isinstance(value, str)]
        if not texts:
            raise ValueError("it names no video.")
        # files of a local storage are asked for as /data/local-files/?d=FOLDER/FILE
        urls = [urlsplit(text) for text in texts]
        names = [parse_qs(u.query).get("d", [unquote(u.path)])[0].lstrip("/") for u in urls]
        name = next((n for n in names if is_video(n)), names[0])
    root = Path(file).parent if folder is None else Path(folder)
    whole = find_video(str(root), str(name))
    return whole if os.path.exists(whole) else str(root / PurePosixPath(str(name)).name)
