# SPDX-License-Identifier: Apache-2.0
"""Display order of frames, from the first bits of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from pytorchvideo.data._decode._pyav.packets import UnknownOrderError

_SLICE, _IDR_SLICE, _SPS = 1, 5, 7  # nal_unit_type, table 7-1
_HEADER_BYTES = 32  # of a slice; what is read of it is shorter
# profile_idc of the profiles whose parameters tell the chroma format, section 7.3.2.1.1
_WITH_CHROMA = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 134, 135, 138, 139})


class _Bits:
    """Reads the bits of a NAL unit, after its first byte."""

    def __init__(self, nal: bytes) -> None:
        data = nal[1:].replace(b"\0\0\3", b"\0\0")  # emulation prevention, section 7.4.1
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def read(self, count: int) -> int:
        """An unsigned number of some bits."""
        if count > self._left:
            raise UnknownOrderError("headers cut off")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def golomb(self) -> int:
        """An unsigned Exp-Golomb number, section 9.1."""
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)

    def skip_scaling_list(self, size: int) -> None:
        """Passes a scaling list, section 7.3.2.1.1.1."""
        last = following = 8
        for _ in range(size):
            if following:
                code = self.golomb()
                delta = (code + 1) // 2 if code % 2 else -(code // 2)
                following = (last + delta) % 256
            last = following or last


@dataclass(frozen=True)
class _Parameters:
    """What a sequence parameter set says of slice headers, section 7.3.2.1.1."""

    separate_planes: bool
    frame_num_bits: int
    order_bits: int
    frames_only: bool

    @classmethod
    def parse(cls, nal: bytes) -> "_Parameters":
        bits = _Bits(nal)
        profile = bits.read(8)
        bits.read(16)  # constraints, level
        bits.golomb()  # its number
        separate = False
        if profile in _WITH_CHROMA:
            chroma = bits.golomb()
            separate = chroma == 3 and bool(bits.read(1))
            bits.golomb(), bits.golomb(), bits.read(1)  # depths, transform bypass
            if bits.read(1):
                for i in range(12 if chroma == 3 else 8):
                    if bits.read(1):
                        bits.skip_scaling_list(16 if i < 6 else 64)
        frame_num_bits = bits.golomb() + 4
        if bits.golomb() != 0:
            raise UnknownOrderError("an order that pictures do not tell one by one")
        order_bits = bits.golomb() + 4
        bits.golomb(), bits.read(1)  # reference frames, gaps allowed
        bits.golomb(), bits.golomb()  # width, height
        return cls(separate, frame_num_bits, order_bits, bool(bits.read(1)))


class H264Order:
    """The picture order count (section 8.2.1.1) of frames.

    Args:
        extradata: of the codec: an ``avcC`` box, or parameter sets with start codes.

    Raises:
        UnknownOrderError: it holds no parameters, or those of a stream that orders otherwise.
    """

    depth = 16  # the most frames that a decoder may hold back, section A.3.1

    def __init__(self, extradata: bytes) -> None:
        # avcC: 4 bytes on the profile, the size of lengths, the number of parameter sets, each after its length
        is_box = extradata[:1] == b"\1" and len(extradata) > 8
        self._length_size = (extradata[4] & 3) + 1 if is_box else 0
        if self._length_size:
            first = extradata[8 : 8 + int.from_bytes(extradata[6:8], "big")]
        else:
            first = next((n for n in self._units(extradata) if n[0] & 31 == _SPS), b"")
        self._parameters = _Parameters.parse(first)
        self.reset()

    def reset(self) -> None:
        """See :class:`~pytorchvideo.data._decode._pyav.order.PictureOrder`."""
        self._period = 0  # of pictures between two that are decoded without any before
        self._high: int | None = None
        self._low = 0

    def key(self, data: bytes) -> tuple[int, int]:
        """See :class:`~pytorchvideo.data._decode._pyav.order.PictureOrder`."""
        for nal in self._units(data):
            kind = nal[0] & 31
            if kind == _SPS and _Parameters.parse(nal) != self._parameters:
                raise UnknownOrderError("parameters that change")
            if kind in (_SLICE, _IDR_SLICE):
                return self._count(nal[:_HEADER_BYTES])
        raise UnknownOrderError("a packet without a picture")

    def _count(self, nal: bytes) -> tuple[int, int]:
        known, bits = self._parameters, _Bits(nal)
        is_idr, is_reference = nal[0] & 31 == _IDR_SLICE, nal[0] >> 5 & 3
        bits.golomb(), bits.golomb(), bits.golomb()  # first macroblock, type, picture parameter set
        bits.read(known.frame_num_bits + 2 * known.separate_planes)
        if not known.frames_only and bits.read(1):
            raise UnknownOrderError("single fields")
        if is_idr:
            bits.golomb()  # its number
            self._period, self._high, self._low = self._period + 1, 0, 0
        low, span = bits.read(known.order_bits), 1 << known.order_bits
        if self._high is None:  # after a seek only differences matter
            self._high, self._low = 0, low
        high = self._high
        if low < self._low and self._low - low >= span // 2:
            high += span
        elif low > self._low and low - self._low > span // 2:
            high -= span
        if is_reference:
            self._high, self._low = high, low
        return self._period, high + low

    def _units(self, data: bytes) -> Iterator[bytes]:
        """The NAL units of a packet, none of them empty."""
        if not self._length_size:
            yield from (unit for unit in data.split(b"\0\0\1")[1:] if unit)
            return
        at = 0
        while at + self._length_size < len(data):
            size = int.from_bytes(data[at : at + self._length_size], "big")
            at += self._length_size
            if size:
                yield data[at : at + size]
            at += size


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
