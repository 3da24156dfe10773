# SPDX-License-Identifier: Apache-2.0
"""Opening of untrusted files: never an address, and never files that they name."""

import os
from typing import Any

import av

from pytorchvideo._machine import check_machine
from pytorchvideo.data._decode._limits import Budget, LimitError
from pytorchvideo.data._decode._pyav._compat import open_input
from pytorchvideo.data._decode._types import VideoError

# FFmpeg's names of what holds its own pictures and sound. Left out is what names other files or addresses (hls, dash,
# concat, sdp, rtsp, imf, image2, mlv, vobsub), what is code (lavfi, vapoursynth), and what can only be named, not seen.
_CONTAINERS = """
3dostr 4xm aac aax ac3 ac4 aiff amr ape apng apv asf asf_o au av1 avi avr avs avs2 avs3 bink caf cavsvideo cdxl cine
daud dhav dirac dnxhd dsf dts dtshd dv dxa ea eac3 evc film_cpk filmstrip flac flic flv gdv gif gxf h261 h263 h264 hevc
hnm iamf iff ifv ingenient ipmovie ipu ivf ivr jpegxl_anim jv kux live_flv lmlm4 loas lxf m4v matroska mgsts mjpeg
mjpeg_2000 mlp mods moflex mov mp3 mpc mpc8 mpeg mpegts mpegvideo mpjpeg mtv mv mvi mxf mxg nsv nut nuv obu ogg oma paf
pmp qcp r3d rawvideo rl2 rm roq rpl ser sga shn siff simbiosis_imx smjpeg smk smush sol swf tak thp tiertexseq tmv
truehd tta vc1 vc1test vividas vivo vmd voc vqf vvc w64 wav wc3movie webm webp_anim wsvqa wtv wv xa xmv yop yuv4mpegpipe
bmp_pipe gif_pipe j2k_pipe jpeg_pipe jpegxl_pipe pbm_pipe pgm_pipe png_pipe ppm_pipe tiff_pipe webp_pipe
"""
_OPTIONS = {"format_whitelist": ",".join(_CONTAINERS.split()), "protocol_whitelist": "file"}
_PLAYLISTS = (b"#extm3u", b"ffconcat", b"v=0", b"<?xml", b"<mpd", b"[playlist]", b"<asx")
_HEAD = 512
_EDGE_PIXELS = 1 << 16  # more than FFmpeg adds to a small picture
_INT_MAX = 2**31 - 1
_LEAST_OPEN_SEC = 1.0  # for a look at the header


def file_address(path: str | os.PathLike[str]) -> str:
    """A path as FFmpeg must get it: ``12:30:00.mp4`` and ``http:/a.mp4`` are files too.

    >>> file_address("12:30:00.mp4")
    'file:12:30:00.mp4'
    """
    return f"file:{os.fspath(path)}"


def _address(file: Any) -> Any:
    return file_address(file) if isinstance(file, (str, os.PathLike)) else file


def open_video(
    file: Any,
    budget: Budget,
    *,
    format: str | None = None,
    options: dict[str, str] | None = None,
    is_all_there: bool = True,
) -> Any:
    """Opens a video; what it may name is not opened.

    Args:
        file: a path, or an open binary file.
        budget: of its readers.
        format: FFmpeg's name of the container; None finds out.
        options: FFmpeg's, of the container.
        is_all_there: False for what others still write, which may be waited for.

    Raises:
        LimitError: FFmpeg's look at it takes too long.
        VideoError: it is a playlist, or describes a stream.
        av.error.FFmpegError, EOFError: FFmpeg cannot read it.
    """
    timeout = max(budget.limits.time_sec, _LEAST_OPEN_SEC) if is_all_there else None
    try:
        return open_input(
            _address(file),
            format=format,
            container_options=_OPTIONS,
            options=decoder_options(budget) | (options or {}),
            timeout=timeout,
        )
    except av.error.ExitError as error:
        raise LimitError(
            f"{budget.name}: not opened after {timeout:g} s. It may be made to waste time; raise `time_limit_sec` if "
            "it is only slow to read."
        ) from error
    except (av.error.FFmpegError, EOFError) as error:
        check_machine(error)
        if _is_playlist(file):
            raise VideoError(
                f"{budget.name} is no video, but a list of files or addresses, and these are not opened. Name the "
                "video itself; addresses are opened by `pytorchvideo stream`."
            ) from error
        raise


def open_undecoded(file: Any) -> Any:
    """Opens what :func:`open_video` opens, without the help of any decoder: only sizes that headers tell are known."""
    if not isinstance(file, (str, os.PathLike)):
        file.seek(0)
    options = {"codec_whitelist": "none"}
    return open_input(_address(file), container_options=_OPTIONS, options=options)


def decoder_options(budget: Budget) -> dict[str, str]:
    """FFmpeg's options of a decoder: it refuses larger pictures, edges and all, before it makes room for them."""
    pixels = budget.limits.pixels
    return {"max_pixels": str(min(pixels + pixels // 8 + _EDGE_PIXELS, _INT_MAX))}


def _is_playlist(file: Any) -> bool:
    if isinstance(file, (str, os.PathLike)):
        if not os.path.isfile(file):  # a pipe is read once
            return False
        with open(file, "rb") as opened:
            head = opened.read(_HEAD)
    elif hasattr(file, "seek"):
        file.seek(0)
        head = file.read(_HEAD)
    else:
        return False
    return bytes(head).lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith(_PLAYLISTS)
