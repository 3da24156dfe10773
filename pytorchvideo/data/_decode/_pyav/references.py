# SPDX-License-Identifier: Apache-2.0
"""Reference frames, told from the first bytes of their packets."""

from collections.abc import Callable, Iterator
from typing import Any

_START = b"\0\0\1"
_SEARCHED_BYTES = 4096  # what may stand before a picture: parameters, messages
_MPEG4_VOP, _MPEG4_B = b"\0\0\1\xb6", 2
_MPEG2_PICTURE, _MPEG2_B = b"\0\0\1\0", 3


def reference_test(stream: Any) -> Callable[[Any], bool]:
    """Returns a function packet -> False where nothing depends on its frame, True also where that is not known.

    H.264, HEVC and MPEG-1, -2 and -4 say it in the picture; for other codecs a few containers do.
    """
    context = stream.codec_context
    box = context.extradata or b""
    size = 0  # of the lengths before NAL units, as avcC and hvcC boxes tell; start codes without such a box
    if box[:1] == b"\1":
        at = 4 if context.name == "h264" else 21
        size = (box[at] & 3) + 1 if len(box) > at else 0
    tests: dict[str, Callable[[memoryview], bool]] = {
        "h264": lambda data: _h264(data, size),
        "hevc": lambda data: _hevc(data, size),
        "mpeg1video": _mpeg2,
        "mpeg2video": _mpeg2,
        "mpeg4": _mpeg4,
    }
    test = tests.get(context.name)
    if test is None:
        return lambda packet: not packet.is_disposable
    return lambda packet: test(memoryview(packet))


def _mpeg2(data: memoryview) -> bool:
    """``picture_coding_type``, ITU-T H.262 section 6.2.3."""
    return _byte_after(data, _MPEG2_PICTURE, 1) >> 3 & 7 != _MPEG2_B


def _mpeg4(data: memoryview) -> bool:
    """``vop_coding_type``, ISO/IEC 14496-2 section 6.2.5."""
    return _byte_after(data, _MPEG4_VOP, 0) >> 6 != _MPEG4_B


def _h264(data: memoryview, length_size: int) -> bool:
    """``nal_ref_idc`` of the first slice, ITU-T H.264 section 7.4.1."""
    for first in _first_bytes(data, length_size):
        if first & 31 in (1, 5):  # a slice, of an IDR picture or not
            return first >> 5 & 3 != 0
    return True


def _hevc(data: memoryview, length_size: int) -> bool:
    """``nal_unit_type`` of the first slice: nothing refers to even ones below 16, ITU-T H.265 table 7-1."""
    for first in _first_bytes(data, length_size):
        kind = first >> 1 & 63
        if kind < 32:
            return kind >= 16 or kind % 2 == 1
    return True


def _first_bytes(data: memoryview, length_size: int) -> Iterator[int]:
    """The first byte of each NAL unit: after its length (mp4, Matroska), or else after a start code."""
    at = 0
    if length_size:
        while at + length_size < len(data):
            yield data[at + length_size]
            at += length_size + int.from_bytes(data[at : at + length_size], "big")
        return
    head = bytes(data[:_SEARCHED_BYTES])
    while (at := head.find(_START, at)) >= 0 and at + len(_START) < len(head):
        at += len(_START)
        yield head[at]


def _byte_after(data: memoryview, code: bytes, offset: int) -> int:
    """The byte so many bytes after a start code; 0, which is no B-picture, where there is none."""
    head = bytes(data[:_SEARCHED_BYTES])
    start = head.find(code)
    at = start + len(code) + offset
    return head[at] if start >= 0 and at < len(head) else 0
