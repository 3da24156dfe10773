# SPDX-License-Identifier: Apache-2.0
"""Sparse decoding of video: only packets that wanted frames need, only wanted frames converted.

The packets of a clip's stretch of the file are read first. Their times give the frames of the clip, hence what
a frame filter asks for, before any picture is decoded. The decoder then goes towards the wanted frames alone:
groups of pictures without any are left out, packets of unwanted frames that no other frame refers to are dropped
by FFmpeg (``skip_frame``), and nothing but a wanted frame is converted. A clip that follows another one in the
same group of pictures goes on where the decoder stands.

Times are those that ``times.py`` tells. Where it cannot, everything up to the end of the clip is decoded, and the
k-th frame that the decoder shows gets the k-th smallest time; where times repeat or start again, the time ``k / rate``.
"""

import logging
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cached_property, partial

import av
import torch
from av.video.reformatter import VideoReformatter

from pytorchvideo.data._decode._clip_tensor import ClipTensor
from pytorchvideo.data._decode._frame_index import FrameIndex
from pytorchvideo.data._decode._limits import LimitError
from pytorchvideo.data._decode._pyav.clip_frames import ClipFrames
from pytorchvideo.data._decode._pyav.container import Container, reason
from pytorchvideo.data._decode._pyav.decoding_pass import DecodingPass
from pytorchvideo.data._decode._pyav.packets import (
    Flags,
    MissingFrameError,
    UnknownOrderError,
    UntimedError,
)
from pytorchvideo.data._decode._pyav.references import reference_test
from pytorchvideo.data._decode._pyav.times import WITH_TABLE, PacketTimes
from pytorchvideo.data._decode._pyav.whole import SLACK_SEC
from pytorchvideo.data._decode._types import (
    FrameFilter,
    FrameResize,
    Frames,
    FrameTransform,
    Time,
    VideoError,
    ceil_ticks,
    select_frames,
    window_name,
)

logger = logging.getLogger(__name__)

_TAIL_SEC = Fraction(1, 2)
_counted: set[str] = set()  # files of which it has been said


