# SPDX-License-Identifier: Apache-2.0
"""Display order of frames, from the first bits of each."""

from typing import Any, Protocol

from pytorchvideo.data._decode._pyav.h264 import H264Order
from pytorchvideo.data._decode._pyav.packets import UnknownOrderError

_VOP = b"\0\0\1\xb6"  # start code of an MPEG-4 picture; its type is in the two bits that follow
_B_VOP = 2


class PictureOrder(Protocol):
    """Reads pictures in decoding order."""

    depth: int
    """By how many places a picture may be shown before it is decoded, at most."""

    def reset(self) -> None:
        """What comes now does not follow what was before."""

    def key(self, data: bytes) -> tuple[int, int]:
        """Returns a key that grows in the order in which pictures are shown, unlike that of any other picture.

        Raises:
            UnknownOrderError: the picture does not say it.
        """


class Mpeg4Order:
    """MPEG-4 part 2: a B-frame is shown at once, any other when the next such one has come."""

    depth = 1

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """See :class:`PictureOrder`."""
        self._anchors = self._between = 0

    def key(self, data: bytes) -> tuple[int, int]:
        """See :class:`PictureOrder`."""
        start = data.find(_VOP)
        if start < 0 or start + len(_VOP) == len(data) or data.find(_VOP, start + 4) >= 0:
            raise UnknownOrderError("a packet without one picture")
        if data[start + len(_VOP)] >> 6 == _B_VOP:
            self._between += 1
            return self._anchors - 1, self._between
        self._anchors, self._between = self._anchors + 1, 0
        return self._anchors, 0


def order_of(stream: Any) -> PictureOrder | None:
    """What tells the order of the pictures of a stream, or None."""
    context = stream.codec_context
    if context.name == "mpeg4":
        return Mpeg4Order()
    if context.name == "h264" and context.extradata:
        try:
            return H264Order(context.extradata)
        except UnknownOrderError:
            return None
    return None
