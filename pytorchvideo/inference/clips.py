# SPDX-License-Identifier: Apache-2.0
"""Clips of many videos in batches, read in worker processes: what predictions, embeddings and timelines share.

::

    videos ── windows of each ── clips ── views ── batches that span videos ── model ── a row a clip, videos in order
    └─────────────── read_clips: in workers, or here ───────────────┘└───────────── rows_of_videos ──────────────┘

However many videos there are, and however long, no more clips are in memory than are read ahead and in a batch.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from pytorchvideo._checks import expected
from pytorchvideo._machine import DEAD_WORKER, is_of_dead_worker
from pytorchvideo._processes import EndWithParent, shielded
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._decode._images import holds_images
from pytorchvideo.data._reading.empty_windows import EmptyWindowError, frame_on_show, with_frames
from pytorchvideo.data._reading.in_order import clips_in_order
from pytorchvideo.data._reading.picked import picked_clips
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.frame_video import FrameVideo
from pytorchvideo.data.windows import FrameRule, WindowRule
from pytorchvideo.transforms._pipeline import run
from pytorchvideo.transforms._pushdown import clip_reading
from pytorchvideo.transforms._sample import ApplyTransformToKey, UniformCrop
from pytorchvideo.transforms.clip_recipe import ClipRecipe

if TYPE_CHECKING:
    from torchvision.transforms import Compose

#: The model inputs of a clip's views, from the number of its video, that of its window, and frames float32
#: (3, T, H, W) in 0..255.
Views: TypeAlias = Callable[[int, int, Tensor], list[Any]]

#: Frames a second of folders of frames, unless it is said.
FRAMES_FPS = 30.0
_AHEAD = 2  # clips of each worker that are read before they are asked for
_FEW_CORES = 4


@dataclass(frozen=True)
class Clip:
    """A clip of a video.

    Attributes:
        video: the number of its video.
        window: its start and end in seconds.
        views: the model inputs of its views; none where it cannot be read.
        error: why it cannot be read.
    """

    video: int
    window: tuple[float, float]
    views: Sequence[Any]
    error: Exception | None = None


@dataclass(frozen=True)
class End:
    """No clip of a video follows.

    Attributes:
        video: its number.
        error: why it cannot be read, or not further.
    """

    video: int
    error: Exception | None = None


@dataclass(frozen=True)
class VideoRows:
    """What a model makes of the clips of a video.

    Attributes:
        video: its number.
        windows: start and end of each clip in seconds.
        rows: one (N,) for each clip.
        error: why the video cannot be read; it has no rows then.
    """

    video: int
    windows: list[tuple[float, float]]
    rows: list[Tensor]
    error: Exception | None = None


class CropViews:
    """The views of a clip that a recipe makes: its centre, or both sides too.

    Args:
        recipe: the clips of the model.
        views: 1 or 3.
        positions: of the crops, see :class:`~pytorchvideo.transforms.UniformCrop`, in the place of ``views``. The
            centre of one is rounded up, which that of torchvision is not.

    Raises:
        ValueError: several views, and a recipe that leaves pictures whole.
    """

    def __init__(
        self,
        recipe: ClipRecipe,
        views: int = 1,
        *,
        positions: Sequence[int] | None = None,
    ) -> None:
        if views != 1 and recipe.crop_size is None:
            raise ValueError(expected("views", "1 for pictures that are left whole", views))
        self._recipe = recipe
        if positions is None and views > 1:
            positions = range(views)
        self._positions = None if recipe.crop_size is None else positions
        before, ways = self._split(recipe.evaluation_steps())
        self._before, self._ways = nn.Sequential(*before), [nn.Sequential(*way) for way in ways]

    def _split(self, steps: list[Any]) -> tuple[list[Any], list[list[Any]]]:
        """The steps that all views have in common, and those of each from the crop on."""
        is_whole = self._recipe.crop_size is None
        place = len(steps) if is_whole else len(steps) - 1 - len(self._recipe.pathway_steps())
        before, ways = steps[:place], [steps[place:]]
        if self._positions is not None and self._recipe.crop_size is not None:
            crops = [UniformCrop(self._recipe.crop_size, position) for position in self._positions]
            ways = [[crop, *steps[place + 1 :]] for crop in crops]
        return before, ways

    def transforms(self) -> "list[Compose]":
        """Returns the whole transform of each view."""
        from torchvision.transforms import Compose

        before, ways = self._split(self._recipe.transforms().transforms)
        return [Compose([*before, *way]) for way in ways]

    def __call__(self, video: int, number: int, frames: Tensor) -> list[Any]:
        """Returns the input of each view; what they have in common is computed once.

        Frames are divided and normalised when they have been scaled and cut, on few pixels; see ``_pipeline.py``.
        """
        if len(self._ways) == 1:
            return [run(nn.Sequential(self._before, self._ways[0]), frames, is_clip=True)]
        common = run(self._before, frames, is_clip=True)
        return [run(way, common, is_clip=True) for way in self._ways]


def read_clips(
    videos: Sequence[str | os.PathLike[str]],
    windows: WindowRule | FrameRule,
    recipe: ClipRecipe,
    *,
    views: Views | int = 1,
    workers: int = 0,
    batch_size: int = 4,
    every_window: bool = False,
    fps: float = FRAMES_FPS,
) -> Iterator[Clip | End]:
    """Yields the clips of videos, those of each in the order of its windows, then its end.

    With several workers the clips of several videos come by turns, the same way each time.

    Args:
        videos: files, or folders of frames.
        windows: of each; or a rule that gives the frames of each clip by their numbers.
        recipe: what a clip must be.
        views: 1 looks at the centre of the picture, 3 also at both sides; or a function.
        workers: processes that read; 0 reads in this one.
        batch_size: clips that are going to be used at once.
        every_window: a clip for each window. One in which no frame begins has the frame on show, and one that is
            damaged an error. Otherwise, windows without a frame are left out, except the middle one where all are so,
            and a video ends with what is damaged.
        fps: frames a second of folders of frames.

    Raises:
        RuntimeError: a worker was killed.
        MachineError: this machine has run out of memory or files.
        ValueError: the recipe has not so many views.
    """
    maker = CropViews(recipe, views) if isinstance(views, int) else views
    names = [os.fspath(video) for video in videos]
    source = _Videos(names, windows, recipe, maker, every_window, fps)
    workers = min(workers, len(names))
    if workers < 1:
        yield from source
        return
    loader = DataLoader(
        source,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=max(_AHEAD, -(-batch_size // workers)),
        worker_init_fn=EndWithParent(),
    )
    with shielded():
        found = iter(loader)
    with _threads_beside(workers):
        while True:
            try:
                item = next(found)
            except StopIteration:
                return
            except (EOFError, OSError) as error:
                if is_of_dead_worker(error):
                    raise RuntimeError(DEAD_WORKER) from error
                raise
            yield item


@contextmanager
def _threads_beside(workers: int) -> Iterator[None]:
    """Leaves the model the threads whose cores no worker needs; all of them are there again afterwards.

    Threads that wait for one whose core a worker has got cost more than they are worth.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads - workers))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def clips_of_video(
    video: EncodedVideo | FrameVideo,
    windows: Sequence[tuple[float, float]],
    recipe: ClipRecipe,
    views: Views,
    *,
    number: int = 0,
    every_window: bool = False,
    first: int = 0,
) -> Iterator[Clip]:
    """Yields the clips of a video that is open, which takes least memory with ``dtype=torch.uint8``.

    Args:
        video: the file.
        windows: of it.
        recipe: what a clip must be.
        views: of each clip.
        number: of the video.
        every_window: see :func:`read_clips`.
        first: the window to begin with.

    Raises:
        VideoError: it is damaged, without ``every_window``.
    """
    # the recipe keeps few frames of a clip, and these small
    steps = nn.Sequential(*recipe.evaluation_steps())
    reading = clip_reading(ApplyTransformToKey("video", steps))
    is_empty = True
    for place, found in enumerate(clips_in_order(video, windows, first=first, **reading), first):
        window = windows[place]
        frames = _on_show(video, window, found) if every_window else found
        if isinstance(frames, Tensor):
            is_empty = False
            yield Clip(number, window, views(number, place, frames))
        elif every_window:
            yield Clip(number, window, (), frames)
        elif not isinstance(frames, EmptyWindowError):
            raise frames
    if is_empty and not every_window:  # a time lapse, or a pause
        middle = len(windows) // 2
        still = frame_on_show(video, windows[middle][0])
        yield Clip(number, windows[middle], views(number, middle, still))