class FrameReader:
    """Cuts clips out of the frames of a source. Ticks are those of the stream's time base."""

    def __init__(
        self,
        source: Container,
        *,
        seek: bool = True,
        index: FrameIndex | None = None,
    ) -> None:
        self._source = source
        self._may_seek = seek
        self._converter = VideoReformatter()  # sets itself up for a size once
        self._pass: DecodingPass | None = None
        self._flags: Flags | None = None  # of the index, where they had to be read before
        self._times = PacketTimes(source, index)
        if index is not None:
            self.index = index
            self.duration = index.duration
            self._say_if_counted(len(index))
            return
        # The others are read through, to see whether times start again somewhere.
        if not (source.is_format(*WITH_TABLE) and self._times.are_known):
            self._read_flags()
        if self._times.untimed is None:
            self.duration = self._end() - self.origin

    @property
    def origin(self) -> Fraction:
        """The first frame in seconds of the container."""
        return self._times.origin

    @property
    def base(self) -> Fraction:
        """Seconds a tick of the times of frames."""
        return self._times.base

    @property
    def rate(self) -> Fraction | None:
        """Average frames per second."""
        if self._times.untimed is not None:
            return 1 / self._times.base
        stream = self._source.video
        rate: Fraction | None = stream.average_rate or stream.guessed_rate
        return rate

    def _end(self) -> Fraction:
        """The end of the last frame in seconds of the container."""
        stream = self._source.video
        if stream.duration is None or not self._source.is_format("mp4", "avi"):
            return self._source.end_of(stream)
        are_true, start = self._times.are_true, self._times.start
        told = stream.start_time or 0
        if are_true and start > told and self._source.is_format("avi"):
            return self._source.end_of(stream)  # what comes before the first frame may count or not
        end = stream.duration + (told if are_true else start)
        if are_true and stream.codec_context.has_b_frames:
            # A file that was cut without decoding may show its last frame later than the header knows.
            self._source.seek(stream, end - int(_TAIL_SEC / self._times.base), any_frame=True)
            packets = self._source.packets(self._source.video)
            tail = ((p.pts, p.duration or 1) for p in packets if p.pts)
            shown, step = max(tail, default=(0, 1))
            end = shown + step if shown >= end else end
        return Fraction(end * self._times.base)

    def read(
        self,
        start_sec: Time,
        end_sec: Time,
        frame_filter: FrameFilter | None = None,
        resize: FrameResize | None = None,
        dtype: torch.dtype = torch.uint8,
        frame_transform: FrameTransform | None = None,
    ) -> Frames | None:
        """Returns the upright RGB frames with ``start_sec <= t < end_sec`` that a filter picks, all without one.

        With ``resize`` FFmpeg scales them while it turns them into RGB (bilinear over all pixels that fall into one).
        ``dtype`` is torch.uint8 or torch.float32; ``frame_transform`` gets each frame in it, see :class:`ClipTensor`.
        Returns None where the window holds no frame because the video stream ends before it.

        Raises:
            LimitError: if it takes more memory or time than it may.
            VideoError: if the file is damaged there, ends although its header says otherwise, or a frame does not
                come out of the decoder.
        """
        window = window_name(self._source.name, start_sec, end_sec)
        choose = partial(select_frames, frame_filter, name=self._source.name)
        sparse = frame_filter is not None
        budget, converter = self._source.budget, self._converter

        def new_frames(count: int) -> ClipFrames:
            return ClipFrames(converter, ClipTensor(count, dtype, budget, frame_transform), resize)

        while True:
            low, high = (
                ceil_ticks(t, self._times.base) + self._times.start for t in (start_sec, end_sec)
            )
            if not low < high:
                return None
            try:
                try:
                    return self._clip(low, high, choose, sparse, new_frames)
                except MissingFrameError as error:
                    self._hide_silent(error)
            except UnknownOrderError:
                self._pass = None
                self._times.give_up()
            except UntimedError as error:
                self._pass = None
                self._count(str(error))
            except LimitError:  # which says what is wanted
                raise
            except (av.error.FFmpegError, EOFError, VideoError) as error:
                why = str(error) if isinstance(error, VideoError) else f"damaged: {reason(error)}."
                raise VideoError(f"{window}: the video is {why}") from error

    @cached_property
    def index(self) -> FrameIndex:
        """What one pass over the packets of the file tells of all frames; nothing is decoded."""
        flags = self._flags or self._read_flags()
        self._flags = None
        return FrameIndex(
            *flags,
            time_base=self._times.base,
            start=self._times.start,
            duration=self.duration,
            is_trusted=self._times.are_true,
        )

    def _read_flags(self) -> Flags:
        """Reads through all packets; here shows whether their times can be used."""
        is_reference = reference_test(self._source.video)
        try:
            while self._flags is None:
                self._source.rewind()
                try:
                    packets = self._times.packets()
                    self._flags = Flags.of(
                        packets, self._times.shows, is_reference, self._source.budget
                    )
                except UnknownOrderError:
                    self._times.give_up()
                except UntimedError as error:
                    self._count(str(error))
        except (av.error.FFmpegError, EOFError) as error:
            raise VideoError(f"{self._source.name} is damaged: {reason(error)}.") from error
        return self._flags

    def _hide_silent(self, error: MissingFrameError) -> None:
        """Passes over packets that FFmpeg shows no frame for, wherever it starts; says so.

        Raises:
            VideoError: the frame that is missing is not one of them.
        """
        self._pass = None
        count = self._times.find_silent()
        if not count:
            raise VideoError(
                f"damaged: its frame at {error.args[0]:.3f} s cannot be decoded."
            ) from error
        self._flags = None
        self.__dict__.pop("index", None)
        if self._times.untimed is not None:
            self.duration = len(self.index) * self._times.base
        logger.warning(
            "%s: %d of its packets have no frame of their own.", self._source.name, count
        )

    def _count(self, why: str) -> None:
        """Goes over to frames that are counted, and says so once a file."""
        self._times.count(why)
        flags = self._read_flags()
        self.duration = len(flags.pts) * self._times.base
        self._say_if_counted(len(flags.pts))

    def _say_if_counted(self, count: int) -> None:
        name, why = self._source.name, self._times.untimed
        if why is not None and name not in _counted:
            _counted.add(name)
            logger.warning(
                "%s: its time stamps %s, so its %d frames are read in the order in which they are decoded, "
                "%.4g a second.",
                name,
                why,
                count,
                float(self.rate or 0),
            )

    def _clip(
        self,
        low: float,
        high: float,
        choose: Callable[[int], list[int]],
        sparse: bool,
        new_frames: Callable[[int], ClipFrames],
    ) -> Frames | None:
        """Tries one decoder after the other until all chosen frames come."""
        shown: list[int] = []
        indices: list[int] = []
        missing = low
        for decoding, goes_on, may_skip in self._passes(low):
            self._pass = None  # until it is known to be as good as a new one
            try:
                decoding.read(high)
                if goes_on and not decoding.keeps_all:
                    continue
                # what it has read is kept for the next clip, whatever the filter does
                self._pass = decoding
                found = decoding.shown(low, high)
                if not found:
                    self._check_end(decoding, low)
                if found != shown:
                    shown, indices = found, choose(len(found))
                if not indices:
                    return None
                frames = new_frames(len(indices))
                frames.check(self._source.video.codec_context)
                self._pass = None
                places = [shown[i] for i in indices]
                lost = self._fill(decoding, frames, places, sparse and may_skip)
            except (av.error.FFmpegError, EOFError):
                if goes_on:
                    continue
                raise
            data = frames.clip.data
            if not lost and data is not None:
                self._pass = decoding
                times = [float((t - self._times.start) * self._times.base) for t in places]
                return Frames(data, torch.tensor(times, dtype=torch.float64), indices)
            missing = min(lost)
        seconds = float((missing - self._times.start) * self._times.base)
        raise MissingFrameError(seconds)

    def _passes(self, low: float) -> Iterator[tuple[DecodingPass, bool, bool]]:
        """Passes that may show all frames from a time on, the cheapest first: (pass, whether it goes on, may skip).

        Frames right after a key frame may not come: with periodic intra refresh a decoder shows nothing until all
        parts of the picture have been renewed. Then it starts one key frame further back, and at last at the start.
        """
        if self._pass is not None and self._pass.reaches(low):
            yield self._pass, True, self._times.are_known
        target, step = int(low), max(1, int(1 / self._times.base))
        # a palette, without which frames are black, stands in the first packet
        may_skip = self._times.are_known and not self._source.has_palette
        while self._times.are_known and self._may_seek and target > self._times.start:
            self._source.seek(self._source.video, target)
            decoding = DecodingPass(self._source, self._times, low, target)
            first = decoding.first
            if first is not None and first.is_keyframe and first.pts <= target:
                yield decoding, False, may_skip
                if may_skip:
                    may_skip, target = False, first.pts - 1
                    continue
                target = first.pts
            target, step = target - step, 2 * step
        self._source.rewind()
        yield DecodingPass(self._source, self._times, low, None), False, may_skip
        if may_skip:
            self._source.rewind()
            yield DecodingPass(self._source, self._times, low, None), False, False

    def _fill(
        self, decoding: DecodingPass, frames: ClipFrames, wanted: list[int], sparse: bool
    ) -> set[int]:
        """Second pass: decodes the frames of some times into their places; returns the times that do not come."""
        places: dict[int, list[int]] = {}
        for place, pts in enumerate(wanted):
            places.setdefault(pts, []).append(place)
        missing = set(places)
        for pts, frame, orientation in decoding.frames(sorted(places), sparse):
            if pts in missing:
                frames.put(frame, orientation, places[pts])
                missing.remove(pts)
        return missing

    def _check_end(self, decoding: DecodingPass, low: float) -> None:
        """Raises a VideoError where a file ends before a window for which its header promises frames.

        That no frame begins in a window is no damage: pictures of a screen, or one a second, are shown for long.
        """
        promised = self._times.start + self.duration / self._times.base
        slack = SLACK_SEC / self._times.base
        if (
            decoding.end is not None
            and decoding.end <= low < promised
            and decoding.end + slack < promised
        ):
            there = float((decoding.end - self._times.start) * self._times.base)
            raise VideoError(
                f"cut off: its pictures end at {there:.3f} s, but its header promises {float(self.duration):.3f} s."
            )
