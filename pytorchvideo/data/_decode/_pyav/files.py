# SPDX-License-Identifier: Apache-2.0
"""Opening what a stranger made: a file, never an address, and never the files that it names."""

import os
from typing import Any

import av

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


def file_address(path: str | os.PathLike[str]) -> str:
    """A path as FFmpeg must get it: ``12:30:00.mp4`` and ``http:/a.mp4`` are files too.

    >>> file_address("12:30:00.mp4")
    'file:12:30:00.mp4'
    """
    return f"file:{os.fspath(path)}"


def open_video(file: Any, name: str, **options: Any) -> Any:
    """Opens a video; what it may name is not opened.

    Args:
        file: a path, or an open binary file.
        name: what errors call it.
        options: of ``av.open``.

    Raises:
        VideoError: it is a playlist, or describes a stream.
        av.error.FFmpegError, EOFError: FFmpeg cannot read it.
    """
    address = file_address(file) if isinstance(file, (str, os.PathLike)) else file
    try:
        return open_input(address, container_options=_OPTIONS, **options)
    except (av.error.FFmpegError, EOFError) as error:
        if _is_playlist(file):
            raise VideoError(
                f"{name} is no video, but a list of files or addresses, and these are not opened. Name the video "
                "itself; addresses are opened by `pytorchvideo stream`."
            ) from error
        raise


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