def rows_of_videos(
    items: Iterable[Clip | End],
    score: Callable[[list[Sequence[Any]]], Tensor],
    batch_size: int,
) -> Iterator[VideoRows]:
    """Yields what a model makes of the clips of each video, in the order of the videos.

    Args:
        items: what :func:`read_clips` yields.
        score: the views of up to ``batch_size`` clips -> (clips, N).
        batch_size: clips at once, of one video or of several.
    """
    known: dict[int, VideoRows] = {}
    ended: set[int] = set()
    batch: list[Clip] = []
    following = 0

    def flush() -> None:
        if batch:
            for clip, row in zip(batch, score([clip.views for clip in batch]), strict=True):
                known[clip.video].windows.append(clip.window)
                known[clip.video].rows.append(row)
            batch.clear()

    for item in items:
        of_video = known.setdefault(item.video, VideoRows(item.video, [], []))
        if item.error is not None and of_video.error is None:
            known[item.video] = VideoRows(item.video, [], [], item.error)
            batch[:] = [clip for clip in batch if clip.video != item.video]
        if isinstance(item, End):
            ended.add(item.video)
        elif known[item.video].error is None:
            batch.append(item)
            if len(batch) == batch_size:
                flush()
        waiting = {clip.video for clip in batch}
        while following in ended and following not in waiting:
            yield known.pop(following)
            following += 1
    flush()
    yield from (known.pop(number) for number in sorted(known))


