# SPDX-License-Identifier: Apache-2.0
"""The constructors of video data: from the videos of each stage to its data set."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch.utils.data import Dataset

from flash.core.data.data_module import STAGES, DataModule
from flash.core.data.io.hooks import TransformHooks
from flash.core.data.utilities.classification import TargetFormatter
from flash.video.sources.datasets import EachClip, VideoFiles
from flash.video.sources.files import StageFiles, format_targets
from flash.video.sources.multigrid import MultigridFiles
from flash.video.sources.options import (
    ClipOptions,
    Loading,
    Split,
    Targets,
    Transforms,
    sort_options,
)
from pytorchvideo._checks import expected
from pytorchvideo.data.clip_sampling import RandomMultiClipSampler
from pytorchvideo.data.labeled_video_dataset import SkippedClip
from pytorchvideo.transforms.clip_recipe import ClipRecipe

if TYPE_CHECKING:
    from typing_extensions import Self


class VideoData(DataModule):
    """Loaders of videos; see :class:`flash.video.classification.data.VideoClassificationData`."""

    recipe: ClipRecipe | None = None
    #: What ``transform_kwargs`` are for where no transform is given.
    own_transform: Any = None

    @property
    def skipped(self) -> list[SkippedClip]:
        """The files and clips of all stages that could not be used so far, with the reason of each."""
        datasets = (getattr(self, f"{stage}_dataset") for stage in STAGES)
        return [clip for dataset in datasets for clip in getattr(dataset, "skipped", ())]

    @classmethod
    def _of_files(cls, name: str, stages: dict[str, StageFiles], options: dict[str, Any]) -> "Self":
        """Makes the data of videos in files.

        Args:
            name: of the constructor.
            stages: the videos, which are split if that is asked for.
            options: of the constructor.
        """
        groups = sort_options(name, options, Targets, Split, Transforms, ClipOptions, Loading)
        targets, split, transforms, clips, loading = groups
        hooks = transforms.hooks(clips.default, cls.own_transform)
        samplers, order = clips.samplers(), loading.sampler
        loading.sampler = None
        formatter = cls._prepare(stages, targets, split)
        datasets: dict[str, VideoFiles] = {}
        for stage, files in stages.items():
            if stage == "train" and clips.multigrid is not None:
                datasets[stage] = cls._multigrid(files, clips, loading, transforms, order)
                continue
            transform = hooks[stage].sample_transform
            if isinstance(samplers[stage], RandomMultiClipSampler):
                transform = EachClip(transform)
            datasets[stage] = VideoFiles(
                files.items,
                samplers[stage],
                video_sampler=clips.order(stage, order),
                transform=transform,
                decode_audio=clips.decode_audio,
                decoder=clips.decoder,
                frame_filter=clips.frame_filter(stage),
                time_limit_sec=clips.time_limit_sec,
                memory_limit_bytes=clips.memory_limit_bytes,
            )
        data = cls._assemble(datasets, hooks, loading, formatter)
        data.recipe = None if transforms.trains_on_own else clips.recipe
        return data

    @staticmethod
    def _multigrid(
        files: StageFiles, clips: ClipOptions, loading: Loading, transforms: Transforms, order: Any
    ) -> MultigridFiles:
        """The training videos of a multigrid plan, in batches."""
        plan, recipe = clips.multigrid, clips.recipe
        own = clips.clip_sampler != "random" or transforms.trains_on_own
        if plan is None or recipe is None or own or recipe.whole_video:
            wanted = "None with a sampler of clips, a training transform, or clips of whole videos"
            raise TypeError(expected("multigrid", wanted, plan))
        return MultigridFiles(
            files.items,
            plan,
            recipe,
            transform_of=clips.multigrid_transform,
            batch_size=loading.batch_size,
            video_sampler=clips.order("train", order),
            decode_audio=clips.decode_audio,
            decoder=clips.decoder,
            time_limit_sec=clips.time_limit_sec,
            memory_limit_bytes=clips.memory_limit_bytes,
        )

    @staticmethod
    def _prepare(
        stages: dict[str, StageFiles], targets: Targets, split: Split
    ) -> TargetFormatter | None:
        """Gives all items their class numbers, then splits them: both parts have the classes of the whole."""
        if not stages:
            raise ValueError("Expected data for train, val, test or predict, but got none.")
        formatter = format_targets(stages, targets.formatter(), targets.multi_label)
        split.apply(stages, formatter)
        return formatter

    @classmethod
    def _assemble(
        cls,
        datasets: Mapping[str, Dataset[Any]],
        hooks: Mapping[str, TransformHooks],
        loading: Loading,
        formatter: TargetFormatter | None,
    ) -> "Self":
        return cls(
            datasets,
            hooks,
            **vars(loading),
            num_classes=None if formatter is None else formatter.num_classes,
            labels=None if formatter is None else formatter.labels,
            multi_label=formatter is not None and formatter.multi_label,
        )