def workers_for(
    videos: int, recipe: ClipRecipe, views: int = 1, *, model: nn.Module | None = None
) -> int:
    """Returns how many processes had best read videos: none for a single one, otherwise half of the cores.

    The model has the other half. On fewer than four cores there are none beside PyTorch, whose threads use all of them
    (on two, workers made it 0.73 to 0.78 times as fast), and one a core beside OpenVINO (1.41 times as fast;
    ``benchmarks/inference.py``).
    Fewer, if the clips that they hand over would not fit into shared memory, which is small in some containers.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = cores or 1
    if videos < 2 or cores < 2 or (cores < _FEW_CORES and not _is_of_openvino(model)):
        return 0
    workers = min(cores // 2 if cores >= _FEW_CORES else cores, videos)
    shared = Path("/dev/shm")
    if shared.is_dir():
        side = (
            recipe.crop_size or 2 * recipe.side_size
        )  # whole pictures are wider than they are high
        clip = 4 * 3 * recipe.num_frames * side**2 * views * len(recipe.pathway_ratio or (1,))
        workers = min(workers, shutil.disk_usage(shared).free // (2 * (_AHEAD + 2) * clip))
    return workers


def _is_of_openvino(model: nn.Module | None) -> bool:
    """Whether it is an artefact of OpenVINO; asked without loading the runtimes."""
    return getattr(getattr(model, "info", None), "runtime", None) == "openvino"


class _Videos(IterableDataset[Clip | End]):
    """Each worker reads every so many-th video, a clip at a time."""

    def __init__(
        self,
        videos: Sequence[str],
        windows: WindowRule | FrameRule,
        recipe: ClipRecipe,
        views: Views,
        every_window: bool,
        fps: float,
    ) -> None:
        self.videos, self.windows, self.recipe, self.views = videos, windows, recipe, views
        self.every_window, self.fps = every_window, fps

    def __iter__(self) -> Iterator[Clip | End]:
        worker = get_worker_info()
        if worker is None:
            for number in range(len(self.videos)):
                yield from self._video(number)
            return
        for number in range(worker.id, len(self.videos), worker.num_workers):
            for item in self._video(number):
                yield _compact(item)

    def _video(self, number: int) -> Iterator[Clip | End]:
        path = self.videos[number]
        error: Exception | None = None
        try:
            if holds_images(path):
                frames = FrameVideo.from_directory(path, self.fps, dtype=torch.uint8)
                yield from self._clips(number, frames)
            else:
                with EncodedVideo.from_path(path, decode_audio=False, dtype=torch.uint8) as video:
                    yield from self._clips(number, video)
        except (VideoError, OSError, ValueError) as caught:
            error = caught
        yield End(number, error)

    def _clips(self, number: int, video: EncodedVideo | FrameVideo) -> Iterator[Clip]:
        if isinstance(self.windows, FrameRule):
            return self._picked(number, video, self.windows(number, video))
        return clips_of_video(
            video,
            self.windows(number, video),
            self.recipe,
            self.views,
            number=number,
            every_window=self.every_window,
        )

    def _picked(
        self, number: int, video: EncodedVideo | FrameVideo, clips: Sequence[Sequence[int]]
    ) -> Iterator[Clip]:
        steps = nn.Sequential(*self.recipe.evaluation_steps())
        scale = clip_reading(ApplyTransformToKey("video", steps))["frame_transform"]
        for place, (window, frames) in enumerate(picked_clips(video, clips, scale)):
            yield Clip(number, window, self.views(number, place, frames))


def _on_show(
    video: EncodedVideo | FrameVideo, window: tuple[float, float], found: Tensor | VideoError
) -> Tensor | VideoError:
    """What was found; the frame on show in a window in which none begins."""
    if not isinstance(found, EmptyWindowError) or with_frames(video, [window]):
        return found
    try:
        return frame_on_show(video, window[0])
    except VideoError:
        return found


def _compact(item: Clip | End) -> Clip | End:
    """The same without the rest of what its views were cut from, which would be handed over too."""
    if isinstance(item, End):
        return item
    views = [
        view.contiguous() if isinstance(view, Tensor) else [path.contiguous() for path in view]
        for view in item.views
    ]
    return replace(item, views=views)
